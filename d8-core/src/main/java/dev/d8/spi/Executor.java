package dev.d8.spi;

import dev.d8.Invocation;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.Optional;

/**
 * Runs invocations on a slave. Thread-safe: called from many threads at once, each blocked for as long as its task runs.
 */
public interface Executor extends AutoCloseable {

    /** Looks at whether this can run tasks here and now. Under one second; never throws. Called again from time to time. */
    Availability probe();

    /**
     * Says why this executor cannot run an invocation, whatever the machine: another runtime, a limit that it cannot
     * set. Empty: it can. Does no I/O.
     */
    Optional<String> objection(Invocation invocation);

    /**
     * Runs an invocation to its end, and with it everything that it started.
     *
     * <p>A task that fails, cannot be started or is ended by its time-out is an outcome, never an exception. Interrupting
     * the thread cancels the task: its processes are gone when the exception leaves.
     *
     * @param listener told of the start and of output while it comes, on the calling thread
     * @throws InterruptedException if the thread was interrupted
     */
    ExecutionOutcome execute(Invocation invocation, ExecutionListener listener) throws InterruptedException;

    /**
     * Registers what this executor counts, under names that begin with {@code d8.}; default: nothing. Called once at the
     * most, before the first task.
     */
    default void bindTo(MeterRegistry registry) {}

    /** Ends what still runs and frees what is held. Idempotent. */
    @Override
    default void close() {}
}
