package dev.d8;

/** The slave does not accept this side's token, 401 on the wire, or not for this: 403. */
public final class UnauthorizedException extends D8Exception {

    private static final long serialVersionUID = 1L;

    /** Creates one with a message that names the slave, never the token. */
    public UnauthorizedException(String message) {
        super(message, null);
    }
}
