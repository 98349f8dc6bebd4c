package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.TaskId;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Options;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Following a task over a real socket, as server-sent events and as a WebSocket. */
@Timeout(60)
@ExtendWith(NoLeaks.class)
class EventsTest {

    private static final String KEY = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    private static final String UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\n" + KEY;

    private final TalkingExecutor task = new TalkingExecutor();
    private final TaskId id = TaskId.random();
    private SlaveServer slave = start(60);

    private SlaveServer start(int idleTimeout) {
        return SlaveServer.builder()
                .port(0)
                .token(Slave.TOKEN)
                .options(Options.of(Map.of("http.idle_timeout", String.valueOf(idleTimeout))))
                .executor(task)
                .executors(List.of("talking"))
                .maxConcurrent(1)
                .start();
    }

    @AfterEach
    void close() {
        slave.close();
    }

    private RawConnection open() throws IOException {
        return new RawConnection(slave.uri());
    }

    private static String get(String path, String headers) {
        return "GET " + path + " HTTP/1.1\r\nHost: d8\r\n" + Slave.AUTHORIZATION + headers + "\r\n";
    }

    private String events() {
        return "/api/tasks/" + id + "/events";
    }

    private void submit() throws IOException {
        try (RawConnection connection = open()) {
            String json = "{\"command\":\"print(55)\",\"task_id\":\"" + id + "\"}";
            assertThat(connection
                            .send("POST /api/tasks HTTP/1.1\r\nHost: d8\r\n" + Slave.AUTHORIZATION + "Content-Length: "
                                    + json.length() + "\r\n\r\n" + json)
                            .read()
                            .status())
                    .isEqualTo(202);
        }
    }

    private RawConnection webSocket() throws IOException {
        RawConnection connection = open().send(get(events(), UPGRADE));
        RawConnection.Reply reply = connection.read();
        assertThat(reply.status()).as(reply.body()).isEqualTo(101);
        assertThat(reply.headers())
                .containsEntry("upgrade", "websocket")
                .containsEntry("connection", "Upgrade")
                .containsEntry("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") // RFC 6455, 1.3
                .doesNotContainKey("sec-websocket-extensions")
                .doesNotContainKey("sec-websocket-protocol");
        return connection;
    }

    /** A frame of the server's. */
    @SuppressWarnings("ArrayRecordComponent") // Compared nowhere.
    private record Frame(int opcode, byte[] payload) {
        String text() {
            return new String(payload, StandardCharsets.UTF_8);
        }

        int closeCode() {
            return ByteBuffer.wrap(payload).getShort() & 0xFFFF;
        }
    }

    private static Frame frame(RawConnection connection) throws IOException {
        byte[] head = connection.readExactly(2);
        assertThat(head[0] & 0xF0).as("final, nothing reserved").isEqualTo(0x80);
        assertThat(head[1]).as("not masked").isGreaterThanOrEqualTo((byte) 0);
        int length = head[1];
        if (length == 126) {
            length = ByteBuffer.wrap(connection.readExactly(2)).getShort() & 0xFFFF;
        } else if (length == 127) {
            length = (int) ByteBuffer.wrap(connection.readExactly(8)).getLong();
        }
        return new Frame(head[0] & 0x0F, connection.readExactly(length));
    }

    /** Returns a client's frame, masked with zeros, so that its bytes can be read. */
    private static byte[] masked(int first, byte[] payload) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(first);
        if (payload.length < 126) {
            out.write(0x80 | payload.length);
        } else {
            out.write(0x80 | 126);
            out.write(payload.length >> 8);
            out.write(payload.length);
        }
        out.writeBytes(new byte[4]);
        out.writeBytes(payload);
        return out.toByteArray();
    }

    @Test
    void a_web_socket_has_an_event_a_message_and_ends_with_the_result() throws Exception {
        submit();
        try (RawConnection socket = webSocket()) {
            assertThat(frame(socket).text()).isEqualTo("{\"type\":\"started\"}");
            task.say("hällo\n");
            assertThat(frame(socket).text())
                    .isEqualTo(
                            "{\"type\":\"output\",\"stream\":\"stdout\",\"offset\":0,\"next\":7,\"text\":\"hällo\\n\"}");
            task.say("::d8::{\"progress\": 50, \"message\": \"half\"}\n");
            assertThat(frame(socket).text())
                    .isEqualTo("{\"type\":\"progress\",\"percent\":50.0,\"message\":\"half\",\"next\":7}");
            task.say(new byte[] {(byte) 0xFF, '\n'});
            assertThat(frame(socket).text()).contains("\"text\":\"/wo=\",\"encoding\":\"base64\"");
            task.end();
            assertThat(frame(socket).text())
                    .startsWith("{\"type\":\"result\",\"result\":{\"success\":true,\"method\":\"talking\"")
                    .doesNotContain("\"output\":");
            Frame end = frame(socket);
            assertThat(end.opcode()).isEqualTo(8);
            assertThat(end.closeCode()).isEqualTo(1000);
            socket.send(masked(0x88, end.payload()));
            assertThat(socket.readToEnd()).isEmpty();
        }
    }

    @Test
    void server_sent_events_are_the_same_for_whoever_does_not_upgrade() throws Exception {
        submit();
        try (RawConnection connection = open().send(get(events(), ""))) {
            RawConnection.Reply head = connection.read(false);
            assertThat(head.status()).isEqualTo(200);
            assertThat(head.headers())
                    .containsEntry("content-type", "text/event-stream")
                    .containsEntry("cache-control", "no-store")
                    .containsEntry("transfer-encoding", "chunked")
                    .containsEntry("connection", "close");
            assertThat(connection.readChunk()).isEqualTo("data: {\"type\":\"started\"}\n\n");
            task.say("one\n");
            assertThat(connection.readChunk())
                    .isEqualTo("id: 4\ndata: {\"type\":\"output\",\"stream\":\"stdout\",\"offset\":0,\"next\":4,"
                            + "\"text\":\"one\\n\"}\n\n");
            task.end();
            assertThat(connection.readChunk())
                    .startsWith("data: {\"type\":\"result\"")
                    .endsWith("}\n\n");
            assertThat(connection.readChunk()).isEmpty();
            assertThat(connection.readToEnd()).isEmpty();
        }
        try (RawConnection connection = open().send(get(events(), "").replace("1.1", "1.0"))) {
            assertThat(connection.read(false).headers()).doesNotContainKey("transfer-encoding");
            assertThat(connection.readToEnd())
                    .startsWith("data: {\"type\":\"started\"}\n\nid: 4\ndata: ")
                    .endsWith("}\n\n");
        }
    }

    @ParameterizedTest
    @CsvSource({"?from=4,''", "'',Last-Event-ID: 4"})
    void who_was_cut_off_goes_on_at_an_offset(String query, String header) throws Exception {
        submit();
        task.say("one\ntwo\n");
        task.end();
        try (RawConnection connection = open().send(get(events() + query, header.isEmpty() ? "" : header + "\r\n"))) {
            connection.read(false);
            assertThat(connection.readChunk()).contains("\"offset\":4,\"next\":8,\"text\":\"two\\n\"");
            assertThat(connection.readChunk()).contains("\"type\":\"result\"");
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void who_comes_late_gets_all_that_is_kept_however_much_it_is(boolean over) throws Exception {
        int length = 200 << 10;
        submit();
        try (RawConnection early = open().send(get(events(), ""))) {
            early.read(false);
            early.readChunk();
            task.say("z".repeat(length));
            for (int heard = 0; heard < length; ) {
                heard += Math.toIntExact(
                        early.readChunk().chars().filter(c -> c == 'z').count());
            }
            if (over) {
                task.end();
                assertThat(early.readChunk()).contains("\"type\":\"result\"");
            }
        }
        try (RawConnection late = open().send(get(events(), ""))) {
            late.read(false);
            assertThat(late.readChunk()).contains("started");
            for (int heard = 0; heard < length; ) {
                heard += Math.toIntExact(
                        late.readChunk().chars().filter(c -> c == 'z').count());
            }
        }
    }

    @Test
    void a_call_that_accepts_events_hears_its_task_as_it_runs() throws Exception {
        task.say("one\n");
        try (RawConnection connection =
                open().send(Slave.execute("Accept: text/event-stream\r\n", "{\"command\":\"x\"}"))) {
            assertThat(connection.read(false).headers()).containsEntry("content-type", "text/event-stream");
            assertThat(connection.readChunk()).contains("started");
            assertThat(connection.readChunk()).contains("one");
            task.end();
            assertThat(connection.readChunk()).contains("\"type\":\"result\"");
            assertThat(connection.readChunk()).isEmpty();
        }
    }

    @Test
    void a_task_without_an_id_ends_when_its_listener_goes() throws Exception {
        try (RawConnection connection =
                open().send(Slave.execute("Accept: text/event-stream\r\n", "{\"command\":\"x\"}"))) {
            connection.read(false);
            connection.readChunk();
        }
        try (RawConnection connection = open()) {
            task.awaitInterrupted();
            task.end(); // For this one.
            assertThat(connection
                            .send(Slave.execute("{\"command\":\"x\"}"))
                            .read()
                            .status())
                    .isEqualTo(200);
        }
    }

    @Test
    void what_is_there_already_goes_out_at_once_however_much_it_is() throws Exception {
        submit();
        for (int i = 0; i < 12; i++) {
            task.say("x".repeat(64 << 10));
        }
        task.end();
        try (RawConnection connection = open()) {
            connection.send(get("/api/tasks/" + id + "?wait=50", ""));
            assertThat(connection.read().status()).isEqualTo(200);
        }
        for (int i = 0; i < 5; i++) {
            try (RawConnection connection = open().send(get(events(), ""))) {
                connection.read(false);
                long bytes = 0;
                for (String chunk = connection.readChunk(); !chunk.isEmpty(); chunk = connection.readChunk()) {
                    bytes += chunk.length();
                }
                assertThat(bytes).isGreaterThan(150 << 10);
            }
        }
    }

    @Test
    void a_follower_that_goes_leaves_the_task_alone() throws Exception {
        submit();
        try (RawConnection socket = webSocket()) {
            frame(socket);
        }
        try (RawConnection connection = open().send(get(events(), ""))) {
            connection.read(false);
            connection.readChunk();
            task.say("still here\n");
            assertThat(connection.readChunk()).contains("still here");
        }
    }

    @Test
    void a_reader_that_does_not_read_neither_stops_the_task_nor_fills_the_memory() throws Exception {
        submit();
        byte[] block = "x".repeat(64 << 10).getBytes(StandardCharsets.UTF_8);
        try (RawConnection lazy = webSocket()) {
            for (int i = 0; i < 500; i++) {
                task.say(block);
            }
            task.end();
            try (RawConnection connection = open()) {
                RawConnection.Reply reply = connection
                        .send(get("/api/tasks/" + id + "?wait=50", ""))
                        .read();
                assertThat(reply.body()).contains("\"state\":\"done\"");
            }
            List<String> seen = new ArrayList<>();
            long bytes = 0;
            for (Frame next = frame(lazy); next.opcode() != 8; next = frame(lazy)) {
                String type = next.text().replaceFirst("(?s)^\\{\"type\":\"([a-z]*)\".*", "$1");
                if (next.opcode() == 1
                        && (seen.isEmpty() || !seen.get(seen.size() - 1).equals(type))) {
                    seen.add(type);
                }
                bytes += next.payload().length;
            }
            assertThat(seen).startsWith("started").contains("skipped").endsWith("output", "result");
            assertThat(bytes).isLessThan(500L * block.length);
        }
    }

    static Stream<Arguments> violations() {
        byte[] hello = "hello".getBytes(StandardCharsets.US_ASCII);
        return Stream.of(
                Arguments.of("not masked", new byte[] {(byte) 0x81, 1, 'x'}, 1002),
                Arguments.of("a reserved bit", masked(0xC1, hello), 1002),
                Arguments.of("a reserved opcode", masked(0x83, hello), 1002),
                Arguments.of("a reserved control opcode", masked(0x8B, hello), 1002),
                Arguments.of(
                        "a length of 2^63",
                        new byte[] {(byte) 0x82, (byte) 0xFF, (byte) 0x80, 0, 0, 0, 0, 0, 0, 0},
                        1002),
                Arguments.of("a length of 2^40", new byte[] {(byte) 0x82, (byte) 0xFF, 0, 0, 1, 0, 0, 0, 0, 0}, 1009),
                Arguments.of("a length written too long", new byte[] {(byte) 0x82, (byte) 0xFE, 0, 5}, 1002),
                Arguments.of("a long ping", masked(0x89, new byte[126]), 1002),
                Arguments.of("a ping in fragments", masked(0x09, hello), 1002),
                Arguments.of("a continuation of nothing", masked(0x80, hello), 1002),
                Arguments.of("text that is no UTF-8", masked(0x81, new byte[] {(byte) 0xC3, 0x28}), 1007),
                Arguments.of("a close of one byte", masked(0x88, new byte[1]), 1002),
                Arguments.of("a close code that nobody may send", masked(0x88, new byte[] {3, (byte) 0xED}), 1002));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("violations")
    void what_is_no_web_socket_is_told_so_and_closed(String what, byte[] bytes, int code) throws Exception {
        submit();
        try (RawConnection socket = webSocket()) {
            frame(socket);
            socket.send(bytes);
            Frame end = frame(socket);
            assertThat(end.opcode()).isEqualTo(8);
            assertThat(end.closeCode()).isEqualTo(code);
            assertThat(socket.readToEnd()).isEmpty();
        }
    }

    @Test
    void pings_are_answered_and_other_messages_mean_nothing() throws Exception {
        submit();
        try (RawConnection socket = webSocket()) {
            frame(socket);
            socket.send(masked(0x01, "f".getBytes(StandardCharsets.US_ASCII)));
            for (int i = 0; i < 1000; i++) {
                socket.send(masked(0x00, new byte[] {'x'}));
            }
            for (int i = 0; i < 1000; i++) {
                socket.send(masked(0x89, new byte[] {(byte) i}));
            }
            socket.send(masked(0x80, new byte[0]));
            for (int i = 0; i < 1000; i++) {
                Frame pong = frame(socket);
                assertThat(pong.opcode()).isEqualTo(10);
                assertThat(pong.payload()).containsExactly((byte) i);
            }
            socket.send(masked(0x88, new byte[] {3, (byte) 0xE8}));
            assertThat(frame(socket).closeCode()).isEqualTo(1000);
            assertThat(socket.readToEnd()).isEmpty();
        }
    }

    @Test
    void a_follower_that_does_not_answer_pings_is_let_go() throws Exception {
        slave.close();
        slave = start(2);
        submit();
        try (RawConnection socket = webSocket()) {
            frame(socket);
            assertThat(frame(socket).opcode()).isEqualTo(9);
            assertThat(socket.readToEnd()).isEmpty();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"POST", "DELETE", "PUT"})
    void only_get_follows(String method) throws Exception {
        try (RawConnection connection = open()) {
            RawConnection.Reply reply =
                    connection.send(get(events(), "").replace("GET", method)).read();
            assertThat(reply.status()).isEqualTo(405);
            assertThat(reply.headers()).containsEntry("allow", "GET, HEAD");
        }
    }

    static Stream<Arguments> refused() {
        return Stream.of(
                Arguments.of(401, UPGRADE, false, ""),
                Arguments.of(403, UPGRADE + "Origin: http://evil.example\r\n", true, ""),
                Arguments.of(400, UPGRADE.replace("Connection: Upgrade\r\n", ""), true, ""),
                Arguments.of(400, UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), true, ""),
                Arguments.of(400, UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "?"), true, ""),
                Arguments.of(400, UPGRADE + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", true, ""),
                Arguments.of(426, UPGRADE.replace("13", "8"), true, ""),
                Arguments.of(400, "", true, "?from=-1"),
                Arguments.of(400, UPGRADE, true, "?from=x"));
    }

    @ParameterizedTest
    @MethodSource("refused")
    void a_bad_opening_is_an_ordinary_error(int status, String headers, boolean token, String query) throws Exception {
        submit();
        try (RawConnection connection = open()) {
            String request = get(events() + query, headers);
            RawConnection.Reply reply = connection
                    .send(token ? request : request.replace(Slave.AUTHORIZATION, ""))
                    .read();
            assertThat(reply.status()).as(reply.body()).isEqualTo(status);
            assertThat(reply.body()).startsWith("{\"error\":\"");
        }
    }

    @Test
    void a_task_that_nobody_knows_cannot_be_followed() throws Exception {
        try (RawConnection connection = open()) {
            assertThat(connection.send(get(events(), UPGRADE)).read().status()).isEqualTo(404);
            assertThat(connection.send(get("/api/tasks/events", "")).read().status())
                    .isEqualTo(400);
            assertThat(connection.send(get("/api/tasks//events", "")).read().status())
                    .isEqualTo(400);
        }
    }
}
