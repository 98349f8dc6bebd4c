package dev.d8;

import java.time.Duration;

/**
 * The slave turned the task away before it started: its queue is full (429), it is stopping, or it keeps too many results
 * (503).
 */
public final class SlaveRefusedException extends D8Exception {

    private static final long serialVersionUID = 1L;

    private final Reason reason;
    private final Duration retryAfter;

    /** Why a slave turns tasks away. */
    public enum Reason {
        /** Every slot and every place in the queue is taken. */
        QUEUE_FULL,
        /** The slave is about to stop. */
        DRAINING,
        /** It keeps as many results as it may, for callers who have not fetched them. */
        RESULTS_FULL
    }

    /**
     * Creates one.
     *
     * @param retryAfter when it makes sense to ask again, zero or more
     */
    public SlaveRefusedException(Reason reason, Duration retryAfter, String message) {
        super(message, null);
        this.reason = reason;
        this.retryAfter = retryAfter;
    }

    /** Returns why. */
    public Reason reason() {
        return reason;
    }

    /** Returns when it makes sense to ask again. */
    public Duration retryAfter() {
        return retryAfter;
    }
}
