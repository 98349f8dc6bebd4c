package dev.d8;

import dev.d8.internal.Json;
import java.time.Duration;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What a user asks for: a type, its data and how to run it.
 *
 * @param id its identity, the same on every resend
 * @param type the {@linkplain dev.d8.spi.TaskType#id() id of the task type} that turns the data into a program
 * @param data what the type needs, as JSON would hold it
 * @param timeout wall-clock time that it may run on the slave; empty: the task type's choice, 300 s for most
 * @param labels only a slave that carries all of these may run it
 * @param method this executor or fail; empty: the best one that the slave has
 * @param minIsolation the weakest isolation that will do; default {@link Isolation#NONE}
 * @param idempotent whether running it twice does no harm; only such a task is ever sent again after its outcome was lost
 * @param priority among the tasks that wait for a slave the highest goes first, then the eldest; −1000 to 1000, default 0
 * @param deadline how long after it was submitted its result is still of use, above zero, at most 366 days: by then it is over, or never starts;
 *     empty: it waits as long as it takes
 * @param key tasks with the same key prefer the same slave where the {@linkplain dev.d8.master.SlaveSelector#sticky selector}
 *     goes by it
 */
public record Task(
        TaskId id,
        String type,
        Map<String, @Nullable Object> data,
        Optional<Duration> timeout,
        Set<String> labels,
        Optional<String> method,
        Isolation minIsolation,
        boolean idempotent,
        int priority,
        Optional<Duration> deadline,
        Optional<String> key) {

    /** The task type for Python source that ships with D8. */
    public static final String PYTHON_CODE = "python_code";

    private static final Duration LONGEST_DEADLINE = Duration.ofDays(366);

    /** Checks the values and copies the collections. */
    public Task {
        Objects.requireNonNull(id, "id");
        Objects.requireNonNull(minIsolation, "minIsolation");
        if (type.isEmpty()) {
            throw new InvalidTaskException("type", "empty (expected: a task type such as python_code)");
        }
        if (timeout.isPresent() && (timeout.get().isNegative() || timeout.get().isZero())) {
            throw new InvalidTaskException("timeout", timeout.get() + " (expected: above 0)");
        }
        if (priority < -1000 || priority > 1000) {
            throw new InvalidTaskException("priority", priority + " (expected: -1000 to 1000)");
        }
        if (deadline.isPresent()
                && (deadline.get().isNegative()
                        || deadline.get().isZero()
                        || deadline.get().compareTo(LONGEST_DEADLINE) > 0)) {
            throw new InvalidTaskException("deadline", deadline.get() + " (expected: above 0, at most 366 days)");
        }
        // Not Map.copyOf: JSON data may hold nulls, and its order is the user's.
        data = Collections.unmodifiableMap(new LinkedHashMap<>(data));
        labels = Set.copyOf(labels);
    }

    /** Returns a task that runs Python source with every option at its default. */
    public static Task python(String source) {
        return builder(PYTHON_CODE).data(Map.of("command", source)).build();
    }

    /** Starts a task of the given type. */
    public static Builder builder(String type) {
        return new Builder(type);
    }

    /** Names the task, never its data: safe to log. */
    @Override
    public String toString() {
        return "Task[" + id + ", " + type + "]";
    }

    /** Builds a {@link Task}; not thread-safe. */
    public static final class Builder {
        private final String type;
        private TaskId id = TaskId.random();
        private Map<String, @Nullable Object> data = Map.of();
        private Optional<Duration> timeout = Optional.empty();
        private Set<String> labels = Set.of();
        private Optional<String> method = Optional.empty();
        private Isolation minIsolation = Isolation.NONE;
        private boolean idempotent;
        private int priority;
        private Optional<Duration> deadline = Optional.empty();
        private Optional<String> key = Optional.empty();

        private Builder(String type) {
            this.type = Objects.requireNonNull(type, "type");
        }

        /** Sets the identity; default: a random one. */
        public Builder id(TaskId value) {
            id = value;
            return this;
        }

        /** Sets the data as a map of JSON values; default: empty. */
        public Builder data(Map<String, ? extends @Nullable Object> value) {
            data = new LinkedHashMap<>(value);
            return this;
        }

        /**
         * Sets the data from the task type's record.
         *
         * @throws InvalidTaskException if the record cannot be written as a JSON object
         */
        public Builder data(Record value) {
            data = Json.toMap(value);
            return this;
        }

        /**
         * Sets the data from a JSON object.
         *
         * @throws InvalidTaskException if the text is not a JSON object
         */
        public Builder data(String json) {
            data = Json.parseMap("data", json);
            return this;
        }

        /** Adds one field to the data, or replaces it. */
        public Builder with(String name, Object value) {
            Map<String, @Nullable Object> all = new LinkedHashMap<>(data);
            all.put(name, value);
            data = all;
            return this;
        }

        /** Sets the wall-clock time that it may run, above zero; default: the task type's choice. */
        public Builder timeout(Duration value) {
            timeout = Optional.of(value);
            return this;
        }

        /** Requires these labels of the slave; default: none. */
        public Builder labels(String... value) {
            labels = Set.of(value);
            return this;
        }

        /** Asks for this executor or a failure; default: the best one that the slave has. */
        public Builder method(String value) {
            method = Optional.of(value);
            return this;
        }

        /** Sets the weakest isolation that will do; default: {@link Isolation#NONE}. */
        public Builder minIsolation(Isolation value) {
            minIsolation = value;
            return this;
        }

        /** Says that running the task twice does no harm; default: false. */
        public Builder idempotent(boolean value) {
            idempotent = value;
            return this;
        }

        /** Sets who goes first among the tasks that wait, −1000 to 1000, the highest first; default: 0. */
        public Builder priority(int value) {
            priority = value;
            return this;
        }

        /** Sets how long after it was submitted its result is still of use, above zero, at most 366 days; default: as long as it takes. */
        public Builder deadline(Duration value) {
            deadline = Optional.of(value);
            return this;
        }

        /** Has it prefer the slave that other tasks of this key run on; default: none. */
        public Builder key(String value) {
            key = Optional.of(value);
            return this;
        }

        /**
         * Builds the task.
         *
         * @throws InvalidTaskException if a value is outside its range; the message names the field
         */
        public Task build() {
            return new Task(id, type, data, timeout, labels, method, minIsolation, idempotent, priority, deadline, key);
        }
    }
}
