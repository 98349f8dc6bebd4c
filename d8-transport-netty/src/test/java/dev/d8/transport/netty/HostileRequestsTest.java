package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Requests and bodies that are far too large, or JSON that means harm. */
@Timeout(60)
@ExtendWith({NoLeaks.class, QuietLog.class})
class HostileRequestsTest {

    private static final String GET = "GET /api/health HTTP/1.1\r\nHost: a\r\n";
    private static final String CHUNKED =
            "POST /api/execute HTTP/1.1\r\nHost: d8\r\n" + Slave.AUTHORIZATION + "Transfer-Encoding: chunked\r\n\r\n";
    private static final int MEGABYTE = 1 << 20;
    private static Slave slave;

    @BeforeAll
    static void start() {
        slave = new Slave("max_body", String.valueOf(2 * MEGABYTE));
    }

    @AfterAll
    static void stop() {
        slave.close();
    }

    @AfterEach
    void others_are_served_and_nothing_has_run() throws IOException {
        Others.areServed(slave.binding.uri());
        int ran = slave.service.callsLeft();
        for (int i = 0; i < ran; i++) {
            slave.service.takeCall();
        }
        assertThat(ran).isZero();
    }

    static Stream<Arguments> heads() {
        return Stream.of(
                Arguments.of(414, "GET /" + "a".repeat(70_000) + " HTTP/1.1\r\nHost: a\r\n\r\n"),
                Arguments.of(414, "GET /api/health?" + "a".repeat(70_000) + " HTTP/1.1\r\nHost: a\r\n\r\n"),
                Arguments.of(414, "A".repeat(70_000) + " / HTTP/1.1\r\nHost: a\r\n\r\n"),
                Arguments.of(431, GET + "X: y\r\n".repeat(20_000) + "\r\n"),
                Arguments.of(431, GET + "X: " + "a".repeat(MEGABYTE) + "\r\n\r\n"),
                Arguments.of(431, GET + "a".repeat(MEGABYTE) + ": X\r\n\r\n"),
                Arguments.of(431, GET + ("X: " + "a".repeat(1000) + "\r\n").repeat(1000) + "\r\n"));
    }

    @ParameterizedTest
    @MethodSource("heads")
    void a_head_that_is_far_too_large_is_refused_and_its_connection_ends(int status, String head) throws IOException {
        try (RawConnection connection = slave.open()) {
            assertThat(connection.send(head).read().status()).isEqualTo(status);
            assertThat(connection.readToEnd()).isEmpty();
        }
    }

    @Test
    void a_chunked_body_of_exactly_the_limit_passes_and_a_byte_more_does_not() throws IOException {
        String task = "{\"command\":\"print(55)\"}" + " ".repeat(2 * MEGABYTE - 23);
        assertThat(task).hasSize(2 * MEGABYTE);
        try (RawConnection connection = slave.open()) {
            connection.send(CHUNKED).send(chunk(task.substring(0, 70_000))).send(chunk(task.substring(70_000)));
            assertThat(connection.send("0\r\n\r\n").read().status()).isEqualTo(200);
            slave.service.takeCall();
            connection.send(CHUNKED).send(chunk(task)).send(chunk(" "));
            assertThat(connection.read().status()).isEqualTo(413);
            assertThat(connection.readToEnd()).isEmpty();
        }
    }

    private static String chunk(String content) {
        return Integer.toHexString(content.length()) + "\r\n" + content + "\r\n";
    }

    static Stream<Arguments> endless() {
        return Stream.of(
                Arguments.of("chunks", 413, CHUNKED, chunk("x".repeat(60_000))),
                Arguments.of("small chunks", 413, CHUNKED, chunk("x".repeat(50)).repeat(2000)),
                Arguments.of("a chunk's extension", 431, CHUNKED + "1;", "x".repeat(1000)),
                Arguments.of("a chunk's size", 431, CHUNKED, "0".repeat(1000)),
                Arguments.of("trailers", 431, CHUNKED + "0\r\n", "X: y\r\n".repeat(100)),
                Arguments.of("one trailer", 431, CHUNKED + "0\r\nX: ", "y".repeat(1000)));
    }

    @ParameterizedTest(name = "{0}: {1}")
    @MethodSource("endless")
    void a_body_without_an_end_is_refused_and_its_connection_ends(String what, int status, String start, String more)
            throws IOException {
        try (RawConnection connection = slave.open()) {
            connection.send(start);
            while (!connection.heardWithin(1)) {
                connection.send(more);
            }
            assertThat(connection.read().status()).isEqualTo(status);
            assertThat(connection.readToEnd()).isEmpty();
        }
    }

    static Stream<Arguments> json() {
        String command = "{\"command\":\"x\",";
        return Stream.of(
                Arguments.of("lists in lists", command + "\"y\":" + "[".repeat(100_000)),
                Arguments.of(
                        "lists in lists, all closed",
                        command + "\"y\":" + "[".repeat(100_000) + "]".repeat(100_000) + "}"),
                Arguments.of(
                        "objects in objects",
                        command + "\"y\":" + "{\"a\":".repeat(100_000) + "1" + "}".repeat(100_001)),
                Arguments.of("nothing but lists", "[".repeat(MEGABYTE)),
                Arguments.of("a doubled command", command + "\"command\":\"y\"}"),
                Arguments.of("a doubled unknown field", command + "\"y\":1,\"y\":1}"),
                Arguments.of("a doubled variable", command + "\"env\":{\"A\":\"1\",\"A\":\"2\"}}"),
                Arguments.of("a doubled limit", command + "\"limits\":{\"processes\":1,\"processes\":2}}"),
                Arguments.of("a field doubled by an escape", command + "\"comm\\u0061nd\":\"y\"}"),
                Arguments.of("a number of ten thousand digits", command + "\"timeout\":1" + "0".repeat(10_000) + "}"),
                Arguments.of("such a number that nobody reads", command + "\"y\":1" + "0".repeat(10_000) + "}"),
                Arguments.of("an exponent beyond any number", command + "\"timeout\":1e99999999999999999999}"),
                Arguments.of("a name of half a megabyte", command + "\"" + "a".repeat(MEGABYTE / 2) + "\":1}"),
                Arguments.of("half a character in the command", "{\"command\":\"\\ud800\"}"),
                Arguments.of("the other half", "{\"command\":\"\\udc00 print(55)\"}"),
                Arguments.of("the halves in the wrong order", "{\"command\":\"\\udc00\\ud800\"}"),
                Arguments.of("half a character in an unknown isolation", command + "\"min_isolation\":\"\\ud800\"}"),
                Arguments.of("half a character in a variable's name", command + "\"env\":{\"\\ud800\":\"\"}}"),
                Arguments.of("half a character in a wrong variable's name", command + "\"env\":{\"\\ud800\":1}}"),
                Arguments.of("half a character in a variable", command + "\"env\":{\"A\":\"\\ud800\"}}"),
                Arguments.of("half a character in an argument", command + "\"args\":[\"\\ud800\"]}"),
                Arguments.of("half a character in a requirement", command + "\"requirements\":[\"\\ud800\"]}"),
                Arguments.of("half a character in the input", command + "\"stdin\":\"\\ud800\"}"),
                Arguments.of("half a character in the directory", command + "\"working_dir\":\"/\\ud800\"}"),
                Arguments.of("half a character in the method", command + "\"method\":\"\\ud800\"}"),
                Arguments.of("half a character in the runtime", command + "\"runtime\":\"\\ud800\"}"),
                Arguments.of("half a character in the image", command + "\"image\":\"\\ud800\"}"),
                Arguments.of("bytes that are no UTF-8", "{\"command\":\"\u00ff\u00fe\"}"),
                Arguments.of("half a character as bytes", "{\"command\":\"\u00ed\u00a0\u0080\"}"),
                Arguments.of("NUL", "{\"command\":\"\0\"}"),
                Arguments.of("nothing", " "),
                Arguments.of("null", "null"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("json")
    void json_that_means_harm_is_malformed(String what, String json) throws IOException {
        try (RawConnection connection = slave.open()) {
            RawConnection.Reply reply = connection.send(Slave.execute(json)).read();

            assertThat(reply.status()).as(reply.body()).isEqualTo(400);
            assertThat(reply.body())
                    .hasSizeLessThan(1000)
                    .doesNotContain("Exception")
                    .doesNotContain("jackson")
                    .doesNotContain("dev.d8");
        }
    }

    @Test
    void a_megabyte_of_names_that_nobody_knows_is_ignored() throws IOException {
        StringBuilder json = new StringBuilder("{\"command\":\"print(55)\"");
        for (int i = 0; json.length() < MEGABYTE; i++) {
            json.append(",\"").append(i).append("\":").append(i);
        }
        try (RawConnection connection = slave.open()) {
            assertThat(connection.send(Slave.execute(json + "}")).read().status())
                    .isEqualTo(200);
            slave.service.takeCall();
        }
    }

    static Stream<Arguments> fields() {
        List<String> noText = List.of("5", "1.5", "true", "[]", "{}", "[\"x\"]", "1e999999", "1" + "0".repeat(400));
        List<String> noSeconds = List.of(
                "\"5\"", "true", "[]", "{}", "0", "-1", "1e999999", "-1e999999", "1" + "0".repeat(400), "1e-99");
        List<String> noCount = List.of(
                "\"5\"",
                "true",
                "[]",
                "{}",
                "-1",
                "1.5",
                "1.0",
                "1e3",
                "1e999999",
                "9223372036854775808",
                "1" + "0".repeat(400));
        List<String> noList = List.of("5", "true", "{}", "\"x\"", "[5]", "[null]", "[[]]", "[{}]", "[\"x\",true]");
        List<String> noObject = List.of("5", "true", "[]", "\"x\"");
        return Stream.of(
                Arguments.of("command", noText),
                Arguments.of("command", List.of("null")),
                Arguments.of("working_dir", noText),
                Arguments.of("timeout", noSeconds),
                Arguments.of("task_id", noText),
                Arguments.of("task_id", List.of("\"\"", "\"1-1-1-1-1\"", "\"" + "0".repeat(36) + "\"")),
                Arguments.of("runtime", noText),
                Arguments.of("runtime", List.of("\"\"")),
                Arguments.of("method", noText),
                Arguments.of("min_isolation", noText),
                Arguments.of("min_isolation", List.of("\"\"", "\"NONE\"")),
                Arguments.of("env", noObject),
                Arguments.of("env.A", noText),
                Arguments.of("env.A", List.of("null")),
                Arguments.of("stdin", noText),
                Arguments.of("args", noList),
                Arguments.of("requirements", noList),
                Arguments.of("image", noText),
                Arguments.of("limits", noObject),
                Arguments.of("limits.memory_bytes", noCount),
                Arguments.of("limits.memory_bytes", List.of("0")),
                Arguments.of("limits.cpu_seconds", noSeconds),
                Arguments.of("limits.processes", noCount),
                Arguments.of("limits.processes", List.of("0")),
                Arguments.of("limits.output_bytes", noCount),
                Arguments.of("limits.file_bytes", noCount));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("fields")
    void a_known_field_of_the_wrong_type_is_named(String field, List<String> values) throws IOException {
        int dot = field.indexOf('.');
        try (RawConnection connection = slave.open()) {
            for (String value : values) {
                String json = dot < 0
                        ? "\"" + field + "\":" + value
                        : "\"" + field.substring(0, dot) + "\":{\"" + field.substring(dot + 1) + "\":" + value + "}";
                String command = field.equals("command") ? "" : "\"command\":\"print(55)\",";

                RawConnection.Reply reply = connection
                        .send(Slave.execute("{" + command + json + "}"))
                        .read();

                assertThat(reply.status()).as("%s: %s", value, reply.body()).isEqualTo(400);
                assertThat(reply.body()).startsWith("{\"error\":\"" + field);
            }
        }
    }

    @Test
    void an_answer_repeats_what_was_sent_without_its_control_characters() throws IOException {
        try (RawConnection connection = slave.open()) {
            RawConnection.Reply reply = connection
                    .send(Slave.execute("{\"command\":\"x\",\"min_isolation\":\"\\u001b[2J\\r\\nHTTP/1.1 200 OK\"}"))
                    .read();

            assertThat(reply.status()).isEqualTo(400);
            assertThat(reply.body().getBytes(StandardCharsets.UTF_8))
                    .doesNotContain(new int[] {'\r'})
                    .doesNotContain(new int[] {'\n'})
                    .doesNotContain(new int[] {0x1b});
        }
    }
}
