package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.Invocation;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.Options;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.Transport;
import dev.d8.testkit.GatedExecutor;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Tasks that a caller may ask for again: a slave server on a real socket, whose executor waits for the test. */
@Timeout(60)
@ExtendWith(NoLeaks.class)
class TasksOverHttpTest {

    private final GatedExecutor gate = new GatedExecutor();
    private final Transport transport = new NettyTransportProvider().create(Options.NONE);
    private final SlaveServer slave = SlaveServer.builder()
            .port(0)
            .token(Slave.TOKEN)
            .transport(transport)
            .executor(gate)
            .executors(List.of("gated"))
            .maxConcurrent(1)
            .metrics(() -> "d8_tasks_total 7\n")
            .start();

    @AfterEach
    void close() {
        gate.letGo(1000);
        slave.close();
        transport.close();
    }

    private RawConnection open() throws IOException {
        return new RawConnection(slave.uri());
    }

    private RawConnection.Reply ask(String method, String path, String headers, String body) throws IOException {
        try (RawConnection connection = open()) {
            return connection.send(request(method, path, headers, body)).read();
        }
    }

    private static String request(String method, String path, String headers, String body) {
        return method + " " + path + " HTTP/1.1\r\nHost: d8\r\n" + Slave.AUTHORIZATION + headers
                + (body.isEmpty() ? "" : "Content-Length: " + body.length() + "\r\n") + "\r\n" + body;
    }

    private static String task(TaskId id) {
        return "{\"command\":\"print(55)\",\"task_id\":\"" + id + "\"}";
    }

    private static String path(TaskId id) {
        return "/api/tasks/" + id;
    }

    /** Asks until a task is in a state; each time the slave waits for its end, so that nobody asks in a loop. */
    private String awaitDone(TaskId id) throws IOException {
        RawConnection.Reply reply = ask("GET", path(id) + "?wait=30", "", "");
        assertThat(reply.status()).isEqualTo(200);
        assertThat(reply.body()).contains("\"state\":\"done\"");
        return reply.body();
    }

    @Test
    void a_task_is_taken_at_once_and_its_result_fetched_when_it_is_there() throws Exception {
        TaskId id = TaskId.random();
        RawConnection.Reply taken = ask("POST", "/api/tasks", "", task(id));
        assertThat(taken.status()).isEqualTo(202);
        assertThat(taken.headers()).containsEntry("location", path(id)).doesNotContainKey("idempotency-replayed");
        assertThat(taken.body())
                .startsWith("{\"task_id\":\"" + id + "\",\"state\":\"")
                .doesNotContain("result");
        gate.awaitStarted();
        assertThat(ask("GET", path(id), "", "").body()).isEqualTo("{\"task_id\":\"" + id + "\",\"state\":\"running\"}");
        assertThat(ask("GET", path(id) + "?wait=0.01", "", "").body()).contains("\"state\":\"running\"");

        CompletableFuture<String> patient = CompletableFuture.supplyAsync(() -> {
            try {
                return awaitDone(id);
            } catch (IOException e) {
                throw new IllegalStateException(e);
            }
        });
        gate.letGo(1);
        assertThat(patient.get(30, TimeUnit.SECONDS)).contains("\"result\":{\"success\":true,\"output\":\"55\\n\"");
        assertThat(ask("POST", "/api/tasks", "", task(id)))
                .satisfies(again -> assertThat(again.status()).isEqualTo(200))
                .satisfies(again -> assertThat(again.headers()).containsEntry("idempotency-replayed", "true"));
        assertThat(gate.started()).isEqualTo(1);
        try (RawConnection connection = open()) {
            connection.send(request("HEAD", path(id), "", ""));
            assertThat(connection.read(false).status()).isEqualTo(200);
        }
    }

    @Test
    void a_task_without_an_id_gets_one_where_it_is_only_taken() throws Exception {
        RawConnection.Reply taken = ask("POST", "/api/tasks", "", "{\"command\":\"print(55)\"}");
        assertThat(taken.status()).isEqualTo(202);
        gate.letGo(1);
        assertThat(ask("GET", taken.headers().get("location") + "?wait=30", "", "")
                        .body())
                .contains("\"state\":\"done\"");
    }

    @Test
    void what_is_sent_twice_is_answered_twice_with_the_same_bytes_and_runs_once() throws Exception {
        TaskId id = TaskId.random();
        gate.letGo(2);
        RawConnection.Reply first = ask("POST", "/api/execute", "", task(id));
        RawConnection.Reply second = ask("POST", "/api/execute", "Idempotency-Key: \"" + id + "\"\r\n", task(id));
        assertThat(first.status()).isEqualTo(200);
        assertThat(first.headers()).doesNotContainKey("idempotency-replayed");
        assertThat(second.headers()).containsEntry("idempotency-replayed", "true");
        assertThat(second.body()).isEqualTo(first.body());
        assertThat(gate.started()).isEqualTo(1);
    }

    @Test
    void a_key_beside_a_body_without_an_id_is_the_tasks_id() throws Exception {
        TaskId id = TaskId.random();
        gate.letGo(1);
        String key = "Idempotency-Key: " + id + "\r\n";
        assertThat(ask("POST", "/api/execute", key, "{\"command\":\"print(55)\"}")
                        .body())
                .contains("\"task_id\":\"" + id + "\"");
        assertThat(ask("POST", "/api/execute", key, task(TaskId.random())).status())
                .isEqualTo(400);
        assertThat(ask("POST", "/api/execute", "Idempotency-Key: 1\r\n", task(id))
                        .status())
                .isEqualTo(400);
        assertThat(ask("POST", "/api/execute", key + key, task(id)).status()).isEqualTo(400);
    }

    @Test
    void a_resend_meanwhile_is_told_where_to_look_or_joins_if_it_would_rather_wait() throws Exception {
        TaskId id = TaskId.random();
        try (RawConnection first = open();
                RawConnection joined = open()) {
            first.send(request("POST", "/api/execute", "", task(id)));
            gate.awaitStarted();
            RawConnection.Reply hasty = ask("POST", "/api/execute", "", task(id));
            assertThat(hasty.status()).isEqualTo(409);
            assertThat(hasty.headers()).containsEntry("location", path(id)).containsEntry("retry-after", "1");
            joined.send(request("POST", "/api/execute", "Prefer: respond-async, wait=30\r\n", task(id)));
            // So that it has joined before the end: the same connection tells in order.
            assertThat(ask("GET", path(id), "", "").body()).contains("running");
            gate.letGo(1);
            assertThat(joined.read().body()).isEqualTo(first.read().body());
        }
        assertThat(gate.started()).isEqualTo(1);
    }

    @Test
    void an_id_with_another_body_is_422() throws Exception {
        TaskId id = TaskId.random();
        ask("POST", "/api/tasks", "", task(id));
        RawConnection.Reply other = ask("POST", "/api/tasks", "", task(id).replace("print(55)", "print(56)"));
        assertThat(other.status()).isEqualTo(422);
        assertThat(other.body()).contains(id.toString(), "was used with another task");
    }

    @Test
    void a_caller_that_leaves_takes_its_task_along_unless_it_gave_an_id() throws Exception {
        TaskId id = TaskId.random();
        try (RawConnection keyed = open()) {
            keyed.send(request("POST", "/api/execute", "", task(id)));
            gate.awaitStarted();
        }
        gate.letGo(1);
        assertThat(awaitDone(id)).contains("\"success\":true");

        try (RawConnection nameless = open()) {
            nameless.send(request("POST", "/api/execute", "", "{\"command\":\"print(55)\"}"));
            gate.awaitStarted();
        }
        gate.awaitInterrupted();
    }

    @Test
    void a_task_is_cancelled_by_its_id_as_often_as_one_likes() throws Exception {
        TaskId id = TaskId.random();
        ask("POST", "/api/tasks", "", task(id));
        gate.awaitStarted();
        assertThat(ask("DELETE", path(id), "", "").status()).isEqualTo(202);
        gate.awaitInterrupted();
        assertThat(awaitDone(id)).contains("\"status\":\"cancelled\"", "cancelled by its caller");
        assertThat(ask("DELETE", path(id), "", "").status()).isEqualTo(200);

        TaskId early = TaskId.random();
        assertThat(ask("DELETE", path(early), "", "").status()).isEqualTo(202);
        assertThat(ask("POST", "/api/execute", "", task(early)).body()).contains("\"status\":\"cancelled\"");
        assertThat(gate.started()).isEqualTo(1);
    }

    @Test
    void a_client_that_gives_up_has_the_slave_end_the_task() throws Exception {
        try (SlaveClient client = transport.connect(slave.uri(), new Credentials(Slave.TOKEN))) {
            CompletableFuture<TaskResult> result =
                    client.execute(Invocation.python("print(55)").build(), ExecutionListener.NONE);
            gate.awaitStarted();
            result.cancel(true);
            gate.awaitInterrupted();
            assertThatThrownBy(result::join).isInstanceOf(CancellationException.class);
        }
    }

    @Test
    void what_is_counted_is_shown_as_prometheus_reads_it() throws Exception {
        RawConnection.Reply reply = ask("GET", "/metrics", "", "");
        assertThat(reply.status()).isEqualTo(200);
        assertThat(reply.headers()).containsEntry("content-type", "text/plain; version=0.0.4; charset=utf-8");
        assertThat(reply.body()).isEqualTo("d8_tasks_total 7\n");
    }

    @Test
    void slots_are_counted() throws Exception {
        ask("POST", "/api/tasks", "", task(TaskId.random()));
        gate.awaitStarted();
        ask("POST", "/api/tasks", "", task(TaskId.random()));
        assertThat(ask("GET", "/api/slots", "", "").body())
                .isEqualTo("{\"total\":1,\"free\":0,\"running\":1,\"queued\":1}");
    }

    @Test
    void what_never_came_is_404_and_what_makes_no_sense_400() throws Exception {
        TaskId id = TaskId.random();
        assertThat(ask("GET", path(id), "", "").status()).isEqualTo(404);
        assertThat(ask("GET", "/api/tasks/1", "", "").status()).isEqualTo(400);
        assertThat(ask("GET", "/api/tasks/", "", "").status()).isEqualTo(400);
        ask("POST", "/api/tasks", "", task(id));
        for (String wait : new String[] {"61", "-1", "soon", "NaN", ""}) {
            assertThat(ask("GET", path(id) + "?wait=" + wait, "", "").status())
                    .as("wait=%s", wait)
                    .isEqualTo(400);
        }
        assertThat(ask("POST", "/api/tasks", "", "{}").status()).isEqualTo(400);
    }

    @ParameterizedTest
    @CsvSource({
        "POST, /api/tasks",
        "GET, /api/slots",
        "GET, /metrics",
        "GET, /api/tasks/00000000-0000-4000-8000-000000000000",
        "DELETE, /api/tasks/00000000-0000-4000-8000-000000000000"
    })
    void nobody_without_the_token_learns_or_does_anything(String method, String path) throws Exception {
        String body = method.equals("POST") ? task(TaskId.random()) : "";
        for (String authorization :
                new String[] {"", "Authorization: Bearer wrong\r\n", "Authorization: Basic eDp5\r\n"}) {
            try (RawConnection connection = open()) {
                RawConnection.Reply reply = connection
                        .send(request(method, path, authorization, body).replace(Slave.AUTHORIZATION, ""))
                        .read();
                assertThat(reply.status()).isEqualTo(401);
                assertThat(reply.body()).isEqualTo("{\"error\":\"Unauthorized\"}");
            }
        }
        assertThat(gate.started()).isZero();
    }

    @ParameterizedTest
    @CsvSource({"PUT, /api/tasks, POST", "GET, /api/tasks, POST", "POST, /api/slots, 'GET, HEAD'"})
    void other_methods_are_405_with_those_that_are_allowed(String method, String path, String allowed)
            throws Exception {
        RawConnection.Reply reply = ask(method, path, "", "");
        assertThat(reply.status()).isEqualTo(405);
        assertThat(reply.headers()).containsEntry("allow", allowed);
        RawConnection.Reply one = ask("POST", path(TaskId.random()), "", "");
        assertThat(one.headers()).containsEntry("allow", "GET, HEAD, DELETE");
    }
}
