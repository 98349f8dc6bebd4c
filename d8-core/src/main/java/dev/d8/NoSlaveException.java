package dev.d8;

/** No slave could take the task. The message lists each and why not. */
public final class NoSlaveException extends D8Exception {

    private static final long serialVersionUID = 1L;

    /** Creates one with a message that lists the slaves. */
    public NoSlaveException(String message) {
        super(message, null);
    }
}
