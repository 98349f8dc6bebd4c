package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Grant;
import dev.d8.Scope;
import dev.d8.Token;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Options;
import dev.d8.spi.Transport;
import dev.d8.testkit.GatedExecutor;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** What a slave counts of its connections and requests, on a real socket. */
@Timeout(60)
@ExtendWith(NoLeaks.class)
class HttpMetersTest {

    private static final String HEALTH = "GET /api/health HTTP/1.1\r\nHost: d8\r\n\r\n";

    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    private final GatedExecutor gate = new GatedExecutor();
    private final Transport transport = new NettyTransportProvider()
            .create(Options.of(Map.of("max_body", "1000", "max_connections", "2", "body_timeout", "0.2")));
    private final SlaveServer slave = SlaveServer.builder()
            .port(0)
            .grants(() ->
                    List.of(Grant.everything(Slave.TOKEN), new Grant("dashboard", Token.of("reader"), Scope.READ)))
            .transport(transport)
            .meterRegistry(meters)
            .executor(gate)
            .executors(List.of("gated"))
            .start();

    @AfterEach
    void close() {
        gate.letGo(1000);
        slave.close();
        transport.close();
    }

    private int ask(String request) throws IOException {
        try (RawConnection connection = new RawConnection(slave.uri())) {
            return connection.send(request).read().status();
        }
    }

    private double count(String name, String... tags) {
        return meters.get(name).tags(tags).functionCounter().count();
    }

    private double requests(String path, String status) {
        return count("d8.http.requests", "path", path, "status", status);
    }

    @Test
    void requests_are_counted_by_what_was_asked_and_how_it_was_answered() throws Exception {
        gate.letGo(1);
        try (RawConnection connection = new RawConnection(slave.uri())) {
            for (String request : List.of(
                    HEALTH,
                    HEALTH.replace("health", "health?verbose=1"),
                    HEALTH.replace("GET", "POST"),
                    HEALTH.replace("/api/health", "/api/tasks/" + UUID.randomUUID()),
                    HEALTH.replace("/api/health", "/" + UUID.randomUUID()),
                    HEALTH.replace("health", "healthy"),
                    Slave.execute("{\"command\":\"print(55)\"}"))) {
                connection.send(request).read();
            }
        }
        assertThat(requests("health", "2xx")).isEqualTo(2);
        assertThat(requests("health", "4xx")).isEqualTo(1);
        assertThat(requests("tasks", "4xx")).isEqualTo(1);
        assertThat(requests("other", "4xx")).isEqualTo(2);
        assertThat(requests("execute", "2xx")).isEqualTo(1);
    }

    @Test
    void no_request_makes_a_new_label() throws Exception {
        Set<Meter.Id> before = meters.getMeters().stream().map(Meter::getId).collect(Collectors.toSet());
        ask("BREW /" + UUID.randomUUID() + " HTTP/1.1\r\nHost: " + UUID.randomUUID() + "\r\n\r\n");
        assertThat(meters.getMeters().stream().map(Meter::getId)).containsExactlyInAnyOrderElementsOf(before);
    }

    @Test
    void bytes_are_counted_both_ways() throws Exception {
        try (RawConnection connection = new RawConnection(slave.uri())) {
            connection.send(HEALTH).read();
            double out = count("d8.http.bytes", "direction", "out");
            assertThat(count("d8.http.bytes", "direction", "in")).isEqualTo(HEALTH.length());
            assertThat(out).isGreaterThan(100);
            connection.send(HEALTH).read();
            assertThat(count("d8.http.bytes", "direction", "in")).isEqualTo(2 * HEALTH.length());
            assertThat(count("d8.http.bytes", "direction", "out")).isEqualTo(2 * out);
        }
    }

    @Test
    void connections_are_counted_and_those_that_are_too_many() throws Exception {
        try (RawConnection one = new RawConnection(slave.uri());
                RawConnection two = new RawConnection(slave.uri())) {
            one.send(HEALTH).read();
            two.send(HEALTH).read();
            assertThat(meters.get("d8.http.connections").gauge().value()).isEqualTo(2);
            try (RawConnection three = new RawConnection(slave.uri())) {
                assertThat(three.read().status()).isEqualTo(503);
            }
            assertThat(meters.get("d8.http.connections").gauge().value()).isEqualTo(2);
            assertThat(count("d8.http.refused", "reason", "too_many_connections"))
                    .isEqualTo(1);
        }
        slave.close();
        assertThat(meters.get("d8.http.connections").gauge().value()).isZero();
    }

    @Test
    void what_is_refused_for_how_it_came_is_counted_by_the_reason() throws Exception {
        String post = "POST /api/execute HTTP/1.1\r\nHost: d8\r\n" + Slave.AUTHORIZATION;
        assertThat(ask("nonsense\r\n\r\n")).isEqualTo(400);
        assertThat(ask(post + "Content-Length: 1001\r\n\r\n")).isEqualTo(413);
        assertThat(ask(post + "Content-Length: 10\r\n\r\n{")).isEqualTo(408);
        for (String reason : List.of("malformed", "too_large", "timeout")) {
            assertThat(count("d8.http.refused", "reason", reason)).as(reason).isEqualTo(1);
        }
        assertThat(requests("execute", "4xx")).isEqualTo(2);
        assertThat(requests("other", "4xx")).isEqualTo(1);
    }

    @Test
    void calls_without_a_good_token_are_counted() throws Exception {
        assertThat(ask("GET /api/slots HTTP/1.1\r\nHost: d8\r\n\r\n")).isEqualTo(401);
        assertThat(ask("DELETE /api/tasks/" + UUID.randomUUID()
                        + " HTTP/1.1\r\nHost: d8\r\nAuthorization: Bearer reader\r\n\r\n"))
                .isEqualTo(403);
        for (String reason : List.of("unauthorized", "forbidden")) {
            assertThat(meters.get("d8.calls.turned_away")
                            .tag("reason", reason)
                            .counter()
                            .count())
                    .as(reason)
                    .isEqualTo(1);
        }
    }
}
