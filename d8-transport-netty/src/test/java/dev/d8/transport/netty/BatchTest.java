package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Invocation;
import dev.d8.Output;
import dev.d8.TaskId;
import dev.d8.slave.SlaveServer;
import dev.d8.testkit.GatedExecutor;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Several tasks in one request: each has its own answer, and others get their turn meanwhile. */
@Timeout(60)
@ExtendWith(NoLeaks.class)
class BatchTest {

    private static final String LINES = "Accept: application/x-ndjson\r\n";
    private static final String TASK = "{\"command\":\"print(55)\"}";

    private final GatedExecutor gate = new GatedExecutor();
    private final SlaveServer slave = SlaveServer.builder()
            .port(0)
            .token(Slave.TOKEN)
            .executor(gate)
            .executors(List.of("gated"))
            .maxConcurrent(1)
            .queueCapacity(3)
            .start();

    @AfterEach
    void close() {
        gate.letGo(100_000);
        slave.close();
    }

    private RawConnection open() throws IOException {
        return new RawConnection(slave.uri());
    }

    private static String batch(String headers, String... tasks) {
        return raw(headers, "{\"tasks\":[" + String.join(",", tasks) + "]}");
    }

    private static String raw(String headers, String json) {
        return "POST /api/execute/batch HTTP/1.1\r\nHost: d8\r\n" + Slave.AUTHORIZATION + headers + "Content-Length: "
                + json.length() + "\r\n\r\n" + json;
    }

    private static String[] many(int count) {
        return Stream.generate(() -> TASK).limit(count).toArray(String[]::new);
    }

    private String answer(String request) throws IOException {
        try (RawConnection connection = open().send(request)) {
            RawConnection.Reply head = connection.read(false);
            assertThat(head.status()).isEqualTo(200);
            assertThat(head.headers()).containsEntry("transfer-encoding", "chunked");
            return body(connection);
        }
    }

    private static String body(RawConnection connection) throws IOException {
        StringBuilder body = new StringBuilder();
        for (String chunk = connection.readChunk(); !chunk.isEmpty(); chunk = connection.readChunk()) {
            body.append(chunk);
        }
        return body.toString();
    }

    @Test
    void the_results_come_in_the_order_of_the_tasks_and_one_failure_hides_none() throws Exception {
        gate.letGo(3);
        TaskId id = TaskId.random();
        String body = answer(batch(
                "",
                TASK,
                "{\"command\":7}",
                "[]",
                "{\"command\":\"x\",\"method\":\"docker\"}",
                "{\"command\":\"x\",\"task_id\":\"" + id + "\"}",
                TASK));
        assertThat(body)
                .matches("(?s)\\{\"results\":\\[\\{\"index\":0,\"code\":200,\"result\":\\{\"success\":true,.*"
                        + ",\\{\"index\":1,\"code\":400,\"error\":\"[^\"]*command[^\"]*7.*"
                        + ",\\{\"index\":2,\"code\":400,\"error\":\"tasks\\[2].*"
                        + ",\\{\"index\":3,\"code\":422,\"error\":\".*docker.*"
                        + ",\\{\"index\":4,\"code\":200,\"result\":\\{.*\"task_id\":\"" + id + ".*"
                        + ",\\{\"index\":5,\"code\":200,\"result\":\\{\"success\":true,.*}}]}");
    }

    @Test
    void as_lines_each_result_comes_when_it_is_there() throws Exception {
        try (RawConnection connection = open().send(batch(LINES, TASK, "{}", TASK))) {
            assertThat(connection.read(false).headers()).containsEntry("content-type", "application/x-ndjson");
            assertThat(connection.readChunk())
                    .startsWith("{\"index\":1,\"code\":400,")
                    .endsWith("}\n");
            gate.letGo(1);
            assertThat(connection.readChunk()).startsWith("{\"index\":0,\"code\":200,");
            gate.letGo(1);
            assertThat(connection.readChunk()).startsWith("{\"index\":2,\"code\":200,");
            assertThat(connection.readChunk()).isEmpty();
            assertThat(connection.readToEnd()).isEmpty();
        }
    }

    @Test
    void a_task_with_an_id_runs_once_however_often_it_comes() throws Exception {
        gate.letGo(1);
        String task = "{\"command\":\"x\",\"task_id\":\"" + TaskId.random() + "\"}";
        String other = task.replace("\"x\"", "\"y\"");
        String first = answer(batch("", task));
        assertThat(answer(batch("", task))).isEqualTo(first);
        assertThat(answer(batch("", other))).contains("\"code\":422");
        assertThat(gate.started()).isEqualTo(1);
    }

    @Test
    void a_batch_larger_than_the_queue_is_done_and_somebody_else_gets_a_turn() throws Exception {
        try (RawConnection connection = open().send(batch(LINES, many(200)));
                RawConnection single = open()) {
            connection.read(false);
            gate.awaitStarted();
            single.send(Slave.execute(TASK));
            awaitQueued(2); // One of the batch, which has no more than two on their way, and the single one.
            gate.letGo(5);
            assertThat(single.read().status()).isEqualTo(200);
            gate.letGo(196);
            assertThat(body(connection).lines()).hasSize(200).allMatch(line -> line.contains("\"code\":200"));
        }
    }

    private void awaitQueued(int tasks) throws IOException {
        try (RawConnection connection = open()) {
            String slots;
            do {
                slots = connection
                        .send("GET /api/slots HTTP/1.1\r\nHost: d8\r\n" + Slave.AUTHORIZATION + "\r\n")
                        .read()
                        .body();
            } while (!slots.contains("\"queued\":" + tasks));
        }
    }

    @Test
    void where_others_have_every_place_it_is_told_for_each_task() throws Exception {
        List<RawConnection> others = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            others.add(open().send(Slave.execute(TASK)));
            if (i == 0) {
                gate.awaitStarted();
            }
        }
        while (slave.unfinished() < 4) {
            Thread.onSpinWait();
        }
        String body = answer(batch("", TASK, TASK));
        assertThat(body)
                .contains("{\"index\":0,\"code\":429,\"not_started\":true,\"error\":\"queue full")
                .contains("{\"index\":1,\"code\":429,");
        for (RawConnection other : others) {
            other.close();
        }
    }

    @Test
    void what_has_no_id_ends_when_the_caller_goes() throws Exception {
        TaskId id = TaskId.random();
        try (RawConnection connection =
                open().send(batch(LINES, TASK, "{\"command\":\"kept\",\"task_id\":\"" + id + "\"}", TASK, TASK))) {
            connection.read(false);
            gate.awaitStarted();
        }
        gate.awaitInterrupted();
        Invocation next = gate.awaitStarted();
        assertThat(next.taskId()).isEqualTo(id);
        gate.letGo(1);
        try (RawConnection connection = open()) {
            connection.send(
                    "GET /api/tasks/" + id + "?wait=30 HTTP/1.1\r\nHost: d8\r\n" + Slave.AUTHORIZATION + "\r\n");
            assertThat(connection.read().body()).contains("\"state\":\"done\"");
        }
        assertThat(gate.started()).isEqualTo(2);
    }

    @Test
    void no_task_begins_while_the_reader_lags_behind() throws Exception {
        gate.print(Output.of("x".repeat(1 << 20)));
        gate.letGo(1000);
        try (RawConnection connection = open().send(batch(LINES, many(100)))) {
            connection.read(false);
            gate.awaitStarted();
            int before;
            do { // What goes into buffers goes on; then it stands still.
                before = gate.started();
                assertThat(new CountDownLatch(1).await(300, TimeUnit.MILLISECONDS))
                        .isFalse();
            } while (gate.started() != before);
            assertThat(gate.started()).isLessThan(60);
            assertThat(body(connection).lines()).hasSize(100);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"{}", "[]", "{\"tasks\":{}}", "{\"tasks\":null}", "no json"})
    void a_body_without_a_list_of_tasks_is_refused_as_a_whole(String json) throws Exception {
        try (RawConnection connection = open()) {
            RawConnection.Reply reply = connection.send(raw("", json)).read();
            assertThat(reply.status()).isEqualTo(400);
            assertThat(reply.body()).startsWith("{\"error\":\"");
        }
    }

    @Test
    void a_batch_has_a_limit_and_may_be_empty() throws Exception {
        try (RawConnection connection = open()) {
            String tasks = IntStream.range(0, 10_001).mapToObj(i -> "{}").collect(Collectors.joining(","));
            RawConnection.Reply reply =
                    connection.send(raw("", "{\"tasks\":[" + tasks + "]}")).read();
            assertThat(reply.status()).isEqualTo(400);
            assertThat(reply.body()).contains("at most 10000");
        }
        assertThat(answer(batch(""))).isEqualTo("{\"results\":[]}");
        assertThat(answer(batch(LINES))).isEmpty();
    }
}
