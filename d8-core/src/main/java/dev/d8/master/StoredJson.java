package dev.d8.master;

import dev.d8.D8Exception;
import dev.d8.DeadlineExceededException;
import dev.d8.InvalidTaskException;
import dev.d8.Invocation;
import dev.d8.NoExecutorException;
import dev.d8.NoSlaveException;
import dev.d8.ProtocolException;
import dev.d8.Task;
import dev.d8.TaskId;
import dev.d8.UnauthorizedException;
import dev.d8.UnknownOutcomeException;
import dev.d8.internal.Json;
import dev.d8.internal.TaskJson;
import dev.d8.spi.WireFormat;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CancellationException;
import org.jspecify.annotations.Nullable;

/** How what a master keeps looks as bytes: a moment of 8 bytes where one belongs to it, then JSON. */
final class StoredJson {

    private StoredJson() {}

    record Accepted(Task task, Instant at) {}

    record Sent(TaskStore.@Nullable Attempt attempt, Set<String> without, int losses) {
        static final Sent NONE = new Sent(null, Set.of(), 0);
    }

    static byte[] write(Instant at, byte[] json) {
        return ByteBuffer.allocate(Long.BYTES + json.length)
                .putLong(at.toEpochMilli())
                .put(json)
                .array();
    }

    /** Returns when a task was accepted, or ended. */
    static Instant moment(byte[] stored) {
        return Instant.ofEpochMilli(ByteBuffer.wrap(stored).getLong());
    }

    private static byte[] json(byte[] stored) {
        return Arrays.copyOfRange(stored, Long.BYTES, stored.length);
    }

    static Accepted accepted(byte[] stored) {
        return new Accepted(TaskJson.read(json(stored)), moment(stored));
    }

    static byte[] write(TaskStore.@Nullable Attempt attempt, Set<String> without, int losses) {
        Map<String, @Nullable Object> fields = new LinkedHashMap<>();
        if (attempt != null) {
            fields.put("slave", attempt.slave());
            attempt.bootId().ifPresent(id -> fields.put("boot_id", id));
        }
        fields.put("without", without);
        fields.put("losses", losses);
        return bytes(Json.line(fields));
    }

    static Sent sent(byte[] stored) {
        Map<String, @Nullable Object> fields = fields(stored);
        Set<String> without = new HashSet<>();
        if (fields.get("without") instanceof List<?> ids) {
            ids.forEach(id -> without.add(String.valueOf(id)));
        }
        return new Sent(
                fields.get("slave") instanceof String slave
                        ? new TaskStore.Attempt(
                                slave,
                                Optional.ofNullable(fields.get("boot_id")).map(String::valueOf))
                        : null,
                without,
                fields.get("losses") instanceof Integer losses ? losses : 0);
    }

    static byte[] write(TaskStore.Outcome outcome, Instant at) {
        if (outcome.result() != null) {
            return write(at, WireFormat.json().encode(outcome.result()));
        }
        Throwable error = outcome.error() == null ? new CancellationException() : outcome.error();
        Map<String, @Nullable Object> fields = new LinkedHashMap<>();
        fields.put("failed", kind(error));
        fields.put("message", String.valueOf(error.getMessage()));
        return write(at, bytes(Json.line(fields)));
    }

    static TaskStore.Outcome end(byte[] stored, TaskId id) {
        byte[] json = json(stored);
        Map<String, @Nullable Object> fields = fields(json);
        return fields.get("failed") instanceof String kind
                ? new TaskStore.Outcome(null, error(kind, String.valueOf(fields.get("message"))))
                : new TaskStore.Outcome(
                        WireFormat.json()
                                .decodeResult(
                                        json, Invocation.python("").taskId(id).build()),
                        null);
    }

    /** The failures that end a task; another one is kept as what it says of the task: whether it may have run. */
    private static String kind(Throwable error) {
        if (error instanceof CancellationException) {
            return "cancelled";
        }
        if (error instanceof UnknownOutcomeException unknown) {
            return "unknown " + unknown.reason();
        }
        if (error instanceof DeadlineExceededException) {
            return "deadline";
        }
        if (error instanceof NoExecutorException) {
            return "no_executor";
        }
        if (error instanceof InvalidTaskException) {
            return "invalid";
        }
        if (error instanceof UnauthorizedException) {
            return "unauthorized";
        }
        if (error instanceof ProtocolException) {
            return "protocol";
        }
        return error instanceof D8Exception known && known.retrySafe()
                ? "no_slave"
                : "unknown " + UnknownOutcomeException.Reason.CONNECTION_LOST;
    }

    private static Throwable error(String kind, String message) {
        if (kind.startsWith("unknown ")) {
            return new UnknownOutcomeException(
                    UnknownOutcomeException.Reason.valueOf(kind.substring("unknown ".length())), message, null);
        }
        return switch (kind) {
            case "cancelled" -> new CancellationException(message);
            case "deadline" -> new DeadlineExceededException(message);
            case "no_executor" -> new NoExecutorException(message);
            case "invalid" -> new InvalidTaskException(message);
            case "unauthorized" -> new UnauthorizedException(message);
            case "protocol" -> new ProtocolException(message);
            default -> new NoSlaveException(message);
        };
    }

    private static Map<String, @Nullable Object> fields(byte[] json) {
        return Json.parseMap("state", new String(json, StandardCharsets.UTF_8));
    }

    private static byte[] bytes(String json) {
        return json.getBytes(StandardCharsets.UTF_8);
    }
}
