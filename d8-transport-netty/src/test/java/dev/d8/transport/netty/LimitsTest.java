package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.d8.testkit.RecordingSlaveService;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** What a server allows one peer: bytes, connections, time; and what it keeps for a peer that does not read. */
@ExtendWith(NoLeaks.class)
class LimitsTest {

    private static final String GET = "GET /api/health HTTP/1.1\r\nHost: a\r\n\r\n";
    private static final String POST = "POST /api/execute HTTP/1.1\r\nHost: d8\r\n" + Slave.AUTHORIZATION;
    private static final String TASK = "{\"command\":\"print(55)\"}";
    private static final int HUNDRED_MEGABYTES = 100 << 20;

    @Test
    void a_body_of_exactly_the_limit_passes_and_a_byte_more_does_not() throws IOException {
        try (Slave slave = new Slave("max_body", String.valueOf(TASK.length()))) {
            try (RawConnection connection = slave.open()) {
                assertThat(connection.send(Slave.execute(TASK)).read().status()).isEqualTo(200);
            }
            slave.service.takeCall();
            try (RawConnection connection = slave.open()) {
                // Refused on its head: the body never has to come.
                connection.send(POST + "Content-Length: " + (TASK.length() + 1) + "\r\n\r\n");
                assertThat(connection.read().status()).isEqualTo(413);
                assertThat(connection.readToEnd()).isEmpty();
            }
            assertThat(slave.service.callsLeft()).isZero();
        }
    }

    @Test
    void a_chunked_body_over_the_limit_is_refused_while_it_comes() throws IOException {
        try (Slave slave = new Slave("max_body", "1000");
                RawConnection connection = slave.open()) {
            connection.send(POST + "Transfer-Encoding: chunked\r\n\r\n");
            connection.send("400\r\n" + "x".repeat(1024) + "\r\n");

            assertThat(connection.read().status()).isEqualTo(413);
            assertThat(connection.readToEnd()).isEmpty();
            assertThat(slave.service.callsLeft()).isZero();
        }
    }

    @Test
    void a_client_that_sends_all_of_a_huge_body_before_it_reads_still_sees_413() throws IOException {
        try (Slave slave = new Slave()) {
            sendHundredMegabytes(slave, Slave.AUTHORIZATION, 413);
        }
    }

    @Test
    void a_client_that_sends_all_of_a_huge_body_before_it_reads_still_sees_401() throws IOException {
        try (Slave slave = new Slave("io", "nio")) {
            sendHundredMegabytes(slave, "", 401);
        }
    }

    private static void sendHundredMegabytes(Slave slave, String headers, int status) throws IOException {
        try (RawConnection connection = slave.open()) {
            connection.send("POST /api/execute HTTP/1.1\r\nHost: d8\r\n" + headers + "Content-Length: "
                    + HUNDRED_MEGABYTES + "\r\n\r\n");
            byte[] megabyte = new byte[1 << 20];
            for (int sent = 0; sent < HUNDRED_MEGABYTES; sent += megabyte.length) {
                connection.send(megabyte);
            }

            assertThat(connection.read().status()).isEqualTo(status);
            assertThat(connection.readToEnd()).isEmpty();
        }
    }

    @Test
    void a_connection_that_says_nothing_is_closed() throws IOException {
        try (Slave slave = new Slave("header_timeout", "0.2");
                RawConnection connection = slave.open()) {
            assertThat(connection.readToEnd()).isEmpty();
        }
    }

    @Test
    void a_head_that_takes_too_long_gets_408_however_steadily_it_comes() throws IOException {
        try (Slave slave = new Slave("header_timeout", "0.5");
                RawConnection connection = slave.open()) {
            connection.send("GET /api/health HTTP/1.1\r\nHost: a\r\n");
            while (!connection.heardWithin(50)) {
                connection.send("X: y\r\n");
            }

            assertThat(connection.read().status()).isEqualTo(408);
            assertThat(connection.readToEnd()).isEmpty();
        }
    }

    @Test
    void the_head_of_a_later_request_has_its_own_time() throws IOException {
        try (Slave slave = new Slave("header_timeout", "0.3", "idle_timeout", "3600");
                RawConnection connection = slave.open()) {
            assertThat(connection.send(GET).read().status()).isEqualTo(200);
            connection.send("GET /api/health");

            assertThat(connection.read().status()).isEqualTo(408);
            assertThat(connection.readToEnd()).isEmpty();
        }
    }

    @Test
    void a_body_that_takes_too_long_gets_408_however_steadily_it_comes() throws IOException {
        try (Slave slave = new Slave("body_timeout", "0.5");
                RawConnection connection = slave.open()) {
            connection.send(POST + "Content-Length: 1000\r\n\r\n");
            while (!connection.heardWithin(50)) {
                connection.send("x");
            }

            assertThat(connection.read().status()).isEqualTo(408);
            assertThat(connection.readToEnd()).isEmpty();
            assertThat(slave.service.callsLeft()).isZero();
        }
    }

    @Test
    void an_idle_connection_is_closed() throws IOException {
        try (Slave slave = new Slave("idle_timeout", "0.2");
                RawConnection connection = slave.open()) {
            assertThat(connection.send(GET).read().status()).isEqualTo(200);
            assertThat(connection.readToEnd()).isEmpty();
        }
    }

    @Test
    void no_time_out_touches_a_task_that_runs() throws IOException {
        try (Slave slave = new Slave("header_timeout", "0.1", "body_timeout", "0.1", "idle_timeout", "0.1");
                RawConnection connection = slave.open()) {
            slave.service.hanging();
            connection.send(Slave.execute(TASK));
            RecordingSlaveService.Call call = slave.service.takeCall();
            for (int i = 0; i < 3; i++) {
                try (RawConnection idle = slave.open()) {
                    // Comes later than the time-out of the task's own connection would have.
                    idle.readToEnd();
                }
            }
            call.answer().complete(RecordingSlaveService.echo(call.invocation()));

            assertThat(connection.read().status()).isEqualTo(200);
        }
    }

    @Test
    void one_connection_too_many_gets_503_and_a_place_that_is_free_again_is_given_out() throws IOException {
        try (Slave slave = new Slave("max_connections", "2");
                RawConnection first = slave.open()) {
            RawConnection second = slave.open();
            assertThat(first.send(GET).read().status()).isEqualTo(200);
            assertThat(second.send(GET).read().status()).isEqualTo(200);
            try (RawConnection third = slave.open()) {
                RawConnection.Reply reply = third.read();
                assertThat(reply.status()).isEqualTo(503);
                assertThat(reply.headers())
                        .containsEntry("d8-not-started", "true")
                        .containsEntry("retry-after", "1")
                        .containsEntry("connection", "close");
                assertThat(third.readToEnd()).isEmpty();
            }
            second.close();

            int status = 0;
            long patience = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
            while (status != 200 && System.nanoTime() < patience) {
                try (RawConnection next = slave.open()) {
                    status = next.send(GET).read().status();
                }
            }
            assertThat(status).isEqualTo(200);
            assertThat(first.send(GET).read().status()).isEqualTo(200);
        }
    }

    @Test
    void connections_from_one_address_do_not_use_up_those_of_another() throws IOException {
        InetAddress other = InetAddress.getByName("127.0.0.2");
        try (Slave slave = new Slave("max_connections_per_peer", "1");
                RawConnection first = slave.open()) {
            assertThat(first.send(GET).read().status()).isEqualTo(200);
            try (RawConnection second = slave.open();
                    RawConnection elsewhere = new RawConnection(slave.binding.uri(), other)) {
                assertThat(second.read().status()).isEqualTo(503);
                assertThat(elsewhere.send(GET).read().status()).isEqualTo(200);
            }
        }
    }

    @Test
    void requests_of_web_pages_are_refused_unless_they_are_known() throws IOException {
        try (Slave slave = new Slave("origins", "https://console.example")) {
            for (String origin : new String[] {"https://evil.example", "http://console.example", "null"}) {
                assertThat(status(slave, "Host: a\r\nOrigin: " + origin + "\r\n"))
                        .as("Origin: %s", origin)
                        .isEqualTo(403);
            }
            assertThat(status(slave, "Host: a\r\nOrigin: https://console.example\r\n"))
                    .isEqualTo(200);
            assertThat(status(slave, "Host: anything.example:7600\r\n")).isEqualTo(200);
        }
    }

    @Test
    void a_host_that_is_not_a_slaves_name_is_refused_where_its_names_are_known() throws IOException {
        try (Slave slave = new Slave("hosts", "slave.example,127.0.0.1,[::1]")) {
            for (String good :
                    new String[] {"slave.example", "SLAVE.example:7600", "127.0.0.1:1", "[::1]", "[::1]:7600"}) {
                assertThat(status(slave, "Host: " + good + "\r\n")).as(good).isEqualTo(200);
            }
            for (String bad :
                    new String[] {"evil.example", "slave.example.evil", "127.0.0.2", "[::2]:7600", "slave.example:x"}) {
                assertThat(status(slave, "Host: " + bad + "\r\n")).as(bad).isIn(400, 403);
            }
        }
    }

    private static int status(Slave slave, String headers) throws IOException {
        try (RawConnection connection = slave.open()) {
            return connection
                    .send("GET /api/health HTTP/1.1\r\n" + headers + "\r\n")
                    .read()
                    .status();
        }
    }

    @Test
    void pipelined_requests_are_answered_in_order_one_at_a_time() throws IOException {
        try (Slave slave = new Slave();
                RawConnection connection = slave.open()) {
            slave.service.hanging();
            connection.send(Slave.execute("{\"command\":\"1\"}") + GET + Slave.execute("{\"command\":\"2\"}"));
            RecordingSlaveService.Call first = slave.service.takeCall();
            assertThat(slave.service.callsLeft()).isZero();
            first.answer().complete(RecordingSlaveService.echo(first.invocation()));

            assertThat(connection.read().body()).contains("\"output\":\"1\"");
            assertThat(connection.read().body()).contains("\"status\":\"healthy\"");
            RecordingSlaveService.Call second = slave.service.takeCall();
            second.answer().complete(RecordingSlaveService.echo(second.invocation()));
            assertThat(connection.read().body()).contains("\"output\":\"2\"");
        }
    }

    @Test
    void more_pipelined_bytes_than_are_kept_wait_at_the_peer_and_are_answered_in_the_end() throws Exception {
        int requests = 40_000;
        try (Slave slave = new Slave();
                RawConnection connection = slave.open()) {
            slave.service.hanging();
            connection.send(Slave.execute(TASK));
            RecordingSlaveService.Call call = slave.service.takeCall();
            CompletableFuture<Void> sent = CompletableFuture.runAsync(() -> {
                try {
                    connection.send(GET.repeat(requests));
                } catch (IOException e) {
                    throw new java.io.UncheckedIOException(e);
                }
            });
            call.answer().complete(RecordingSlaveService.echo(call.invocation()));

            for (int i = 0; i <= requests; i++) {
                assertThat(connection.read().status()).isEqualTo(200);
            }
            sent.get(30, TimeUnit.SECONDS);
        }
    }

    @Test
    void a_peer_that_never_reads_its_answers_is_not_read_from_either() throws IOException {
        long most = 64L << 20;
        try (Slave slave = new Slave();
                SocketChannel channel = SocketChannel.open(new InetSocketAddress(
                        slave.binding.uri().getHost(), slave.binding.uri().getPort()));
                Selector selector = Selector.open()) {
            channel.configureBlocking(false);
            channel.register(selector, SelectionKey.OP_WRITE);
            ByteBuffer requests = ByteBuffer.wrap(GET.repeat(2000).getBytes(StandardCharsets.US_ASCII));
            long sent = 0;
            while (selector.select(1000) > 0 && sent < most) {
                selector.selectedKeys().clear();
                if (!requests.hasRemaining()) {
                    requests.rewind();
                }
                sent += channel.write(requests);
            }

            assertThat(sent).isLessThan(most);
            try (RawConnection another = slave.open()) {
                assertThat(another.send(GET).read().status()).isEqualTo(200);
            }
        }
    }

    @Test
    void a_task_whose_caller_goes_away_is_cancelled_even_with_requests_waiting_behind_it() throws IOException {
        for (String io : new String[] {"nio", "epoll"}) {
            try (Slave slave = new Slave("io", io)) {
                slave.service.hanging();
                RawConnection connection = slave.open();
                connection.send(Slave.execute(TASK) + GET.repeat(20));
                RecordingSlaveService.Call call = slave.service.takeCall();

                connection.close();

                assertCancelled(call);
            }
        }
    }

    @Test
    void a_caller_that_ends_its_sending_side_counts_as_gone() throws IOException {
        try (Slave slave = new Slave();
                RawConnection connection = slave.open()) {
            slave.service.hanging();
            connection.send(Slave.execute(TASK));
            RecordingSlaveService.Call call = slave.service.takeCall();

            connection.endOutput();

            assertCancelled(call);
            assertThat(connection.readToEnd()).isEmpty();
        }
    }

    @Test
    void a_check_that_ends_its_sending_side_at_once_is_answered() throws IOException {
        for (String io : new String[] {"nio", "epoll"}) {
            try (Slave slave = new Slave("io", io);
                    RawConnection connection = slave.open()) {
                connection.send(GET);
                connection.endOutput();

                assertThat(connection.read().status()).isEqualTo(200);
            }
        }
    }

    @Test
    void an_address_that_stops_tells_its_last_callers_and_sends_idle_ones_away() throws Exception {
        try (Slave slave = new Slave();
                RawConnection idle = slave.open();
                RawConnection halfway = slave.open();
                RawConnection busy = slave.open()) {
            slave.service.hanging();
            assertThat(idle.send(GET).read().status()).isEqualTo(200);
            halfway.send("GET /api/hea");
            busy.send(Slave.execute(TASK));
            RecordingSlaveService.Call call = slave.service.takeCall();

            CompletableFuture<Void> closed = slave.binding.closeAsync();

            assertThat(idle.readToEnd()).isEmpty();
            assertThat(halfway.readToEnd()).isEmpty();
            assertThatThrownBy(slave::open).isInstanceOf(IOException.class);
            assertThat(closed).isNotDone();
            call.answer().complete(RecordingSlaveService.echo(call.invocation()));
            assertThat(busy.read().headers()).containsEntry("connection", "close");
            assertThat(busy.readToEnd()).isEmpty();
            closed.get(30, TimeUnit.SECONDS);
        }
    }

    private static void assertCancelled(RecordingSlaveService.Call call) {
        assertThat(catchThrowable(() -> call.answer().get(30, TimeUnit.SECONDS)))
                .isInstanceOf(CancellationException.class);
    }
}
