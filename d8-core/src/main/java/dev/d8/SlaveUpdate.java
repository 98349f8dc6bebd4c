package dev.d8;

import java.util.Objects;

/**
 * What came of asking a slave to update itself.
 *
 * @param from the commit that it runs
 * @param to the commit that it will run once it is back; the same where it runs that one already
 */
public record SlaveUpdate(String from, String to) {

    /** Checks that nothing is missing. */
    public SlaveUpdate {
        Objects.requireNonNull(from, "from");
        Objects.requireNonNull(to, "to");
    }

    /** Returns whether the slave starts anew for it. */
    public boolean restarts() {
        return !from.equalsIgnoreCase(to);
    }
}
