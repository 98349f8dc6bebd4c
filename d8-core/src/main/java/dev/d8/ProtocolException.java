package dev.d8;

/** The other side answered, but not as a D8 slave does: another service, another path, a broken proxy. */
public final class ProtocolException extends D8Exception {

    private static final long serialVersionUID = 1L;

    /** Creates one with a message that names the address and quotes the answer's status. */
    public ProtocolException(String message) {
        super(message, null);
    }
}
