package dev.d8;

/** The slave runs another commit than the master, and the policy is to refuse that. */
public final class VersionMismatchException extends D8Exception {

    private static final long serialVersionUID = 1L;

    /** Creates one with a message that names both commits and what to do. */
    public VersionMismatchException(String message) {
        super(message, null);
    }
}
