package dev.d8;

import org.jspecify.annotations.Nullable;

/**
 * The request left and no valid answer came back, so nobody knows whether the task ran.
 *
 * <p>D8 does not send such a task again by itself, since it would run twice; a task marked
 * {@linkplain Task#idempotent() idempotent} is the exception. For health and version, which change nothing, the type
 * only says that the answer is missing.
 */
public final class UnknownOutcomeException extends D8Exception {

    private static final long serialVersionUID = 1L;

    private final Reason reason;

    /** What was seen in place of an answer. */
    public enum Reason {
        /** Nothing within the time allowed. */
        TIMEOUT,
        /** The connection ended first. */
        CONNECTION_LOST,
        /** An answer that cannot be read. */
        INVALID_ANSWER,
        /** An error of the slave's own, 5xx. */
        SLAVE_ERROR
    }

    /** Creates one with a message that names the slave. */
    public UnknownOutcomeException(Reason reason, String message, @Nullable Throwable cause) {
        super(message, cause);
        this.reason = reason;
    }

    /** Returns what was seen in place of an answer. */
    public Reason reason() {
        return reason;
    }

    @Override
    public boolean retrySafe() {
        return false;
    }
}
