package dev.d8;

/**
 * The slave may or may not have got the task, and has promised since to ignore it: it never runs there, under this id, but may run
 * elsewhere.
 */
public final class TaskWithdrawnException extends D8Exception {

    private static final long serialVersionUID = 1L;

    /**
     * Creates one.
     *
     * @param cause why the task was withdrawn
     */
    public TaskWithdrawnException(String message, D8Exception cause) {
        super(message, cause);
    }
}
