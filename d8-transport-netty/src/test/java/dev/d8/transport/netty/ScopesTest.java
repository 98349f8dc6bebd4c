package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Grant;
import dev.d8.Scope;
import dev.d8.TaskId;
import dev.d8.Token;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Options;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.Transport;
import dev.d8.testkit.GatedExecutor;
import dev.d8.testkit.RecordingSlaveService;
import java.io.IOException;
import java.net.URI;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Several tokens at once, and what each is good for: a slave server on a real socket. */
@Timeout(60)
@ExtendWith(NoLeaks.class)
class ScopesTest {

    private static final String OLD = "the-token-of-before-0123456789abcdef";
    private static final String NEW = "the-token-of-today-0123456789abcdefg";
    private static final String READ = "the-token-of-a-dashboard-0123456789a";

    private final GatedExecutor gate = new GatedExecutor();
    private final Transport transport = new NettyTransportProvider().create(Options.NONE);
    private volatile List<Grant> grants = List.of(
            new Grant("today", Token.of(NEW), Scope.EXECUTE),
            new Grant("before", Token.of(OLD), Scope.EXECUTE),
            new Grant("dashboard", Token.of(READ), Scope.READ));
    private final SlaveServer slave = SlaveServer.builder()
            .port(0)
            .grants(() -> grants)
            .transport(transport)
            .executor(gate)
            .executors(List.of("gated"))
            .metrics(() -> "d8_tasks_total 7\n")
            .start();

    @AfterEach
    void close() {
        gate.letGo(1000);
        slave.close();
        transport.close();
    }

    private RawConnection.Reply ask(String method, String path, String authorization, String body) throws IOException {
        try (RawConnection connection = new RawConnection(slave.uri())) {
            return connection
                    .send(method + " " + path + " HTTP/1.1\r\nHost: d8\r\n" + authorization
                            + (body.isEmpty() ? "" : "Content-Length: " + body.length() + "\r\n") + "\r\n" + body)
                    .read();
        }
    }

    private static String bearer(String token) {
        return "Authorization: Bearer " + token + "\r\n";
    }

    private static String task(TaskId id) {
        return "{\"command\":\"print(55)\",\"task_id\":\"" + id + "\"}";
    }

    @Test
    void where_nobody_can_tell_which_tokens_there_are_it_is_500_and_nothing_runs() throws Exception {
        RecordingSlaveService service = new RecordingSlaveService();
        ServerSecurity broken = new ServerSecurity(() -> {
            throw new IllegalStateException("the supplier's own fault");
        });
        Transport.Binding binding = transport.serve(service, URI.create("http://127.0.0.1:0"), broken);
        try (RawConnection connection = new RawConnection(binding.uri())) {
            assertThat(connection
                            .send(Slave.execute("{\"command\":\"x\"}"))
                            .read()
                            .status())
                    .isEqualTo(500);
        }
        assertThat(service.callsLeft()).isZero();
    }

    @Test
    void two_tokens_are_good_at_once_until_one_is_taken_away() throws Exception {
        gate.letGo(3);
        assertThat(ask("POST", "/api/execute", bearer(OLD), task(TaskId.random()))
                        .status())
                .isEqualTo(200);
        assertThat(ask("POST", "/api/execute", bearer(NEW), task(TaskId.random()))
                        .status())
                .isEqualTo(200);

        grants = List.of(grants.get(0));
        assertThat(ask("POST", "/api/execute", bearer(OLD), task(TaskId.random()))
                        .status())
                .isEqualTo(401);
        assertThat(ask("POST", "/api/execute", bearer(NEW), task(TaskId.random()))
                        .status())
                .isEqualTo(200);
        assertThat(gate.started()).isEqualTo(3);
    }

    @Test
    void whoever_may_read_sees_tasks_slots_and_metrics() throws Exception {
        TaskId id = TaskId.random();
        gate.letGo(1);
        ask("POST", "/api/execute", bearer(NEW), task(id));
        RawConnection.Reply seen = ask("GET", "/api/tasks/" + id, bearer(READ), "");
        assertThat(seen.status()).isEqualTo(200);
        assertThat(seen.body()).contains("\"output\":\"55\\n\"");
        assertThat(ask("GET", "/api/slots", bearer(READ), "").status()).isEqualTo(200);
        assertThat(ask("GET", "/metrics", bearer(READ), "").body()).isEqualTo("d8_tasks_total 7\n");
    }

    @ParameterizedTest
    @CsvSource({"POST, /api/execute", "POST, /api/tasks"})
    void whoever_may_read_starts_no_task(String method, String path) throws Exception {
        RawConnection.Reply reply = ask(method, path, bearer(READ), task(TaskId.random()));
        assertThat(reply.status()).isEqualTo(403);
        assertThat(reply.body()).contains("may only read", "execute");
        assertThat(gate.started()).isZero();
    }

    @Test
    void whoever_may_read_ends_no_task() throws Exception {
        TaskId id = TaskId.random();
        ask("POST", "/api/tasks", bearer(NEW), task(id));
        gate.awaitStarted();
        assertThat(ask("DELETE", "/api/tasks/" + id, bearer(READ), "").status()).isEqualTo(403);
        gate.letGo(1);
        assertThat(ask("GET", "/api/tasks/" + id + "?wait=30", bearer(READ), "").body())
                .contains("\"status\":\"ok\"");
    }

    static Stream<String> whatIsNoToken() {
        return Stream.of(
                "",
                bearer("wrong"),
                bearer(""),
                bearer(NEW.substring(1)),
                bearer(NEW + "x"),
                bearer(NEW) + bearer(NEW),
                "Authorization: Basic eDp5\r\n",
                "Authorization: " + NEW + "\r\n");
    }

    @ParameterizedTest
    @MethodSource("whatIsNoToken")
    void whatever_is_wrong_with_a_token_the_answer_is_the_same(String authorization) throws Exception {
        for (String path : List.of("/api/execute", "/api/tasks")) {
            RawConnection.Reply reply = ask("POST", path, authorization, task(TaskId.random()));
            assertThat(reply.status()).isEqualTo(401);
            assertThat(reply.headers()).containsEntry("www-authenticate", "Bearer");
            assertThat(reply.body()).isEqualTo("{\"error\":\"Unauthorized\"}");
        }
        assertThat(gate.started()).isZero();
    }
}
