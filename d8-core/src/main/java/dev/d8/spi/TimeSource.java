package dev.d8.spi;

import dev.d8.internal.SystemTimeSource;
import java.time.Duration;

/**
 * Where time comes from, so that tests can bring their own. Thread-safe. Only the system implementation reads a clock.
 */
public interface TimeSource extends AutoCloseable {

    /** Returns the computer's own time, with a timer thread of its own; the caller closes it. */
    static TimeSource system() {
        return new SystemTimeSource();
    }

    /** Returns the monotonic time in nanoseconds; only differences mean something. */
    long nanoTime();

    /**
     * Runs an action once after a delay, on a thread of the time source's: it must not block.
     *
     * @param delay zero or more
     * @return how to call it off
     */
    Scheduled schedule(Duration delay, Runnable action);

    /** Drops what is scheduled. Idempotent. */
    @Override
    default void close() {}

    /** Returns the time that passed since an earlier {@link #nanoTime}. */
    default Duration since(long earlierNanos) {
        return Duration.ofNanos(nanoTime() - earlierNanos);
    }

    /** An action that has not run yet. */
    interface Scheduled {
        /** Calls it off. Does nothing if it has run. */
        void cancel();
    }
}
