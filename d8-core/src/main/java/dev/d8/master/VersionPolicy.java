package dev.d8.master;

/** What the master does about a slave that runs another commit. */
public enum VersionPolicy {
    /** It gets no task. The default, as in the original. */
    REFUSE,
    /**
     * It gets no task and is asked to update itself to the master's commit: one slave after another, and only those that
     * were told that they may.
     */
    UPDATE,
    /** It gets tasks, and the difference is logged once. */
    WARN,
    /** Nothing. */
    IGNORE
}
