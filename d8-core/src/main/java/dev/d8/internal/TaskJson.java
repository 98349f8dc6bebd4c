package dev.d8.internal;

import dev.d8.Isolation;
import dev.d8.Task;
import dev.d8.TaskId;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.SerializationFeature;

/** A task as JSON, for a master that keeps it. */
public final class TaskJson {

    private TaskJson() {}

    /** Writes a task so that equal tasks are equal bytes, whatever the order of their data. */
    public static byte[] canonical(Task task) {
        return Json.MAPPER
                .writer()
                .with(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS)
                .writeValueAsBytes(fields(task));
    }

    /** Writes a task. */
    public static byte[] write(Task task) {
        return Json.write(fields(task));
    }

    private static Map<String, @Nullable Object> fields(Task task) {
        Map<String, @Nullable Object> fields = new LinkedHashMap<>();
        fields.put("id", task.id().toString());
        fields.put("type", task.type());
        fields.put("data", task.data());
        task.timeout().ifPresent(value -> fields.put("timeout", value.toString()));
        fields.put("labels", new TreeSet<>(task.labels()));
        task.method().ifPresent(value -> fields.put("method", value));
        fields.put("min_isolation", task.minIsolation().name());
        fields.put("idempotent", task.idempotent());
        fields.put("priority", task.priority());
        task.deadline().ifPresent(value -> fields.put("deadline", value.toString()));
        task.key().ifPresent(value -> fields.put("key", value));
        return fields;
    }

    /**
     * Reads a task that {@link #write} wrote.
     *
     * @throws dev.d8.InvalidTaskException if it is malformed
     */
    public static Task read(byte[] bytes) {
        Map<String, @Nullable Object> fields = Json.parseMap("task", new String(bytes, StandardCharsets.UTF_8));
        return new Task(
                TaskId.parse(text(fields, "id").orElse("")),
                text(fields, "type").orElse(""),
                data(fields.get("data")),
                text(fields, "timeout").map(Duration::parse),
                labels(fields.get("labels")),
                text(fields, "method"),
                Isolation.valueOf(text(fields, "min_isolation").orElse(Isolation.NONE.name())),
                Boolean.TRUE.equals(fields.get("idempotent")),
                fields.get("priority") instanceof Integer priority ? priority : 0,
                text(fields, "deadline").map(Duration::parse),
                text(fields, "key"));
    }

    private static Optional<String> text(Map<String, @Nullable Object> fields, String name) {
        return fields.get(name) instanceof String text ? Optional.of(text) : Optional.empty();
    }

    @SuppressWarnings("unchecked") // Keys of a JSON object are texts.
    private static Map<String, @Nullable Object> data(@Nullable Object data) {
        return data instanceof Map<?, ?> map ? (Map<String, @Nullable Object>) map : Map.of();
    }

    private static Set<String> labels(@Nullable Object labels) {
        return labels instanceof List<?> list
                ? Set.copyOf(list.stream().map(String::valueOf).toList())
                : Set.of();
    }
}
