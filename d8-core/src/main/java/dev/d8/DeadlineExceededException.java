package dev.d8;

/** The task's {@linkplain Task#deadline() deadline} passed before it was started. */
public final class DeadlineExceededException extends D8Exception {

    private static final long serialVersionUID = 1L;

    /** Creates one with a message that says how long it waited. */
    public DeadlineExceededException(String message) {
        super(message, null);
    }
}
