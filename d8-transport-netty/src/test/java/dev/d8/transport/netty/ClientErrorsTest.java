package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.D8Exception;
import dev.d8.Health;
import dev.d8.InvalidTaskException;
import dev.d8.Invocation;
import dev.d8.NoExecutorException;
import dev.d8.ProtocolException;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveUnreachableException;
import dev.d8.TaskResult;
import dev.d8.UnauthorizedException;
import dev.d8.UnknownOutcomeException;
import dev.d8.UnknownOutcomeException.Reason;
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.Options;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.Transport;
import dev.d8.testkit.RecordingSlaveService;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whatever the other side does, a call ends in the exception that says whether the task may have run. */
@ExtendWith(NoLeaks.class)
class ClientErrorsTest {

    private static final String RESULT = "{\"success\":true,\"output\":\"55\\n\",\"error\":\"\",\"method\":\"venv\"}";
    private static final String HEALTH = "{\"status\":\"healthy\",\"python_version\":\"3\",\"execution_methods\":{}}";
    private final List<Transport> transports = new ArrayList<>();

    @AfterEach
    void close() {
        transports.forEach(Transport::close);
    }

    @Test
    void the_original_slave_is_understood() throws Exception {
        List<String> heads = new java.util.concurrent.CopyOnWriteArrayList<>();
        try (OddSlave slave = new OddSlave(peer -> {
            heads.add(peer.readRequest());
            // Flask's own server: HTTP/1.0, no length, the end of the stream ends the body.
            peer.send("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nServer: Werkzeug\r\n\r\n"
                    + (heads.get(heads.size() - 1).startsWith("POST") ? RESULT : HEALTH));
        })) {
            SlaveClient client = client(slave.uri());

            assertThat(execute(client).get(30, TimeUnit.SECONDS).output()).isEqualTo("55\n");
            assertThat(client.health().get(30, TimeUnit.SECONDS).status()).isEqualTo(Health.HEALTHY);
        }
        assertThat(heads.get(0))
                .startsWith("POST /api/execute HTTP/1.1\r\nHost: 127.0.0.1:")
                .contains("\r\nUser-Agent: d8/0.")
                .contains("\r\nAccept: application/json\r\n")
                .contains("\r\nContent-Type: application/json\r\n")
                .contains("\r\n" + Slave.AUTHORIZATION);
        assertThat(heads.get(1)).startsWith("GET /api/health HTTP/1.1\r\n").doesNotContain("Authorization");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "Content-Length: 200\r\n\r\n{\"success\":true,",
                "Content-Length: 10\r\n",
                "Transfer-Encoding: chunked\r\n\r\n10\r\n{\"succes",
                "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
                ""
            })
    void a_truncated_answer_leaves_the_outcome_unknown(String rest) throws Exception {
        try (OddSlave slave = new OddSlave(peer -> {
            peer.readRequest();
            peer.send("HTTP/1.1 200 OK\r\n" + rest);
        })) {
            assertUnknown(execute(client(slave.uri())), Reason.CONNECTION_LOST);
        }
    }

    @Test
    void a_connection_that_ends_without_an_answer_leaves_the_outcome_unknown() throws Exception {
        try (OddSlave slave = new OddSlave(OddSlave.Peer::readRequest)) {
            assertUnknown(execute(client(slave.uri())), Reason.CONNECTION_LOST);
            assertThat(slave.connections()).isOne();
        }
    }

    @Test
    void a_reset_leaves_the_outcome_unknown() throws Exception {
        for (String io : List.of("nio", "epoll")) {
            try (OddSlave slave = new OddSlave(peer -> {
                peer.readRequest();
                peer.reset();
            })) {
                assertUnknown(execute(client(slave.uri(), "io", io)), Reason.CONNECTION_LOST);
                assertThat(slave.connections()).isOne();
            }
        }
    }

    @Test
    void a_reset_in_the_middle_of_the_request_leaves_the_outcome_unknown() throws Exception {
        try (OddSlave slave = new OddSlave(peer -> {
            peer.readHead();
            peer.reset();
        })) {
            assertUnknown(execute(client(slave.uri()), "x".repeat(20 << 20)), Reason.CONNECTION_LOST);
            assertThat(slave.connections()).isOne();
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
                "220 mail.example.org ESMTP\r\n\r\n",
                "HTTP/1.1 abc OK\r\n\r\n",
                "HTTP/1.1 200 OK\r\nbroken header\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
                "\0\1\2\3\r\n\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<!DOCTYPE",
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
                "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"success\": 1 }",
                "HTTP/1.1 204 No Content\r\n\r\n"
            })
    void an_answer_that_cannot_be_read_is_not_mistaken_for_one(String bytes) throws Exception {
        try (OddSlave slave = new OddSlave(peer -> {
            peer.readRequest();
            peer.send(bytes);
        })) {
            SlaveClient client = client(slave.uri());

            assertUnknown(execute(client), Reason.INVALID_ANSWER);
            if (!bytes.contains("success")) {
                assertThat(failure(client.health()))
                        .isInstanceOf(ProtocolException.class)
                        .hasMessageContaining(slave.uri().toString());
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        "301, ProtocolException, ProtocolException",
        "302, ProtocolException, ProtocolException",
        "307, ProtocolException, ProtocolException",
        "400, InvalidTaskException, ProtocolException",
        "401, UnauthorizedException, UnauthorizedException",
        "403, UnauthorizedException, UnauthorizedException",
        "404, ProtocolException, ProtocolException",
        "405, ProtocolException, ProtocolException",
        "408, SlaveUnreachableException, SlaveUnreachableException",
        "413, InvalidTaskException, ProtocolException",
        "414, InvalidTaskException, ProtocolException",
        "415, ProtocolException, ProtocolException",
        "422, NoExecutorException, ProtocolException",
        "429, ProtocolException, ProtocolException",
        "431, InvalidTaskException, ProtocolException",
        "500, UnknownOutcomeException, UnknownOutcomeException",
        "502, UnknownOutcomeException, UnknownOutcomeException",
        "503, UnknownOutcomeException, UnknownOutcomeException"
    })
    void each_status_has_its_exception(int status, String ofTask, String ofCheck) throws Exception {
        try (OddSlave slave = new OddSlave(peer -> {
            while (!peer.readRequest().isEmpty()) {
                peer.answer(status + " Whatever", "Location: http://127.0.0.1:1/\r\n", "{\"error\":\"says why\"}");
            }
        })) {
            SlaveClient client = client(slave.uri());
            Throwable task = failure(execute(client));
            Throwable check = failure(client.version());

            assertThat(task.getClass().getSimpleName()).isEqualTo(ofTask);
            assertThat(check.getClass().getSimpleName()).isEqualTo(ofCheck);
            if (task instanceof InvalidTaskException || task instanceof NoExecutorException) {
                assertThat(task).hasMessage("says why");
            } else if (task instanceof UnauthorizedException) {
                assertThat(task)
                        .hasMessageContaining(slave.uri().toString())
                        .hasMessageContaining(status == 401 ? "SLAVE_TOKEN" : "does not allow this: says why");
            } else {
                assertThat(task)
                        .hasMessageContaining(slave.uri().toString())
                        .hasMessageContaining(String.valueOf(status))
                        .hasMessageContaining("says why");
            }
            if (task instanceof UnknownOutcomeException unknown) {
                assertThat(unknown.reason()).isEqualTo(Reason.SLAVE_ERROR);
            }
            assertThat(slave.connections()).isOne();
        }
    }

    @ParameterizedTest
    @CsvSource({
        "429, 7, QUEUE_FULL, 7",
        "503, 120, DRAINING, 120",
        "503, , DRAINING, 1",
        "429, soon, QUEUE_FULL, 1",
        "429, -5, QUEUE_FULL, 0",
        "503, 99999999999, DRAINING, 86400"
    })
    void a_promise_that_the_task_did_not_start_is_believed(
            int status, String retryAfter, SlaveRefusedException.Reason reason, long seconds) throws Exception {
        String headers = "D8-Not-Started: true\r\n" + (retryAfter == null ? "" : "Retry-After: " + retryAfter + "\r\n");
        try (OddSlave slave = new OddSlave(peer -> {
            peer.readRequest();
            peer.answer(status + " No", headers, "{\"error\":\"says why\"}");
        })) {
            assertThat(failure(execute(client(slave.uri()))))
                    .isInstanceOfSatisfying(SlaveRefusedException.class, refused -> {
                        assertThat(refused.reason()).isEqualTo(reason);
                        assertThat(refused.retryAfter()).isEqualTo(Duration.ofSeconds(seconds));
                        assertThat(refused).hasMessage("says why");
                    });
        }
    }

    @Test
    void an_html_page_as_an_error_is_shown_on_one_short_line() throws Exception {
        try (OddSlave slave = new OddSlave(peer -> {
            peer.readRequest();
            peer.answer("404 Not Found", "Content-Type: text/html\r\n", "<html>\n<body>\n" + "x".repeat(100_000));
        })) {
            assertThat(failure(client(slave.uri()).health()).getMessage())
                    .contains("404")
                    .doesNotContain("\n")
                    .hasSizeLessThan(1000);
        }
    }

    @Test
    void an_answer_that_trickles_is_read_to_its_end() throws Exception {
        try (OddSlave slave = new OddSlave(peer -> {
            peer.readRequest();
            for (char c :
                    ("HTTP/1.1 200 OK\r\nContent-Length: " + RESULT.length() + "\r\n\r\n" + RESULT).toCharArray()) {
                peer.send(String.valueOf(c));
            }
            peer.awaitEnd();
        })) {
            assertThat(execute(client(slave.uri())).get(30, TimeUnit.SECONDS).output())
                    .isEqualTo("55\n");
        }
    }

    @Test
    void interim_answers_are_passed_over() throws Exception {
        try (OddSlave slave = new OddSlave(peer -> {
            peer.readRequest();
            peer.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n");
            peer.answer("200 OK", "", RESULT);
            peer.awaitEnd();
        })) {
            assertThat(execute(client(slave.uri())).get(30, TimeUnit.SECONDS).output())
                    .isEqualTo("55\n");
        }
    }

    @Test
    void an_answer_over_the_limit_is_given_up() throws Exception {
        try (OddSlave slave = new OddSlave(peer -> {
            peer.readRequest();
            peer.send("HTTP/1.1 200 OK\r\n\r\n");
            while (true) {
                peer.send("x".repeat(1000));
            }
        })) {
            assertUnknown(execute(client(slave.uri(), "max_answer", "100000")), Reason.INVALID_ANSWER);
        }
    }

    @ParameterizedTest
    @CsvSource({"413, InvalidTaskException", "401, UnauthorizedException"})
    void an_answer_that_comes_before_the_request_has_left_is_taken(int status, String exception) throws Exception {
        for (String io : List.of("nio", "epoll")) {
            CountDownLatch answered = new CountDownLatch(1);
            try (OddSlave slave = new OddSlave(peer -> {
                peer.readHead();
                peer.answer(status + " No", "", "{\"error\":\"too early\"}");
                await(answered);
            })) {
                Throwable failure = failure(execute(client(slave.uri(), "io", io), "x".repeat(30 << 20)));
                answered.countDown();

                assertThat(failure.getClass().getSimpleName()).isEqualTo(exception);
            }
        }
    }

    @Test
    void where_nobody_listens_the_message_says_so() throws Exception {
        URI nobody;
        try (ServerSocket free = new ServerSocket(0)) {
            nobody = URI.create("http://127.0.0.1:" + free.getLocalPort());
        }
        for (String io : List.of("nio", "epoll")) {
            SlaveClient client = client(nobody, "io", io);
            assertThat(failure(execute(client)))
                    .isInstanceOf(SlaveUnreachableException.class)
                    .hasMessage("cannot reach " + nobody + ": connection refused. Is the slave running there?");
            assertThat(failure(client.health())).isInstanceOf(SlaveUnreachableException.class);
        }
    }

    @Test
    void an_unknown_name_is_unreachable() throws Exception {
        assertThat(failure(
                        client(URI.create("http://no-such-host.invalid:7600")).health()))
                .isInstanceOf(SlaveUnreachableException.class)
                .hasMessageContaining("unknown host name no-such-host.invalid");
    }

    @Test
    void a_machine_that_does_not_answer_is_unreachable_after_the_connect_time_out() throws Exception {
        // A full backlog: the kernel drops further connection requests, as a dead machine would.
        try (ServerSocket full = new ServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress())) {
            URI address = URI.create("http://127.0.0.1:" + full.getLocalPort());
            List<CompletableFuture<Health>> calls = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                calls.add(client(address, "connect_timeout", "0.5").health());
            }

            Throwable first = firstFailure(calls);

            assertThat(first)
                    .isInstanceOf(SlaveUnreachableException.class)
                    .hasMessageContaining("no answer within 0.5 s");
        }
    }

    @Test
    void connections_are_used_again() throws Exception {
        try (OddSlave slave = new OddSlave(ClientErrorsTest::answerAll)) {
            SlaveClient client = client(slave.uri());
            for (int i = 0; i < 10; i++) {
                execute(client).get(30, TimeUnit.SECONDS);
                client.health().get(30, TimeUnit.SECONDS);
            }

            assertThat(slave.connections()).isOne();
        }
    }

    @Test
    void a_connection_that_the_slave_ends_is_not_used_again() throws Exception {
        try (OddSlave slave = new OddSlave(peer -> {
            peer.readRequest();
            peer.answer("200 OK", "Connection: close\r\n", RESULT);
            peer.awaitEnd();
        })) {
            SlaveClient client = client(slave.uri());
            for (int i = 0; i < 10; i++) {
                execute(client).get(30, TimeUnit.SECONDS);
            }

            assertThat(slave.connections()).isEqualTo(10);
        }
    }

    @Test
    void a_check_that_meets_a_connection_closed_meanwhile_goes_out_once_more() throws Exception {
        try (OddSlave slave = new OddSlave(peer -> {
            if (peer.number == 1) {
                peer.readRequest();
                peer.answer("200 OK", "", HEALTH);
                // Says that it keeps the connection, and ends it when the next request comes.
                peer.readRequest();
                peer.reset();
            } else {
                answerAll(peer);
            }
        })) {
            SlaveClient client = client(slave.uri());
            client.health().get(30, TimeUnit.SECONDS);

            assertThat(client.health().get(30, TimeUnit.SECONDS).status()).isEqualTo(Health.HEALTHY);
            assertThat(slave.connections()).isEqualTo(2);
        }
    }

    @Test
    void a_check_goes_out_once_more_but_not_twice() throws Exception {
        try (OddSlave slave = new OddSlave(peer -> {
            if (peer.number == 1) {
                peer.readRequest();
                peer.answer("200 OK", "", HEALTH);
            }
            peer.readRequest();
            peer.reset();
        })) {
            SlaveClient client = client(slave.uri());
            client.health().get(30, TimeUnit.SECONDS);

            assertUnknown(client.health(), Reason.CONNECTION_LOST);
            assertThat(slave.connections()).isEqualTo(2);
        }
    }

    @Test
    void a_task_is_never_sent_twice() throws Exception {
        List<String> heads = new java.util.concurrent.CopyOnWriteArrayList<>();
        try (OddSlave slave = new OddSlave(peer -> {
            heads.add(peer.readRequest());
            peer.answer("200 OK", "", RESULT);
            heads.add(peer.readRequest());
            peer.reset();
        })) {
            SlaveClient client = client(slave.uri());
            execute(client).get(30, TimeUnit.SECONDS);

            assertUnknown(execute(client), Reason.CONNECTION_LOST);
            assertThat(heads).hasSize(2);
            assertThat(slave.connections()).isOne();
        }
    }

    @Test
    void an_answer_that_nobody_asked_for_ends_the_connection() throws Exception {
        try (OddSlave slave = new OddSlave(peer -> {
            peer.readRequest();
            peer.answer("200 OK", "", RESULT);
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
            peer.awaitEnd();
        })) {
            SlaveClient client = client(slave.uri());
            assertThat(execute(client).get(30, TimeUnit.SECONDS).output()).isEqualTo("55\n");
            // Whether it has arrived yet or not, the stray answer must not pass for this one's.
            try {
                assertThat(execute(client).get(30, TimeUnit.SECONDS).output()).isEqualTo("55\n");
            } catch (ExecutionException e) {
                assertThat(e.getCause()).isInstanceOf(UnknownOutcomeException.class);
            }
        }
    }

    @Test
    void more_tasks_than_connections_wait_in_line_and_checks_pass_them() throws Exception {
        try (Slave slave = new Slave("client_connections", "2", "client_waiting", "2")) {
            slave.service.hanging();
            SlaveClient client = slave.client();
            List<CompletableFuture<TaskResult>> answers = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                answers.add(execute(client, "task " + i));
            }
            RecordingSlaveService.Call first = slave.service.takeCall();
            RecordingSlaveService.Call second = slave.service.takeCall();

            assertThat(client.health().get(30, TimeUnit.SECONDS).status()).isEqualTo(Health.HEALTHY);
            assertThat(failure(execute(client)))
                    .isInstanceOfSatisfying(
                            SlaveRefusedException.class,
                            refused -> assertThat(refused.reason()).isEqualTo(SlaveRefusedException.Reason.QUEUE_FULL));
            assertThat(slave.service.callsLeft()).isZero();

            first.answer().complete(RecordingSlaveService.echo(first.invocation()));
            RecordingSlaveService.Call third = slave.service.takeCall();
            assertThat(third.invocation().source()).isEqualTo("task 2");
            answers.get(3).cancel(true);
            second.answer().complete(RecordingSlaveService.echo(second.invocation()));
            third.answer().complete(RecordingSlaveService.echo(third.invocation()));
            for (int i = 0; i < 3; i++) {
                assertThat(answers.get(i).get(30, TimeUnit.SECONDS).output()).isEqualTo("task " + i);
            }
            assertThat(client.health().get(30, TimeUnit.SECONDS).status()).isEqualTo(Health.HEALTHY);
            assertThat(slave.service.callsLeft()).isZero();
        }
    }

    @Test
    void idle_connections_are_closed_before_the_slave_would() throws Exception {
        CountDownLatch ended = new CountDownLatch(1);
        try (OddSlave slave = new OddSlave(peer -> {
            peer.readRequest();
            peer.answer("200 OK", "", RESULT);
            peer.awaitEnd();
            ended.countDown();
        })) {
            execute(client(slave.uri(), "idle_timeout", "0.2")).get(30, TimeUnit.SECONDS);

            assertThat(ended.await(30, TimeUnit.SECONDS)).isTrue();
        }
    }

    @Test
    void closing_a_client_that_waits_for_its_connection_sends_nothing() throws Exception {
        try (ServerSocket full = new ServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress())) {
            URI address = URI.create("http://127.0.0.1:" + full.getLocalPort());
            List<SlaveClient> clients = new ArrayList<>();
            List<CompletableFuture<TaskResult>> calls = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                clients.add(client(address));
                calls.add(execute(clients.get(i)));
            }
            clients.forEach(SlaveClient::close);

            for (CompletableFuture<TaskResult> call : calls) {
                // The first few got into the backlog, so their requests left; the others did not.
                assertThat(failure(call))
                        .isInstanceOfAny(SlaveUnreachableException.class, UnknownOutcomeException.class);
            }
            assertThat(failure(calls.get(7))).isInstanceOf(SlaveUnreachableException.class);
        }
    }

    private static void answerAll(OddSlave.Peer peer) throws IOException {
        for (String head = peer.readRequest(); !head.isEmpty(); head = peer.readRequest()) {
            peer.answer("200 OK", "", head.startsWith("POST") ? RESULT : HEALTH);
        }
    }

    private SlaveClient client(URI address, String... settings) {
        Map<String, String> options = new LinkedHashMap<>();
        for (int i = 0; i < settings.length; i += 2) {
            options.put(settings[i], settings[i + 1]);
        }
        Transport transport = new NettyTransportProvider().create(Options.of(options));
        transports.add(transport);
        return transport.connect(address, new Credentials(Slave.TOKEN));
    }

    private static CompletableFuture<TaskResult> execute(SlaveClient client) {
        return execute(client, "print(55)");
    }

    private static CompletableFuture<TaskResult> execute(SlaveClient client, String source) {
        return client.execute(Invocation.python(source).build(), ExecutionListener.NONE);
    }

    private static void await(CountDownLatch latch) {
        try {
            if (!latch.await(30, TimeUnit.SECONDS)) {
                throw new AssertionError("the test did not go on");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void assertUnknown(CompletableFuture<?> call, Reason reason) throws Exception {
        assertThat(failure(call)).isInstanceOfSatisfying(UnknownOutcomeException.class, unknown -> {
            assertThat(unknown.reason()).as(unknown.getMessage()).isEqualTo(reason);
            assertThat(unknown.retrySafe()).isFalse();
        });
    }

    /** Returns how the first of several calls that fails did. */
    private static Throwable firstFailure(List<CompletableFuture<Health>> calls) throws Exception {
        CompletableFuture<Object> first = CompletableFuture.anyOf(calls.stream()
                .map(call -> call.handle((value, failure) -> failure)
                        .thenCompose(failure -> failure == null
                                ? new CompletableFuture<Throwable>()
                                : CompletableFuture.completedFuture(failure)))
                .toArray(CompletableFuture<?>[]::new));
        return (Throwable) first.get(30, TimeUnit.SECONDS);
    }

    private static Throwable failure(CompletableFuture<?> call) throws InterruptedException, TimeoutException {
        try {
            Object value = call.get(30, TimeUnit.SECONDS);
            throw new AssertionError("expected a failure, got " + value);
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            if (cause instanceof D8Exception) {
                return cause;
            }
            throw new AssertionError("expected a D8Exception", e);
        }
    }
}
