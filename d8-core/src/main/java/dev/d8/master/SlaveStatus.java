package dev.d8.master;

import java.util.Locale;

/** How the master sees a slave. */
public enum SlaveStatus {
    /** Not checked yet. */
    UNKNOWN,
    /** It answers and may run tasks. */
    ALIVE,
    /** It answers but runs another commit than the master, so it gets no task. */
    VERSION_MISMATCH,
    /** It did not answer, three times. */
    DEAD,
    /** It answers and is about to stop, so it gets no task. */
    DRAINING;

    /** Returns the name in notices, in lower case. */
    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }
}
