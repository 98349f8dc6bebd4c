package dev.d8;

/** A task, an invocation or a message about one is malformed: 400 on the wire. */
public final class InvalidTaskException extends D8Exception {

    private static final long serialVersionUID = 1L;

    /**
     * Creates one whose message is {@code field: why}.
     *
     * @param field the field at fault as the wire spells it, such as {@code limits.memory_bytes}
     * @param why the value found and the one expected
     */
    public InvalidTaskException(String field, String why) {
        this(field + ": " + why);
    }

    /** Creates one from a whole message, as a slave sent it. */
    public InvalidTaskException(String message) {
        super(message, null);
    }
}
