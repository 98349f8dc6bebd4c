package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Grant;
import dev.d8.Scope;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveUpdate;
import dev.d8.TaskId;
import dev.d8.Token;
import dev.d8.UpdateRefusedException;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Options;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.Transport;
import dev.d8.testkit.RecordingSlaveService;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** What has a slave give each answer that the contract has. Those of a list are played one after another. */
final class Scenarios implements AutoCloseable {

    private static final Token READER = Token.of("a-token-that-may-only-read-0123456789abc");
    private static final String READS = "Authorization: Bearer " + READER.reveal() + "\r\n";
    private static final Token ADMIN = Token.of("a-token-that-may-do-everything-0123456789");
    private static final String ADMINISTERS = "Authorization: Bearer " + ADMIN.reveal() + "\r\n";
    private static final List<Grant> GRANTS = List.of(
            Grant.everything(Slave.TOKEN),
            new Grant("reader", READER, Scope.READ),
            new Grant("admin", ADMIN, Scope.ADMIN));
    private static final String AUTH = Slave.AUTHORIZATION;
    private static final String PLAIN = "{\"command\":\"print(55)\"}";
    private static final String EVENTS = "Accept: text/event-stream\r\n";
    private static final String KEY = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    private static final String UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\n" + KEY;
    private static final String EXECUTE = "/api/execute";
    private static final String BATCH = "/api/execute/batch";
    private static final String TASKS = "/api/tasks";
    private static final String TASK = "/api/tasks/{id}";
    private static final String UPDATE = "/api/update";
    private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";
    private static final String FOLLOW = "/api/tasks/{id}/events";
    private static final int MAX_BODY = 4096;

    private final OddExecutor executor = new OddExecutor("odd", true);
    private final Transport transport = new NettyTransportProvider()
            .create(Options.of(Map.of("max_body", String.valueOf(MAX_BODY), "max_packed_body", "100")));
    private final SlaveServer good = slave(10_000);
    private final URI broken = transport
            .serve(new BrokenService(), URI.create("http://127.0.0.1:0"), new ServerSecurity(() -> GRANTS))
            .uri();
    private final RecordingSlaveService updated = new RecordingSlaveService();
    private final URI updates = transport
            .serve(updated, URI.create("http://127.0.0.1:0"), new ServerSecurity(() -> GRANTS))
            .uri();

    /** Keeps one result, and has forgotten that of one task. */
    private final SlaveServer forgetful = slave(1);

    private final TaskId forgotten = TaskId.random();

    /** Keeps one result, which nobody has fetched. */
    private final SlaveServer full = slave(1);

    private final SlaveServer stopping = slave(10_000);

    private final Slave impatient = new Slave("header_timeout", "1");
    private final Slave crowded = new Slave("max_connections", "1");
    private final RawConnection crowd;
    private final List<RawConnection> slow = new ArrayList<>();
    private final List<Scenario> all = new ArrayList<>();

    /** How one answer comes about. */
    interface Play {
        RawConnection.Reply play() throws Exception;
    }

    /** The same with any method of the path. */
    interface PlayWith {
        RawConnection.Reply play(String method) throws Exception;
    }

    /** One answer and how it comes about. */
    record Scenario(String method, String path, int status, String what, Play play) {
        String operation() {
            return method + " " + path;
        }

        String name() {
            return operation() + " " + status + ", " + what;
        }
    }

    Scenarios(Contract contract) throws Exception {
        for (TaskId id : List.of(forgotten, TaskId.random())) {
            assertThat(ask(forgetful, "POST", EXECUTE, AUTH, task("x", id)).status())
                    .isEqualTo(200);
        }
        TaskId unfetched = TaskId.random();
        ask(full, "POST", TASKS, AUTH, task(OddExecutor.WAIT, unfetched));
        executor.awaitWaiting(unfetched);
        ask(full, "DELETE", TASKS + "/" + unfetched, AUTH, "");
        // Waits for its end without fetching its result.
        ask(full, "HEAD", TASKS + "/" + unfetched + "?wait=30", AUTH, "");
        stopping.drain(Duration.ZERO);
        crowd = crowded.open();
        crowd.send("GET /api/health HTTP/1.1\r\nHost: d8\r\n\r\n").read();
        for (Contract.Operation one : contract.operations()) {
            String method = one.method();
            String path = one.path();
            anyRequest(method, path);
            if (!one.node().path("security").isArray()) {
                add(method, path, 401, "no token", () -> ask(good, method, sample(path), "", ""));
            }
            if (one.statuses().contains("500")) {
                add(
                        method,
                        path,
                        500,
                        "a fault",
                        () -> Asking.ask(broken, method, sample(path), auth(path), body(path)));
            }
            if (method.equals("POST")) {
                anyBody(path);
            }
        }
        slave();
        execute();
        batch();
        submit();
        tasks();
        follow();
        update();
    }

    private static String auth(String path) {
        return path.equals(UPDATE) ? ADMINISTERS : AUTH;
    }

    private static String body(String path) {
        return path.equals(UPDATE) ? "{\"commit\":\"" + COMMIT + "\"}" : PLAIN;
    }

    List<Scenario> all() {
        return all;
    }

    URI slaveUri() {
        return good.uri();
    }

    static String sample(String path) {
        return path.replace("{id}", "00000000-0000-4000-8000-000000000000");
    }

    private void add(String method, String path, int status, String what, Play play) {
        all.add(new Scenario(method, path, status, what, play));
    }

    private void get(String path, int status, String what, PlayWith play) {
        for (String method : List.of("GET", "HEAD")) {
            add(method, path, status, what, () -> play.play(method));
        }
    }

    /** What is decided before anybody looks at the path. */
    private void anyRequest(String method, String path) throws IOException {
        String at = sample(path);
        add(method, path, 400, "a second Host", () -> ask(good, method, at, AUTH + "Host: x\r\n", ""));
        add(method, path, 403, "a web page", () -> ask(good, method, at, AUTH + "Origin: http://x\r\n", ""));
        add(method, path, 414, "a long query", () -> ask(good, method, at + "?" + "x".repeat(9000), AUTH, ""));
        add(method, path, 431, "many headers", () -> ask(good, method, at, AUTH + "X: y\r\n".repeat(100), ""));
        add(method, path, 503, "a crowd", () -> Asking.ask(crowded.binding.uri(), method, at, AUTH, ""));
        RawConnection late = impatient.open().send(method + " " + at + " HTTP/1.1\r\nHost: d8\r\n");
        slow.add(late);
        add(method, path, 408, "half a head", () -> Asking.read(late, method));
    }

    private void anyBody(String path) {
        String auth = auth(path);
        String large = "x".repeat(MAX_BODY + 1);
        add("POST", path, 400, "no JSON", () -> ask(good, "POST", path, auth, "no JSON"));
        add(
                "POST",
                path,
                400,
                "no gzip",
                () -> ask(good, "POST", path, auth + "Content-Encoding: gzip\r\n", body(path)));
        add("POST", path, 403, "may only read", () -> ask(good, "POST", path, READS, body(path)));
        add("POST", path, 413, "too long", () -> ask(good, "POST", path, auth, large));
        add(
                "POST",
                path,
                413,
                "too long, packed",
                () -> ask(good, "POST", path, auth + "Content-Encoding: gzip\r\n", large));
        add(
                "POST",
                path,
                415,
                "text",
                () -> ask(good, "POST", path, auth + "Content-Type: text/plain\r\n", body(path)));
        add("POST", path, 415, "br", () -> ask(good, "POST", path, auth + "Content-Encoding: br\r\n", body(path)));
        add("POST", path, 417, "Expect", () -> ask(good, "POST", path, auth + "Expect: a-miracle\r\n", body(path)));
    }

    private void slave() {
        for (String path : List.of("/api/health", "/api/version", "/api/openapi.json", "/api/slots", "/metrics")) {
            get(path, 200, "well", method -> ask(good, method, path, READS, ""));
        }
        get("/metrics", 404, "it counts nothing", method -> ask(forgetful, method, "/metrics", AUTH, ""));
    }

    /** What handing over a task may come to, whether its result is waited for or not. */
    private void task(String path) {
        add("POST", path, 400, "a field of another type", () -> ask(good, "POST", path, AUTH, "{\"command\":7}"));
        add("POST", path, 410, "forgotten", () -> ask(forgetful, "POST", path, AUTH, task("x", forgotten)));
        add(
                "POST",
                path,
                422,
                "no executor",
                () -> ask(good, "POST", path, AUTH, "{\"command\":\"x\",\"method\":\"docker\"}"));
        add("POST", path, 422, "another task's id", () -> ask(good, "POST", path, AUTH, task("another", done("x"))));
        add("POST", path, 429, "the queue is full", () -> busy(running -> ask(good, "POST", path, AUTH, PLAIN)));
        add("POST", path, 503, "stopping", () -> ask(stopping, "POST", path, AUTH, PLAIN));
        add("POST", path, 503, "unfetched results", () -> ask(full, "POST", path, AUTH, task("x", TaskId.random())));
    }

    private void execute() {
        task(EXECUTE);
        for (String command : List.of("x", OddExecutor.EVERYTHING, OddExecutor.SIGNAL)) {
            add("POST", EXECUTE, 200, command, () -> ask(good, "POST", EXECUTE, AUTH, command(command)));
        }
        for (String command : List.of("x", OddExecutor.EVERYTHING, OddExecutor.TALK)) {
            add(
                    "POST",
                    EXECUTE,
                    200,
                    command + ", events",
                    () -> ask(good, "POST", EXECUTE, AUTH + EVENTS, command(command)));
        }
        add(
                "POST",
                EXECUTE,
                200,
                "packed",
                () -> ask(good, "POST", EXECUTE, AUTH + "Accept-Encoding: gzip\r\n", command("x".repeat(2000))));
        add("POST", EXECUTE, 200, "once more", () -> replayed(ask(good, "POST", EXECUTE, AUTH, task("x", done("x")))));
        add(
                "POST",
                EXECUTE,
                200,
                "once more, events",
                () -> replayed(ask(good, "POST", EXECUTE, AUTH + EVENTS, task("x", done("x")))));
        add("POST", EXECUTE, 200, "events without a result", () -> {
            TaskId id = TaskId.random();
            try (RawConnection connection = new RawConnection(good.uri())) {
                connection.send(Asking.request("POST", EXECUTE, AUTH + EVENTS, task(OddExecutor.FAIL_LATE, id)));
                executor.awaitWaiting(id);
                ask(good, "DELETE", TASKS + "/" + id, AUTH, "");
                return Asking.read(connection, "POST");
            }
        });
        add("POST", EXECUTE, 200, "cancelled before it came", () -> {
            TaskId id = TaskId.random();
            ask(good, "DELETE", TASKS + "/" + id, AUTH, "");
            return ask(good, "POST", EXECUTE, AUTH, task("x", id));
        });
        add("POST", EXECUTE, 409, "under way", () -> busy(id -> ask(good, "POST", EXECUTE, AUTH, task("wait", id))));
        add(
                "POST",
                EXECUTE,
                500,
                "its executor fails",
                () -> ask(good, "POST", EXECUTE, AUTH, command(OddExecutor.FAIL)));
    }

    private void batch() {
        String tasks = "{\"tasks\":["
                + String.join(
                        ",",
                        PLAIN,
                        "{}",
                        command(OddExecutor.FAIL),
                        "{\"command\":\"x\",\"method\":\"docker\"}",
                        command(OddExecutor.EVERYTHING))
                + "]}";
        String lines = "Accept: application/x-ndjson\r\n";
        add("POST", BATCH, 200, "in order", () -> ask(good, "POST", BATCH, AUTH, tasks));
        add("POST", BATCH, 200, "as they end", () -> ask(good, "POST", BATCH, AUTH + lines, tasks));
        add("POST", BATCH, 200, "others are first", () -> busy(id -> ask(good, "POST", BATCH, AUTH, tasks)));
        add("POST", BATCH, 200, "stopping", () -> ask(stopping, "POST", BATCH, AUTH + lines, tasks));
        add(
                "POST",
                BATCH,
                200,
                "forgotten",
                () -> ask(forgetful, "POST", BATCH, AUTH, "{\"tasks\":[" + task("x", forgotten) + "]}"));
        add("POST", BATCH, 400, "no tasks", () -> ask(good, "POST", BATCH, AUTH, "{}"));
    }

    private void submit() {
        task(TASKS);
        add("POST", TASKS, 200, "over", () -> replayed(ask(good, "POST", TASKS, AUTH, task("x", done("x")))));
        add("POST", TASKS, 200, "over, packed", () -> {
            String command = "x".repeat(2000);
            return ask(good, "POST", TASKS, AUTH + "Accept-Encoding: gzip\r\n", task(command, done(command)));
        });
        add("POST", TASKS, 202, "taken", () -> {
            TaskId id = TaskId.random();
            RawConnection.Reply taken = ask(good, "POST", TASKS, AUTH, task(OddExecutor.WAIT, id));
            executor.awaitWaiting(id);
            end(id);
            return taken;
        });
        add(
                "POST",
                TASKS,
                202,
                "once more",
                () -> busy(id -> replayed(ask(good, "POST", TASKS, AUTH, task("wait", id)))));
    }

    private void tasks() {
        get(TASK, 200, "done", method -> ask(good, method, TASKS + "/" + done(OddExecutor.EVERYTHING), READS, ""));
        get(
                TASK,
                200,
                "done, packed",
                method -> ask(
                        good, method, TASKS + "/" + done("x".repeat(2000)), AUTH + "Accept-Encoding: gzip\r\n", ""));
        get(TASK, 200, "running", method -> busy(id -> ask(good, method, TASKS + "/" + id + "?wait=0.01", AUTH, "")));
        get(TASK, 400, "no id", method -> ask(good, method, TASKS + "/1", AUTH, ""));
        get(TASK, 400, "a long wait", method -> ask(good, method, TASKS + "/" + done("x") + "?wait=61", AUTH, ""));
        get(TASK, 404, "never came", method -> ask(good, method, TASKS + "/" + TaskId.random(), AUTH, ""));
        get(TASK, 410, "forgotten", method -> ask(forgetful, method, TASKS + "/" + forgotten, AUTH, ""));

        add("DELETE", TASK, 200, "over", () -> ask(good, "DELETE", TASKS + "/" + done("x"), AUTH, ""));
        add("DELETE", TASK, 200, "forgotten", () -> ask(forgetful, "DELETE", TASKS + "/" + forgotten, AUTH, ""));
        add("DELETE", TASK, 202, "running", () -> busy(id -> ask(good, "DELETE", TASKS + "/" + id, AUTH, "")));
        add("DELETE", TASK, 202, "to come", () -> ask(good, "DELETE", TASKS + "/" + TaskId.random(), AUTH, ""));
        add("DELETE", TASK, 400, "no id", () -> ask(good, "DELETE", TASKS + "/1", AUTH, ""));
        add("DELETE", TASK, 403, "may only read", () -> ask(good, "DELETE", TASKS + "/" + TaskId.random(), READS, ""));
        add(
                "DELETE",
                TASK,
                503,
                "unfetched results",
                () -> ask(full, "DELETE", TASKS + "/" + TaskId.random(), AUTH, ""));
    }

    private void follow() {
        for (String command : List.of("x", OddExecutor.TALK, OddExecutor.FLOOD)) {
            get(FOLLOW, 200, command, method -> ask(good, method, events(done(command)), READS, ""));
        }
        get(FOLLOW, 400, "no offset", method -> ask(good, method, events(done("x")) + "?from=x", AUTH, ""));
        get(FOLLOW, 404, "never came", method -> ask(good, method, events(TaskId.random()), AUTH, ""));
        get(FOLLOW, 410, "forgotten", method -> ask(forgetful, method, events(forgotten), AUTH, ""));
        add(
                "GET",
                FOLLOW,
                101,
                "a WebSocket",
                () -> ask(good, "GET", events(done(OddExecutor.TALK)), AUTH + UPGRADE, ""));
        add(
                "GET",
                FOLLOW,
                400,
                "half a WebSocket",
                () -> ask(good, "GET", events(done("x")), AUTH + "Upgrade: websocket\r\n", ""));
        add(
                "GET",
                FOLLOW,
                426,
                "an old WebSocket",
                () -> ask(good, "GET", events(done("x")), AUTH + UPGRADE.replace("13", "8"), ""));
    }

    private void update() {
        add(
                "POST",
                UPDATE,
                200,
                "it runs that already",
                () -> update(COMMIT, updating(new SlaveUpdate(COMMIT, COMMIT))));
        add(
                "POST",
                UPDATE,
                202,
                "it starts anew",
                () -> update(COMMIT, updating(new SlaveUpdate("f".repeat(40), COMMIT))));
        add("POST", UPDATE, 400, "no hash", () -> ask(good, "POST", UPDATE, ADMINISTERS, "{\"commit\":7}"));
        add("POST", UPDATE, 403, "no admin", () -> ask(good, "POST", UPDATE, AUTH, body(UPDATE)));
        add("POST", UPDATE, 403, "switched off", () -> ask(good, "POST", UPDATE, ADMINISTERS, body(UPDATE)));
        add(
                "POST",
                UPDATE,
                409,
                "impossible",
                () -> update(
                        COMMIT,
                        CompletableFuture.failedFuture(new UpdateRefusedException(
                                UpdateRefusedException.Reason.IMPOSSIBLE, "no fast-forward"))));
        add("POST", UPDATE, 429, "busy", () -> update(COMMIT, refusing(SlaveRefusedException.Reason.QUEUE_FULL)));
        add("POST", UPDATE, 503, "stopping", () -> update(COMMIT, refusing(SlaveRefusedException.Reason.DRAINING)));
    }

    private static CompletableFuture<SlaveUpdate> updating(SlaveUpdate update) {
        return CompletableFuture.completedFuture(update);
    }

    private static CompletableFuture<SlaveUpdate> refusing(SlaveRefusedException.Reason reason) {
        return CompletableFuture.failedFuture(new SlaveRefusedException(reason, Duration.ofSeconds(30), "not now"));
    }

    private RawConnection.Reply update(String commit, CompletableFuture<SlaveUpdate> answer) throws IOException {
        updated.updating(asked -> {
            assertThat(asked).isEqualTo(commit);
            return answer;
        });
        return Asking.ask(updates, "POST", UPDATE, ADMINISTERS, body(UPDATE));
    }

    private static String events(TaskId id) {
        return TASKS + "/" + id + "/events";
    }

    private static String command(String command) {
        return "{\"command\":\"" + command + "\"}";
    }

    private static String task(String command, TaskId id) {
        return "{\"command\":\"" + command + "\",\"task_id\":\"" + id + "\"}";
    }

    private static RawConnection.Reply replayed(RawConnection.Reply reply) {
        assertThat(reply.headers()).containsEntry("idempotency-replayed", "true");
        return reply;
    }

    /** Runs a task and returns its id. */
    private TaskId done(String command) throws IOException {
        TaskId id = TaskId.random();
        assertThat(ask(good, "POST", EXECUTE, AUTH, task(command, id)).status()).isEqualTo(200);
        return id;
    }

    private void end(TaskId id) throws IOException {
        ask(good, "DELETE", TASKS + "/" + id, AUTH, "");
        ask(good, "GET", TASKS + "/" + id + "?wait=30", AUTH, "");
    }

    /** What can be played while a task runs. */
    interface Meanwhile {
        RawConnection.Reply play(TaskId running) throws Exception;
    }

    /** Has one task run and one wait, which is all that there is room for. */
    private RawConnection.Reply busy(Meanwhile meanwhile) throws Exception {
        TaskId running = TaskId.random();
        TaskId queued = TaskId.random();
        ask(good, "POST", TASKS, AUTH, task(OddExecutor.WAIT, running));
        executor.awaitWaiting(running);
        ask(good, "POST", TASKS, AUTH, task(OddExecutor.WAIT, queued));
        try {
            return meanwhile.play(running);
        } finally {
            end(queued);
            end(running);
        }
    }

    private SlaveServer slave(int results) {
        SlaveServer.Builder builder = SlaveServer.builder()
                .port(0)
                .grants(() -> GRANTS)
                .transport(transport)
                .executor(executor)
                .executor(new OddExecutor("absent", false))
                .executors(List.of("odd", "absent"))
                .maxConcurrent(1)
                .queueCapacity(1)
                .keepResults(results, 64 << 20, Duration.ofHours(24));
        return (results > 1 ? builder.metrics(() -> "d8_tasks_total 7\n") : builder).start();
    }

    private static RawConnection.Reply ask(SlaveServer slave, String method, String path, String headers, String body)
            throws IOException {
        return Asking.ask(slave.uri(), method, path, headers, body);
    }

    @Override
    public void close() throws IOException {
        for (RawConnection connection : slow) {
            connection.close();
        }
        crowd.close();
        crowded.close();
        impatient.close();
        for (SlaveServer slave : List.of(good, forgetful, full, stopping)) {
            slave.close();
        }
        transport.close();
    }
}
