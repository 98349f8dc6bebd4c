package dev.d8;

import java.util.Locale;

/** How strongly a task is walled off from the slave and from other tasks; the order is weakest first. */
public enum Isolation {
    /** No wall: the task runs inside the slave's own process or shares state with other tasks. */
    NONE,
    /** A process of its own that nobody used before, ended together with everything that it started. */
    PROCESS,
    /** A container of its own: own file system, own process tree, no network by default. */
    CONTAINER;

    /** Returns whether this is at least as strong as {@code required}. */
    public boolean atLeast(Isolation required) {
        return compareTo(required) >= 0;
    }

    /** Returns the name on the wire, in lower case. */
    public String wireName() {
        return name().toLowerCase(Locale.ROOT);
    }
}
