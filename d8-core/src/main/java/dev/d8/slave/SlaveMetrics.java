package dev.d8.slave;

import dev.d8.D8Exception;
import dev.d8.InvalidTaskException;
import dev.d8.NoExecutorException;
import dev.d8.SlaveRefusedException;
import dev.d8.TaskIdTakenException;
import dev.d8.TaskResult;
import dev.d8.Termination;
import dev.d8.Timing;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.IntSupplier;

/** What a slave counts of its tasks. Thread-safe. */
final class SlaveMetrics {

    private final MeterRegistry registry;
    private final Map<Over, Counter> over = new ConcurrentHashMap<>();
    private final Timer queue;
    private final Timer start;
    private final Timer run;

    SlaveMetrics(MeterRegistry registry) {
        this.registry = registry;
        queue = timer("d8.task.queue", "From a task's arrival to the slot that it gets");
        start = timer("d8.task.start", "From there to its first line");
        run = timer("d8.task.run", "From there to the end of everything that it started");
        // There from the start, so that the first of each is seen as a change.
        for (SlaveRefusedException.Reason reason : SlaveRefusedException.Reason.values()) {
            refusedFor(word(reason));
        }
        List.of("no_executor", "invalid", "id_taken").forEach(this::refusedFor);
        List.of("unauthorized", "forbidden").forEach(this::turnedAwayFor);
    }

    private Timer timer(String name, String description) {
        return Timer.builder(name)
                .description(description)
                .publishPercentileHistogram()
                .register(registry);
    }

    /** Registers what is asked for when somebody looks. */
    void watch(IntSupplier running, IntSupplier queued) {
        gauge("d8.tasks.running", "Tasks that run", running);
        gauge("d8.tasks.queued", "Tasks that wait for a slot", queued);
    }

    private void gauge(String name, String description, IntSupplier value) {
        Gauge.builder(name, value, IntSupplier::getAsInt)
                .description(description)
                .strongReference(true)
                .register(registry);
    }

    /** A way in which tasks end. */
    private record Over(Termination.Status status, String method) {}

    private Counter counter(Over way) {
        return Counter.builder("d8.tasks")
                .description("Tasks that are over, by what became of them and what ran them")
                .tag("status", way.status().wireName())
                .tag("method", way.method().isEmpty() ? "none" : way.method())
                .register(registry);
    }

    void over(TaskResult result) {
        over.computeIfAbsent(new Over(result.termination().status(), result.method()), this::counter)
                .increment();
        result.timing().ifPresent(this::took);
    }

    private void took(Timing timing) {
        queue.record(timing.queue());
        start.record(timing.start());
        run.record(timing.run());
    }

    /** Counts a call that the transport turned away before a task came into sight. */
    void turnedAway(String reason) {
        turnedAwayFor(reason).increment();
    }

    private Counter turnedAwayFor(String reason) {
        return Counter.builder("d8.calls.turned_away")
                .description("Calls whose token was missing, wrong or not good for them")
                .tag("reason", reason)
                .register(registry);
    }

    /** Returns the word for why a task was turned away. */
    static String reason(D8Exception why) {
        if (why instanceof SlaveRefusedException refused) {
            return word(refused.reason());
        }
        if (why instanceof NoExecutorException) {
            return "no_executor";
        }
        if (why instanceof InvalidTaskException) {
            return "invalid";
        }
        return why instanceof TaskIdTakenException ? "id_taken" : "other";
    }

    private static String word(SlaveRefusedException.Reason reason) {
        return reason.name().toLowerCase(Locale.ROOT);
    }

    /** Counts a task that was turned away. */
    void refused(D8Exception why) {
        refusedFor(reason(why)).increment();
    }

    private Counter refusedFor(String reason) {
        return Counter.builder("d8.tasks.refused")
                .description("Tasks that were turned away before they started, by the reason")
                .tag("reason", reason)
                .register(registry);
    }
}
