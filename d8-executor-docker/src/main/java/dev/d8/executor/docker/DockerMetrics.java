package dev.d8.executor.docker;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.IntSupplier;

/** What the executor counts. Thread-safe. */
final class DockerMetrics {

    final LongAdder warmStarts = new LongAdder();
    final LongAdder coldStarts = new LongAdder();

    void bindTo(MeterRegistry registry, IntSupplier parked) {
        starts(registry, "warm", warmStarts);
        starts(registry, "cold", coldStarts);
        Gauge.builder("d8.docker.parked", parked, IntSupplier::getAsInt)
                .description("Containers that wait for a task")
                .strongReference(true)
                .register(registry);
    }

    private static void starts(MeterRegistry registry, String start, LongAdder count) {
        FunctionCounter.builder("d8.docker.starts", count, LongAdder::doubleValue)
                .description("Tasks, by whether their container was there before them")
                .tag("start", start)
                .register(registry);
    }
}
