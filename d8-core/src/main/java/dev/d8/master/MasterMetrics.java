package dev.d8.master;

import dev.d8.Termination;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;

/** What a master counts, each under {@code d8.master}. Thread-safe. */
final class MasterMetrics {

    private final MeterRegistry registry;
    private final Map<Termination.Status, Counter> results = new EnumMap<>(Termination.Status.class);
    private final Counter cancelled;
    private final Counter failed;
    private final Counter requeued;
    private final Counter queueFull;
    private final Timer waited;

    MasterMetrics(MeterRegistry registry) {
        this.registry = registry;
        for (Termination.Status status : Termination.Status.values()) {
            results.put(status, ended(status.wireName()));
        }
        cancelled = ended("withdrawn");
        failed = ended("no_result");
        requeued = Counter.builder("d8.master.requeued")
                .description("Tasks that went back to the queue, since a slave did not take them or was lost")
                .register(registry);
        queueFull = Counter.builder("d8.master.queue.refused")
                .description("Tasks that were not accepted since the queue was full")
                .register(registry);
        waited = Timer.builder("d8.master.queue.wait")
                .description("Time from a task's acceptance to its first sending")
                .register(registry);
    }

    private Counter ended(String status) {
        return Counter.builder("d8.master.tasks")
                .description("Queued tasks that are over, by how they ended")
                .tag("status", status)
                .register(registry);
    }

    void watch(TaskQueue queue) {
        Gauge.builder("d8.master.queue.waiting", queue, TaskQueue::waiting)
                .description("Tasks that wait for a slave")
                .register(registry);
        Gauge.builder("d8.master.queue.capacity", queue, TaskQueue::capacity)
                .description("Places for tasks that wait")
                .register(registry);
    }

    void watch(Fleet fleet) {
        for (SlaveStatus status : SlaveStatus.values()) {
            Gauge.builder(
                            "d8.master.slaves",
                            fleet,
                            all -> all.members().stream()
                                    .filter(member -> member.status() == status)
                                    .count())
                    .description("Registered slaves, by status")
                    .tag("status", status.wireName())
                    .register(registry);
        }
        Gauge.builder(
                        "d8.master.in_flight",
                        fleet,
                        all -> all.members().stream().mapToInt(Member::inFlight).sum())
                .description("Tasks that were sent to slaves and are not over")
                .register(registry);
        Gauge.builder(
                        "d8.master.circuits.open",
                        fleet,
                        all -> all.members().stream()
                                .filter(member -> member.connection.circuit() != CircuitState.CLOSED)
                                .count())
                .description("Slaves that no call is let through to")
                .register(registry);
    }

    void changed(SlaveStatus to) {
        registry.counter("d8.master.transitions", Tags.of(Tag.of("to", to.wireName())))
                .increment();
    }

    void sent(Duration afterWaiting) {
        waited.record(afterWaiting);
    }

    void requeued() {
        requeued.increment();
    }

    void queueFull() {
        queueFull.increment();
    }

    void ended(TaskStore.Outcome outcome) {
        @Nullable
        Counter counter = outcome.result() != null
                ? results.get(outcome.result().termination().status())
                : outcome.error() instanceof CancellationException ? cancelled : failed;
        if (counter != null) {
            counter.increment();
        }
    }
}
