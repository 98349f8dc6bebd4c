package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.TaskId;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Options;
import dev.d8.spi.Transport;
import dev.d8.testkit.GatedExecutor;
import java.io.IOException;
import java.net.InetAddress;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every route with every method and every way to have the wrong token, or a path that only looks like a route's. */
@Timeout(60)
@ExtendWith({NoLeaks.class, QuietLog.class})
class EveryRouteTest {

    private static final List<String> METHODS =
            List.of("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE");
    private static final Set<String> OPEN = Set.of("/api/health", "/api/version");
    private static final TaskId ID = TaskId.random();
    private static final String TASK = "{\"command\":\"print(55)\"}";
    private static final AtomicInteger CALLERS = new AtomicInteger();
    private static final GatedExecutor GATE = new GatedExecutor();

    private static Transport transport;
    private static SlaveServer slave;

    @BeforeAll
    static void start() {
        transport = new NettyTransportProvider().create(Options.NONE);
        slave = SlaveServer.builder()
                .port(0)
                .token(Slave.TOKEN)
                .transport(transport)
                .executor(GATE)
                .executors(List.of("gated"))
                .maxConcurrent(1)
                .metrics(() -> "d8_tasks_total 7\n")
                .start();
    }

    @AfterAll
    static void stop() {
        GATE.letGo(1000);
        slave.close();
        transport.close();
    }

    static List<String> routes() {
        return List.of(
                "/api/health",
                "/api/version",
                "/api/execute",
                "/api/tasks",
                "/api/execute/batch",
                "/api/tasks/" + ID,
                "/api/tasks/" + ID + "/events",
                "/api/slots",
                "/api/update",
                "/metrics",
                "/api/nothing");
    }

    private static RawConnection.Reply ask(String method, String target, String headers) throws IOException {
        boolean body = Set.of("POST", "PUT", "PATCH").contains(method);
        // Each from an address of its own: whoever sends many wrong tokens is answered ever later.
        int caller = CALLERS.getAndIncrement();
        InetAddress from = InetAddress.getByName("127.1." + caller / 250 + "." + (caller % 250 + 1));
        try (RawConnection connection = new RawConnection(slave.uri(), from)) {
            return connection
                    .send(method + " " + target + " HTTP/1.1\r\nHost: d8\r\n" + headers
                            + (body ? "Content-Length: " + TASK.length() + "\r\n\r\n" + TASK : "\r\n"))
                    .read(!method.equals("HEAD"));
        }
    }

    @ParameterizedTest
    @MethodSource("routes")
    void no_method_does_anything_without_the_right_token(String route) throws IOException {
        String token = Slave.TOKEN.reveal();
        String wrong = token.substring(1) + "x";
        List<String> headers = List.of(
                "",
                "Authorization: Bearer " + token.substring(0, 8) + "\r\n",
                "Authorization: Bearer " + wrong + "\r\n",
                "Authorization: bearer " + wrong + "\r\n",
                "Authorization: Bearer " + wrong + "\r\n" + Slave.AUTHORIZATION,
                Slave.AUTHORIZATION + Slave.AUTHORIZATION,
                "Proxy-Authorization: Bearer " + token + "\r\n",
                "X-Authorization: Bearer " + token + "\r\nCookie: token=" + token + "\r\n");
        for (String method : METHODS) {
            for (String header : headers) {
                refused(method, route, header);
            }
            refused(method, route + "?token=" + token, "");
            refused(method, route + "?access_token=" + token + "&Authorization=Bearer%20" + token, "");
        }
        assertThat(GATE.started()).isZero();
        assertThat(slave.unfinished()).isZero();
        // A cancellation by a stranger would be remembered, and end the task when it comes.
        assertThat(ask("GET", "/api/tasks/" + ID, Slave.AUTHORIZATION).status()).isEqualTo(404);
    }

    private static void refused(String method, String target, String headers) throws IOException {
        RawConnection.Reply reply = ask(method, target, headers);
        boolean open = OPEN.stream().anyMatch(target::startsWith) && (method.equals("GET") || method.equals("HEAD"));
        if (open) {
            assertThat(reply.status()).as("%s %s %s", method, target, headers).isEqualTo(200);
        } else {
            assertThat(reply.status())
                    .as("%s %s %s", method, target, headers)
                    .isIn(401, target.startsWith("/api/nothing") ? 404 : 401, 405);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"Bearer", "bearer", "BEARER"})
    void the_right_token_is_accepted_however_the_scheme_is_spelled(String scheme) throws IOException {
        String header = "Authorization: " + scheme + " " + Slave.TOKEN.reveal() + "\r\n";
        assertThat(ask("GET", "/api/slots", header).status()).isEqualTo(200);
        assertThat(ask("GET", "/metrics", header).status()).isEqualTo(200);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "/api/%68ealth",
                "/%61pi/health",
                "/api%2fhealth",
                "/api%2Fhealth",
                "/api/health%00",
                "/api/health%20",
                "/api/health;x=y",
                "/api/health#x",
                "/api/health.",
                "/api/health.json",
                "/api/./health",
                "/./api/health",
                "/api/../api/health",
                "/api/%2e/health",
                "/api/%2e%2e/api/health",
                "/api/tasks/../health",
                "/api/tasks/..%2fhealth",
                "/api/tasks/%2e%2e/health",
                "/api/tasks/..%2f",
                "/api/tasks/%2e%2e%2fslots",
                "/api/tasks//",
                "/api/tasks/./",
                "/api/tasks/%zz",
                "/api\\health",
                "/api/health\\",
                "//api/health",
                "/api//health",
                "/metrics/",
                "/metrics%3f",
                "/API/health"
            })
    void a_path_that_only_looks_like_a_routes_is_none(String path) throws IOException {
        for (String method : METHODS) {
            assertThat(ask(method, path, Slave.AUTHORIZATION).status())
                    .as("%s %s", method, path)
                    .isIn(400, 404, 405);
            assertThat(ask(method, path, "").status())
                    .as("%s %s without a token", method, path)
                    .isIn(400, 401, 404, 405);
        }
        assertThat(GATE.started()).isZero();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"wait=%", "wait=%z", "wait=%zz", "%zz", "wait=1&%f", "wait=%ff", "wait=1e999", "wait=0x1p99"})
    void a_query_that_is_no_query_is_400(String query) throws IOException {
        RawConnection.Reply reply = ask("GET", "/api/tasks/" + submitted() + "?" + query, Slave.AUTHORIZATION);
        assertThat(reply.status()).as(reply.body()).isEqualTo(400);
    }

    private static String submitted() throws IOException {
        String location =
                ask("POST", "/api/tasks", Slave.AUTHORIZATION).headers().get("location");
        assertThat(location).isNotNull();
        String id = String.valueOf(location).substring("/api/tasks/".length());
        assertThat(ask("DELETE", "/api/tasks/" + id, Slave.AUTHORIZATION).status())
                .isIn(200, 202);
        return id;
    }
}
