package dev.d8.internal;

import dev.d8.Capabilities;
import dev.d8.ExecutorInfo;
import dev.d8.Health;
import dev.d8.InvalidTaskException;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Limits;
import dev.d8.Output;
import dev.d8.Rejection;
import dev.d8.SlaveUpdate;
import dev.d8.Slots;
import dev.d8.TaskEvent;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.TaskState;
import dev.d8.Termination;
import dev.d8.Timing;
import dev.d8.Usage;
import dev.d8.VersionInfo;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.WireFormat;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import tools.jackson.core.JsonGenerator;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * D8's values as JSON, field by field: the wire is a contract with peers that are older than this code, so it is written
 * out here and never follows from the shape of a class.
 */
public final class JsonWireFormat implements WireFormat {

    /** The one instance; it has no state. */
    public static final JsonWireFormat INSTANCE = new JsonWireFormat();

    /** What {@code certainty} says of a status that is a conclusion; the field is missing otherwise. */
    private static final String INFERRED = "inferred";

    private JsonWireFormat() {}

    @Override
    public byte[] encode(Health health) {
        ObjectNode json = Json.MAPPER.createObjectNode();
        json.put("status", health.status());
        json.put("python_version", health.pythonVersion());
        ObjectNode methods = json.putObject("execution_methods");
        health.executionMethods().forEach(methods::put);
        json.put("version", health.version().version());
        json.put("commit", health.version().commit());
        json.put("branch", health.version().branch());
        json.put("dirty", health.version().dirty());
        health.bootId().ifPresent(id -> json.put("boot_id", id));
        json.put("draining", health.draining());
        health.slots()
                .ifPresent(slots ->
                        json.putObject("slots").put("total", slots.total()).put("free", slots.free()));
        health.capabilities().ifPresent(machine -> {
            ObjectNode capabilities = json.putObject("capabilities");
            ArrayNode labels = capabilities.putArray("labels");
            machine.labels().forEach(labels::add);
            capabilities.put("isolation", machine.isolation().wireName());
            capabilities.put("cpus", machine.cpus());
            capabilities.put("memory_bytes", machine.memoryBytes());
            capabilities.put("disk_free_bytes", machine.diskFreeBytes());
        });
        return Json.write(json);
    }

    @Override
    public byte[] encode(Slots slots, int queued) {
        return Json.write(Json.MAPPER
                .createObjectNode()
                .put("total", slots.total())
                .put("free", slots.free())
                .put("running", slots.total() - slots.free())
                .put("queued", queued));
    }

    @Override
    public byte[] encode(VersionInfo version) {
        ObjectNode json = Json.MAPPER.createObjectNode();
        json.put("commit", version.commit());
        json.put("version", version.version());
        json.put("branch", version.branch());
        json.put("dirty", version.dirty());
        return Json.write(json);
    }

    @Override
    public byte[] encode(Invocation invocation) {
        ObjectNode json = Json.MAPPER.createObjectNode();
        json.put("command", invocation.source());
        invocation.workingDir().ifPresent(dir -> json.put("working_dir", dir));
        json.put("task_id", invocation.taskId().toString());
        json.put("timeout", seconds(invocation.timeout()));
        json.put("runtime", invocation.runtime());
        invocation.method().ifPresent(method -> json.put("method", method));
        if (invocation.minIsolation() != Isolation.NONE) {
            json.put("min_isolation", invocation.minIsolation().wireName());
        }
        if (!invocation.env().isEmpty()) {
            ObjectNode env = json.putObject("env");
            invocation.env().forEach(env::put);
        }
        if (!invocation.stdin().isEmpty()) {
            json.put("stdin", invocation.stdin());
        }
        if (!invocation.args().isEmpty()) {
            json.putPOJO("args", invocation.args());
        }
        if (!invocation.requirements().isEmpty()) {
            json.putPOJO("requirements", invocation.requirements());
        }
        invocation.image().ifPresent(image -> json.put("image", image));
        Limits limits = invocation.limits();
        if (!limits.equals(Limits.DEFAULT)) {
            ObjectNode node = json.putObject("limits");
            limits.memoryBytes().ifPresent(value -> node.put("memory_bytes", value));
            limits.cpuTime().ifPresent(value -> node.put("cpu_seconds", seconds(value)));
            limits.processes().ifPresent(value -> node.put("processes", value));
            limits.outputBytes().ifPresent(value -> node.put("output_bytes", value));
            limits.fileBytes().ifPresent(value -> node.put("file_bytes", value));
        }
        return Json.write(json);
    }

    @Override
    public byte[] encode(TaskResult result) {
        return Json.writeObject(json -> write(json, result, true));
    }

    @Override
    public byte[] encode(TaskState state) {
        return Json.writeObject(json -> {
            json.writeStringProperty("task_id", state.taskId().toString());
            json.writeStringProperty("state", state.phase().wireName());
            state.result().ifPresent(result -> {
                json.writeObjectPropertyStart("result");
                write(json, result, true);
                json.writeEndObject();
            });
        });
    }

    @Override
    public byte[] encode(TaskEvent event) {
        return Json.writeObject(json -> write(json, event));
    }

    private static void write(JsonGenerator json, TaskEvent event) {
        if (event instanceof TaskEvent.Started) {
            json.writeStringProperty("type", "started");
        } else if (event instanceof TaskEvent.Wrote wrote) {
            json.writeStringProperty("type", "output");
            json.writeStringProperty("stream", wrote.stream() == ExecutionListener.Stream.STDERR ? "stderr" : "stdout");
            json.writeNumberProperty("offset", wrote.offset());
            json.writeNumberProperty("next", wrote.next());
            byte[] bytes = wrote.bytes();
            if (Utf8.isText(bytes)) {
                json.writeName("text");
                json.writeUTF8String(bytes, 0, bytes.length); // As it is: most of a slave's output goes this way.
            } else {
                json.writeStringProperty("text", Base64.getEncoder().encodeToString(bytes));
                json.writeStringProperty("encoding", "base64");
            }
        } else if (event instanceof TaskEvent.Progressed progressed) {
            json.writeStringProperty("type", "progress");
            json.writeNumberProperty("percent", progressed.percent());
            json.writeStringProperty("message", progressed.message());
            json.writeNumberProperty("next", progressed.offset());
        } else if (event instanceof TaskEvent.Skipped skipped) {
            json.writeStringProperty("type", "skipped");
            json.writeNumberProperty("offset", skipped.offset());
            json.writeNumberProperty("next", skipped.next());
        } else if (event instanceof TaskEvent.Ended ended) {
            json.writeStringProperty("type", "result");
            json.writeObjectPropertyStart("result");
            write(json, ended.result(), false);
            json.writeEndObject();
        } else if (event instanceof TaskEvent.Failed failed) {
            json.writeStringProperty("type", "failed");
            json.writeStringProperty("error", failed.message());
            json.writeBooleanProperty("not_started", failed.notStarted());
        }
    }

    private static void write(JsonGenerator json, TaskResult result, boolean whole) {
        boolean text = whole && result.stdout().isUtf8() && result.stderr().isUtf8();
        json.writeBooleanProperty("success", result.success());
        if (whole) {
            json.writeStringProperty("output", encodeBytes(result.stdout(), text));
            json.writeStringProperty("error", encodeBytes(result.stderr(), text));
        }
        json.writeStringProperty("method", result.method());
        json.writeStringProperty("task_id", result.taskId().toString());
        result.commit().ifPresent(commit -> json.writeStringProperty("commit", commit));
        Termination end = result.termination();
        json.writeStringProperty("status", end.status().wireName());
        if (end.exitCode() != null) {
            json.writeNumberProperty("exit_code", end.exitCode());
        }
        if (end.signal() != null) {
            json.writeNumberProperty("signal", end.signal());
        }
        if (end.inferred()) {
            json.writeStringProperty("certainty", INFERRED);
        }
        json.writeBooleanProperty("output_truncated", result.stdout().truncated());
        json.writeBooleanProperty("error_truncated", result.stderr().truncated());
        json.writeNumberProperty("output_bytes", result.stdout().totalBytes());
        json.writeNumberProperty("error_bytes", result.stderr().totalBytes());
        if (whole) {
            json.writeStringProperty("output_encoding", text ? "utf-8" : "base64");
        }
        result.usage().ifPresent(usage -> {
            json.writeObjectPropertyStart("usage");
            json.writeNumberProperty("wall_ms", millis(usage.wall()));
            json.writeNumberProperty("cpu_user_ms", millis(usage.cpuUser()));
            json.writeNumberProperty("cpu_sys_ms", millis(usage.cpuSystem()));
            json.writeNumberProperty("max_rss_bytes", usage.maxRssBytes());
            json.writeEndObject();
        });
        result.timing().ifPresent(timing -> {
            json.writeObjectPropertyStart("timing");
            json.writeNumberProperty("queue_ms", millis(timing.queue()));
            json.writeNumberProperty("start_ms", millis(timing.start()));
            json.writeNumberProperty("run_ms", millis(timing.run()));
            json.writeEndObject();
        });
        result.executor().ifPresent(executor -> {
            json.writeObjectPropertyStart("executor");
            json.writeBooleanProperty("warm", executor.warm());
            json.writeArrayPropertyStart("isolation");
            executor.isolation().forEach(json::writeString);
            json.writeEndArray();
            executor.python().ifPresent(python -> json.writeStringProperty("python", python));
            json.writeEndObject();
        });
        json.writeArrayPropertyStart("rejected");
        for (Rejection rejection : result.rejected()) {
            json.writeStartObject();
            json.writeStringProperty("method", rejection.method());
            json.writeStringProperty("reason", rejection.reason());
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeNumberProperty("leftover_processes_killed", result.leftoverProcessesKilled());
    }

    @Override
    public byte[] encode(SlaveUpdate update) {
        return Json.write(
                Json.MAPPER.createObjectNode().put("from", update.from()).put("to", update.to()));
    }

    @Override
    public byte[] encodeUpdate(String commit) {
        return Json.write(Json.MAPPER.createObjectNode().put("commit", commit));
    }

    @Override
    public byte[] encodeError(String message) {
        return Json.write(Json.MAPPER.createObjectNode().put("error", message));
    }

    @Override
    public Health decodeHealth(byte[] bytes) {
        JsonFields json = JsonFields.parse(bytes);
        Map<String, Boolean> methods = new LinkedHashMap<>();
        json.object("execution_methods")
                .ifPresent(node -> node.names().forEach(name -> methods.put(name, node.flag(name, false))));
        return new Health(
                json.text("status", ""),
                json.text("python_version", ""),
                methods,
                version(json),
                json.text("boot_id"),
                json.flag("draining", false),
                json.object("slots").map(slots -> slots(slots)),
                json.object("capabilities").map(JsonWireFormat::capabilities));
    }

    private static Capabilities capabilities(JsonFields json) {
        return new Capabilities(
                Set.copyOf(json.list("labels")),
                Arrays.stream(Isolation.values()) // A newer slave's walls may have names that nobody here knows.
                        .filter(isolation -> json.text("isolation").equals(Optional.of(isolation.wireName())))
                        .findFirst()
                        .orElse(Isolation.NONE),
                (int) Math.min(Integer.MAX_VALUE, json.number("cpus").orElse(0)),
                json.number("memory_bytes").orElse(0),
                json.number("disk_free_bytes").orElse(0));
    }

    @Override
    public VersionInfo decodeVersion(byte[] bytes) {
        return version(JsonFields.parse(bytes));
    }

    @Override
    public Invocation decodeInvocation(byte[] bytes) {
        return decodeCall(bytes, Optional.empty()).invocation();
    }

    @Override
    public Call decodeCall(byte[] bytes, Optional<TaskId> key) {
        return call(JsonFields.parse(bytes), key);
    }

    @Override
    public List<BatchedCall> decodeBatch(byte[] bytes) {
        return JsonFields.parse(bytes)
                .items(
                        "tasks",
                        json -> new BatchedCall(Optional.of(call(json, Optional.empty())), Optional.empty()),
                        trouble -> new BatchedCall(Optional.empty(), Optional.of(trouble)));
    }

    private static Call call(JsonFields json, Optional<TaskId> key) {
        Optional<TaskId> inside = json.text("task_id").map(TaskId::parse);
        if (key.isPresent() && inside.isPresent() && !key.equals(inside)) {
            throw new InvalidTaskException(
                    "task_id", "differs from the Idempotency-Key beside it (expected: the same)");
        }
        Optional<TaskId> id = key.or(() -> inside);
        return new Call(invocation(json, id), id.isPresent());
    }

    private static Invocation invocation(JsonFields json, Optional<TaskId> id) {
        String source = json.text("command")
                .orElseThrow(() -> new InvalidTaskException("command", "missing (expected: a string, the source)"));
        Invocation.Builder builder = Invocation.builder(json.text("runtime", Invocation.PYTHON), source);
        json.text("working_dir").ifPresent(builder::workingDir);
        id.ifPresent(builder::taskId);
        json.seconds("timeout").ifPresent(builder::timeout);
        json.text("method").ifPresent(builder::method);
        json.text("min_isolation").ifPresent(name -> builder.minIsolation(isolation(name)));
        builder.env(json.texts("env"));
        builder.stdin(json.text("stdin", ""));
        builder.args(json.list("args"));
        builder.requirements(json.list("requirements"));
        json.text("image").ifPresent(builder::image);
        json.object("limits")
                .ifPresent(limits -> builder.limits(new Limits(
                        limits.number("memory_bytes"),
                        limits.seconds("cpu_seconds"),
                        limits.number("processes"),
                        limits.number("output_bytes"),
                        limits.number("file_bytes"))));
        return builder.build();
    }

    @Override
    public TaskResult decodeResult(byte[] bytes, Invocation sent) {
        return decodeResult(bytes, sent.taskId());
    }

    /** Reads a result of this task. */
    public TaskResult decodeResult(byte[] bytes, TaskId task) {
        return result(JsonFields.parse(bytes), task);
    }

    private static TaskResult result(JsonFields json, TaskId task) {
        if (!json.has("success")) {
            throw new InvalidTaskException("success", "missing (expected: true or false)");
        }
        boolean base64 = json.text("output_encoding", "utf-8").equals("base64");
        List<Rejection> rejected = new ArrayList<>();
        for (JsonFields item : json.objects("rejected")) {
            rejected.add(new Rejection(item.text("method", ""), item.text("reason", "")));
        }
        return new TaskResult(
                json.text("task_id").map(TaskId::parse).orElse(task),
                json.text("method", ""),
                termination(json),
                decodeBytes(json, "output", base64),
                decodeBytes(json, "error", base64),
                json.text("commit"),
                json.object("usage")
                        .map(usage -> new Usage(
                                usage.millis("wall_ms"),
                                usage.millis("cpu_user_ms"),
                                usage.millis("cpu_sys_ms"),
                                usage.number("max_rss_bytes").orElse(0))),
                json.object("timing")
                        .map(timing -> new Timing(
                                timing.millis("queue_ms"), timing.millis("start_ms"), timing.millis("run_ms"))),
                json.object("executor")
                        .map(info -> new ExecutorInfo(
                                info.flag("warm", false), info.list("isolation"), info.text("python"))),
                rejected,
                json.integer("leftover_processes_killed").orElse(0));
    }

    @Override
    public Optional<TaskEvent> decodeEvent(byte[] bytes, TaskId task) {
        JsonFields json = JsonFields.parse(bytes);
        long offset = json.number("offset").orElse(0);
        long next = json.number("next").orElse(0);
        return Optional.ofNullable(
                switch (json.text("type", "")) {
                    case "started" -> new TaskEvent.Started();
                    case "output" ->
                        new TaskEvent.Wrote(
                                json.text("stream", "").equals("stderr")
                                        ? ExecutionListener.Stream.STDERR
                                        : ExecutionListener.Stream.STDOUT,
                                bytes(json, "text", json.text("encoding", "").equals("base64")),
                                offset);
                    case "progress" ->
                        new TaskEvent.Progressed(json.decimal("percent").orElse(0), json.text("message", ""), next);
                    case "skipped" -> new TaskEvent.Skipped(offset, next);
                    case "result" ->
                        new TaskEvent.Ended(json.object("result")
                                .map(result -> result(result, task))
                                .orElseThrow(() -> new InvalidTaskException("result", "missing")));
                    case "failed" ->
                        new TaskEvent.Failed(oneLine(json.text("error", "")), json.flag("not_started", false));
                    default -> null;
                });
    }

    @Override
    public TaskState decodeState(byte[] bytes, TaskId task) {
        JsonFields json = JsonFields.parse(bytes);
        String name = json.text("state", "");
        TaskState.Phase phase = Stream.of(TaskState.Phase.values())
                .filter(known -> known.wireName().equals(name))
                .findFirst()
                .orElseThrow(() ->
                        new InvalidTaskException("state", "\"" + name + "\" (expected: queued, running or done)"));
        Optional<TaskResult> result = json.object("result").map(fields -> result(fields, task));
        if (result.isPresent() != (phase == TaskState.Phase.DONE)) {
            throw new InvalidTaskException("result", "does not fit the state " + name);
        }
        return new TaskState(task, phase, result);
    }

    @Override
    public String decodeUpdate(byte[] bytes) {
        return commit(JsonFields.parse(bytes), "commit");
    }

    @Override
    public SlaveUpdate decodeUpdated(byte[] bytes) {
        JsonFields json = JsonFields.parse(bytes);
        return new SlaveUpdate(commit(json, "from"), commit(json, "to"));
    }

    private static String commit(JsonFields json, String name) {
        return json.text(name)
                .orElseThrow(
                        () -> new InvalidTaskException(name, "missing (expected: a string, a commit's full hash)"));
    }

    @Override
    public String decodeError(byte[] bytes) {
        try {
            Optional<String> error = JsonFields.parse(bytes).text("error");
            if (error.isPresent()) {
                return oneLine(error.get());
            }
        } catch (InvalidTaskException e) {
            // Not ours: shown as it is.
        }
        return oneLine(new String(bytes, 0, Math.min(bytes.length, 2000), StandardCharsets.UTF_8));
    }

    private static VersionInfo version(JsonFields json) {
        return new VersionInfo(
                json.text("commit", VersionInfo.UNKNOWN),
                json.text("version", VersionInfo.UNKNOWN),
                json.text("branch", VersionInfo.UNKNOWN),
                json.flag("dirty", false));
    }

    private static Slots slots(JsonFields json) {
        try {
            return new Slots(
                    json.integer("total").orElse(0), json.integer("free").orElse(0));
        } catch (IllegalArgumentException e) {
            throw new InvalidTaskException("slots", String.valueOf(e.getMessage()));
        }
    }

    private static Isolation isolation(String name) {
        for (Isolation isolation : Isolation.values()) {
            if (isolation.wireName().equals(name)) {
                return isolation;
            }
        }
        throw new InvalidTaskException("min_isolation", "\"" + name + "\" (expected: none, process or container)");
    }

    private static Termination termination(JsonFields json) {
        boolean success = json.flag("success", false);
        Optional<Integer> exitCode = json.integer("exit_code");
        Optional<Integer> signal = json.integer("signal");
        if (success) {
            return Termination.OK;
        }
        // An original slave sends no status, and a newer one may send a status that this side does not know.
        Termination.Status status = json.text("status")
                .flatMap(Termination.Status::ofWireName)
                .filter(known -> known != Termination.Status.OK)
                .orElse(signal.isPresent() ? Termination.Status.SIGNALED : Termination.Status.NONZERO_EXIT);
        boolean inferred = json.text("certainty", "").equals(INFERRED);
        return new Termination(
                status, signal.isPresent() ? null : exitCode.orElse(null), signal.orElse(null), inferred);
    }

    private static String encodeBytes(Output output, boolean text) {
        return text ? output.text() : Base64.getEncoder().encodeToString(output.bytes());
    }

    private static byte[] bytes(JsonFields json, String name, boolean base64) {
        String text = json.text(name, "");
        try {
            return base64 ? Base64.getDecoder().decode(text) : text.getBytes(StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            throw new InvalidTaskException(name, "not base64, though its encoding says so");
        }
    }

    private static Output decodeBytes(JsonFields json, String name, boolean base64) {
        byte[] bytes = bytes(json, name, base64);
        return Output.of(
                bytes, Math.max(bytes.length, json.number(name + "_bytes").orElse(bytes.length)));
    }

    private static double seconds(Duration duration) {
        return duration.toNanos() / 1e9;
    }

    private static double millis(Duration duration) {
        return Math.round(duration.toNanos() / 1e3) / 1e3;
    }

    private static String oneLine(String text) {
        String line = text.replaceAll("[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]+", " ").strip();
        return line.length() > 500 ? line.substring(0, 500) + "…" : line;
    }
}
