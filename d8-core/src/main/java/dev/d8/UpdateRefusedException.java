package dev.d8;

/** The slave does not update itself; nothing of it has changed, and it goes on as before. The message says why. */
public final class UpdateRefusedException extends D8Exception {

    private static final long serialVersionUID = 1L;

    private final Reason reason;

    /** Why a slave does not update itself. */
    public enum Reason {
        /** It was not told that it may. */
        OFF,
        /** Its checkout cannot be brought to that commit as it is. */
        IMPOSSIBLE
    }

    /** Creates one. */
    public UpdateRefusedException(Reason reason, String message) {
        super(message, null);
        this.reason = reason;
    }

    /** Returns why. */
    public Reason reason() {
        return reason;
    }
}
