package dev.d8.executor.python.engine;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.IntSupplier;

/** What an engine counts. Thread-safe. */
final class EngineMetrics {

    /** Tasks whose process was forked ahead of them, and tasks that had to wait for an interpreter. */
    final LongAdder warmStarts = new LongAdder();

    final LongAdder coldStarts = new LongAdder();

    /** Agents that ended though nobody asked them to, or could not be started. */
    final LongAdder agentRestarts = new LongAdder();

    void bindTo(MeterRegistry registry, String method, IntSupplier parked) {
        starts(registry, method, "warm", warmStarts);
        starts(registry, method, "cold", coldStarts);
        FunctionCounter.builder("d8.python.agent.restarts", agentRestarts, LongAdder::doubleValue)
                .description("Agents that ended though nobody asked them to, or could not be started")
                .tag("method", method)
                .register(registry);
        Gauge.builder("d8.python.parked", parked, IntSupplier::getAsInt)
                .description("Supervisors with a process that waits for a task")
                .tag("method", method)
                .strongReference(true)
                .register(registry);
    }

    private static void starts(MeterRegistry registry, String method, String start, LongAdder count) {
        FunctionCounter.builder("d8.python.starts", count, LongAdder::doubleValue)
                .description("Tasks, by whether their process was there before them")
                .tag("method", method)
                .tag("start", start)
                .register(registry);
    }
}
