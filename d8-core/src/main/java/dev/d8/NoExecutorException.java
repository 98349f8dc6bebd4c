package dev.d8;

/** The slave has no executor that can run this: 422 on the wire. The message lists each and why not. */
public final class NoExecutorException extends D8Exception {

    private static final long serialVersionUID = 1L;

    /** Creates one with a message that lists the executors. */
    public NoExecutorException(String message) {
        super(message, null);
    }
}
