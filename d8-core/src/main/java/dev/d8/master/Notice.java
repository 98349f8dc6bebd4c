package dev.d8.master;

import java.net.URI;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * What is told of slaves whose status changed, or of the master itself.
 *
 * @param id tells this notice from every other; the same each time that it is tried
 * @param at when it was put together
 * @param changes one for each slave; at least one, but for an alarm
 * @param alarm what is wrong with the master, or is no longer
 */
public record Notice(UUID id, Instant at, List<Change> changes, Optional<String> alarm) {

    /** How many changes a text lists. */
    private static final int LISTED = 20;

    /**
     * What became of one slave.
     *
     * @param slave its id
     * @param address where it listens
     * @param from how it was
     * @param to how it is
     * @param reason why, in words
     */
    public record Change(String slave, URI address, SlaveStatus from, SlaveStatus to, String reason) {}

    /** Copies the changes. */
    public Notice {
        changes = List.copyOf(changes);
        if (changes.isEmpty() && alarm.isEmpty()) {
            throw new IllegalArgumentException("changes: none (expected: at least one)");
        }
    }

    /** Creates one of slaves only. */
    public Notice(UUID id, Instant at, List<Change> changes) {
        this(id, at, changes, Optional.empty());
    }

    /**
     * Returns it as plain text for a person: how many changed, and a line for each of the first 20, then how many more.
     *
     * @param longest how many characters it may have; those that have no room are among the more
     */
    public String text(int longest) {
        if (alarm.isPresent()) {
            String line = "D8: " + alarm.get();
            return line.length() <= longest ? line : line.substring(0, longest);
        }
        int count = changes.size();
        StringBuilder text = new StringBuilder("D8: " + count + (count == 1 ? " slave changed" : " slaves changed"));
        for (int listed = 0; listed < count; listed++) {
            Change change = changes.get(listed);
            String line = "\n" + change.slave() + ": " + change.from().wireName() + " → "
                    + change.to().wireName() + ": " + change.reason();
            String more = "\nand " + (count - listed) + " more";
            if (listed == LISTED || text.length() + line.length() + more.length() > longest) {
                return text.append(more).toString();
            }
            text.append(line);
        }
        return text.toString();
    }
}
