package dev.d8;

import java.util.Locale;

/** What the holder of a token may do. */
public enum Scope {
    /** See how tasks are and what they wrote, the slots and the metrics. */
    READ,
    /** Run and end tasks, and all of {@link #READ}. */
    EXECUTE,
    /** Have the slave update itself, where it may, and all of {@link #EXECUTE}. No token has it unless it is said. */
    ADMIN;

    /** Returns whether this is enough where {@code needed} is asked for. */
    public boolean covers(Scope needed) {
        return compareTo(needed) >= 0;
    }

    /** Returns the name in settings, in lower case. */
    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }
}
