package dev.d8;

import java.util.Objects;
import java.util.UUID;

/**
 * The identity of a task, given at birth and the same on every machine and every resend.
 *
 * @param value the id
 */
public record TaskId(UUID value) {

    public TaskId {
        Objects.requireNonNull(value, "value");
    }

    /** Returns a new random id. */
    public static TaskId random() {
        return new TaskId(UUID.randomUUID());
    }

    /**
     * Parses the canonical form, 36 characters.
     *
     * @throws InvalidTaskException if {@code text} is not a UUID in canonical form
     */
    public static TaskId parse(String text) {
        try {
            UUID uuid = UUID.fromString(text);
            if (uuid.toString().equalsIgnoreCase(text)) {
                return new TaskId(uuid);
            }
        } catch (IllegalArgumentException e) {
            // Told below, together with forms that UUID.fromString accepts and we do not ("1-1-1-1-1").
        }
        throw new InvalidTaskException("task_id", "not a UUID (expected: 36 characters, 8-4-4-4-12 hex digits)");
    }

    @Override
    public String toString() {
        return value.toString();
    }
}
