package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What is not HTTP/1.1 as RFC 9112 writes it is turned away and its connection ends; what is gets its exact answer. */
@ExtendWith(NoLeaks.class)
class StrictHttpTest {

    private static final String GET = "GET /api/health HTTP/1.1\r\n";
    private static final String POST = "POST /api/execute HTTP/1.1\r\nHost: d8\r\n" + Slave.AUTHORIZATION;
    private static final String TASK = "{\"command\":\"print(55)\"}";
    private static Slave slave;

    @BeforeAll
    static void start() {
        slave = new Slave();
    }

    @AfterAll
    static void stop() {
        slave.close();
    }

    static Stream<Arguments> malformed() {
        return Stream.of(
                bad("no Host", 400, GET + "\r\n"),
                bad("two Hosts", 400, GET + "Host: a\r\nHost: a\r\n\r\n"),
                bad("two Hosts in HTTP/1.0", 400, "GET /api/health HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n"),
                bad(
                        "length and chunked",
                        400,
                        POST + "Content-Length: 22\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                bad(
                        "chunked and length",
                        400,
                        POST + "Transfer-Encoding: chunked\r\nContent-Length: 22\r\n\r\n0\r\n\r\n"),
                bad("two lengths", 400, POST + "Content-Length: 22\r\nContent-Length: 22\r\n\r\n" + TASK),
                bad(
                        "two lengths in HTTP/1.0",
                        400,
                        POST.replace("1.1", "1.0") + "Content-Length: 22\r\nContent-Length: 4\r\n\r\n" + TASK),
                bad("a list of lengths", 400, POST + "Content-Length: 22, 22\r\n\r\n" + TASK),
                bad("a length with plus", 400, POST + "Content-Length: +22\r\n\r\n" + TASK),
                bad("a length with minus", 400, POST + "content-length: -1\r\n\r\n" + TASK),
                bad("a hexadecimal length", 400, POST + "Content-Length: 0x16\r\n\r\n" + TASK),
                bad("an empty length", 400, POST + "Content-Length:\r\n\r\n" + TASK),
                bad("a length beyond any number", 400, POST + "Content-Length: 99999999999999999999\r\n\r\n"),
                bad("a length with digits of another script", 400, POST + "Content-Length: \u00b2\r\n\r\n" + TASK),
                bad("an unknown coding", 400, POST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
                bad("no chunked at the end", 400, POST + "Transfer-Encoding: gzip\r\n\r\n"),
                bad("chunked twice", 400, POST + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
                bad(
                        "chunked in two headers",
                        400,
                        POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                bad("identity coding", 400, POST + "Transfer-Encoding: identity\r\nContent-Length: 22\r\n\r\n" + TASK),
                bad("chunked with a tab inside", 400, POST + "Transfer-Encoding: \u000bchunked\r\n\r\n0\r\n\r\n"),
                bad(
                        "chunked in HTTP/1.0",
                        400,
                        POST.replace("1.1", "1.0") + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
                bad("a folded line", 400, GET + "Host: a\r\nX: a\r\n b\r\n\r\n"),
                bad("a folded line with a tab", 400, GET + "Host: a\r\nX: a\r\n\tb\r\n\r\n"),
                bad("white space before the first header", 400, GET + " Host: a\r\n\r\n"),
                bad("NUL in a value", 400, GET + "Host: a\r\nX: a\0b\r\n\r\n"),
                bad("NUL in a name", 400, GET + "Host: a\r\nX\0: a\r\n\r\n"),
                bad("bare CR in a value", 400, GET + "Host: a\r\nX: a\rb\r\n\r\n"),
                bad("bare CR at a value's end", 400, GET + "Host: a\r\nX: a\r\r\n\r\n"),
                bad("bare LF after a header", 400, GET + "Host: a\nX: b\r\n\r\n"),
                bad("bare LF after the request line", 400, "GET /api/health HTTP/1.1\nHost: a\r\n\r\n"),
                bad("bare LF at the end", 400, GET + "Host: a\r\n\n"),
                bad("another control character", 400, GET + "Host: a\r\nX: \u0007\r\n\r\n"),
                bad("DEL in a header", 400, GET + "Host: a\r\nX: \u007f\r\n\r\n"),
                bad("a space before the colon", 400, GET + "Host : a\r\n\r\n"),
                bad("a space in a name", 400, GET + "Host: a\r\nX Y: a\r\n\r\n"),
                bad("a header without a colon", 400, GET + "Host: a\r\nnothing\r\n\r\n"),
                bad("a header without a name", 400, GET + "Host: a\r\n: b\r\n\r\n"),
                bad(
                        "bare LF after a chunk's size",
                        400,
                        POST + "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n"),
                bad("bare LF after a chunk", 400, POST + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n"),
                bad("bare LF after the last size", 400, POST + "Transfer-Encoding: chunked\r\n\r\n0\n\r\n"),
                bad("bare LF at the body's end", 400, POST + "Transfer-Encoding: chunked\r\n\r\n0\r\n\n"),
                bad("a bad chunk size", 400, POST + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n"),
                bad("a signed chunk size", 400, POST + "Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n"),
                bad("a chunk size that overflows", 400, POST + "Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n"),
                bad("bytes after a chunk", 400, POST + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX\r\n0\r\n\r\n"),
                bad("HTTP/2.0", 400, "GET /api/health HTTP/2.0\r\nHost: a\r\n\r\n"),
                bad("HTTP/1.2", 400, "GET /api/health HTTP/1.2\r\nHost: a\r\n\r\n"),
                bad("HTTP/9.9", 400, "GET /api/health HTTP/9.9\r\nHost: a\r\n\r\n"),
                bad("HTTP/0.9", 400, "GET /api/health\r\n\r\n"),
                bad("a version in lower case", 400, "GET /api/health http/1.1\r\nHost: a\r\n\r\n"),
                bad("another protocol", 400, "GET /api/health ICAP/1.0\r\nHost: a\r\n\r\n"),
                bad("HTTP/01.1", 400, "GET /api/health HTTP/01.1\r\nHost: a\r\n\r\n"),
                bad("no version", 400, "GET /api/health \r\nHost: a\r\n\r\n"),
                bad("two spaces", 400, "GET  /api/health HTTP/1.1\r\nHost: a\r\n\r\n"),
                bad("a space at the end", 400, "GET /api/health HTTP/1.1 \r\nHost: a\r\n\r\n"),
                bad("a space at the start", 400, " GET /api/health HTTP/1.1\r\nHost: a\r\n\r\n"),
                bad("a tab between", 400, "GET\t/api/health HTTP/1.1\r\nHost: a\r\n\r\n"),
                bad("NUL in the target", 400, "GET /api/\0health HTTP/1.1\r\nHost: a\r\n\r\n"),
                bad("a target that is not ASCII", 400, "GET /api/h\u00e9alth HTTP/1.1\r\nHost: a\r\n\r\n"),
                bad("an absolute target", 400, "GET http://d8/api/health HTTP/1.1\r\nHost: d8\r\n\r\n"),
                bad("an asterisk", 400, "OPTIONS * HTTP/1.1\r\nHost: d8\r\n\r\n"),
                bad("a target without a slash", 400, "GET api/health HTTP/1.1\r\nHost: d8\r\n\r\n"),
                bad("a method that is no token", 400, "G@T /api/health HTTP/1.1\r\nHost: d8\r\n\r\n"),
                bad("empty lines first", 400, "\r\n\r\n\r\n" + GET + "Host: a\r\n\r\n"),
                bad("control characters first", 400, "\0\0\0" + GET + "Host: a\r\n\r\n"),
                bad("a TLS hello", 400, "\u0016\u0003\u0001\u0002\0\u0001\0\u0001\u00fc\u0003\u0003"),
                bad("an SSH hello", 400, "SSH-2.0-OpenSSH_9.2\r\n"),
                bad("a long request line", 414, "GET /" + "a".repeat(9000) + " HTTP/1.1\r\nHost: a\r\n\r\n"),
                bad("a request line without an end", 414, "GET /" + "a".repeat(9000)),
                bad("a long header", 431, GET + "Host: a\r\nX: " + "a".repeat(17_000) + "\r\n\r\n"),
                bad("a header without an end", 431, GET + "Host: a\r\nX: " + "a".repeat(17_000)),
                bad(
                        "long headers together",
                        431,
                        GET + "Host: a\r\n" + ("X: " + "a".repeat(997) + "\r\n").repeat(17) + "\r\n"),
                bad("many headers", 431, GET + "Host: a\r\n" + "X: a\r\n".repeat(100) + "\r\n"));
    }

    private static Arguments bad(String what, int status, String bytes) {
        return Arguments.of(what, status, bytes);
    }

    @ParameterizedTest(name = "{0}: {1}")
    @MethodSource("malformed")
    void is_turned_away_and_the_connection_ends(String what, int status, String bytes) throws IOException {
        try (RawConnection connection = slave.open()) {
            // A second request behind it must not be seen: that is how requests are smuggled.
            connection.send(bytes + GET + "Host: a\r\n\r\n");

            RawConnection.Reply reply = connection.read();

            assertThat(reply.status()).as(reply.body()).isEqualTo(status);
            assertThat(reply.headers())
                    .containsEntry("content-type", "application/json")
                    .containsEntry("x-content-type-options", "nosniff")
                    .containsEntry("connection", "close");
            assertThat(reply.body()).startsWith("{\"error\":\"").endsWith("\"}");
            assertThat(connection.readToEnd()).isEmpty();
        }
        assertThat(slave.service.callsLeft()).isZero();
    }

    @ParameterizedTest(name = "{0}: {1}, a byte at a time")
    @MethodSource("malformed")
    void is_turned_away_the_same_when_it_trickles(String what, int status, String bytes) throws IOException {
        if (bytes.length() > 2000) {
            return;
        }
        try (RawConnection connection = slave.open()) {
            for (int i = 0; i < bytes.length(); i++) {
                try {
                    connection.send(bytes.substring(i, i + 1));
                } catch (IOException e) {
                    break;
                }
            }

            assertThat(connection.read().status()).isEqualTo(status);
            assertThat(connection.readToEnd()).isEmpty();
        }
        assertThat(slave.service.callsLeft()).isZero();
    }

    static Stream<Arguments> refused() {
        return Stream.of(
                Arguments.of(404, "", "GET /api/nothing HTTP/1.1\r\nHost: a\r\n\r\n"),
                Arguments.of(404, "", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
                Arguments.of(404, "", "GET //api/health HTTP/1.1\r\nHost: a\r\n\r\n"),
                Arguments.of(404, "", "GET /api/health/ HTTP/1.1\r\nHost: a\r\n\r\n"),
                Arguments.of(404, "", "GET /API/health HTTP/1.1\r\nHost: a\r\n\r\n"),
                Arguments.of(
                        405, "allow: GET, HEAD", "POST /api/health HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
                Arguments.of(405, "allow: GET, HEAD", "DELETE /api/version HTTP/1.1\r\nHost: a\r\n\r\n"),
                Arguments.of(
                        405, "allow: POST", "GET /api/execute HTTP/1.1\r\nHost: a\r\n" + Slave.AUTHORIZATION + "\r\n"),
                Arguments.of(
                        405, "allow: POST", "post /api/execute HTTP/1.1\r\nHost: a\r\n" + Slave.AUTHORIZATION + "\r\n"),
                Arguments.of(405, "allow: GET, HEAD", "TRACE /api/health HTTP/1.1\r\nHost: a\r\n\r\n"),
                Arguments.of(405, "allow: GET, HEAD, POST, DELETE", "TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n"),
                Arguments.of(405, "allow: GET, HEAD, POST, DELETE", "CONNECT d8:80 HTTP/1.1\r\nHost: d8:80\r\n\r\n"),
                Arguments.of(415, "", Slave.execute("Content-Type: text/plain\r\n", TASK)),
                Arguments.of(415, "", Slave.execute("Content-Type: application/jsonx\r\n", TASK)),
                Arguments.of(415, "", Slave.execute("Content-Type: application/x-www-form-urlencoded\r\n", TASK)),
                Arguments.of(415, "", Slave.execute("Content-Encoding: gzip, gzip\r\n", TASK)),
                Arguments.of(415, "", Slave.execute("Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", TASK)),
                Arguments.of(415, "", Slave.execute("Content-Encoding: br\r\n", TASK)),
                Arguments.of(417, "", Slave.execute("Expect: a-miracle\r\n", TASK)),
                Arguments.of(400, "", Slave.execute("not json")),
                Arguments.of(400, "", Slave.execute("[]")),
                Arguments.of(400, "", Slave.execute("{}")),
                Arguments.of(400, "", Slave.execute("{\"command\":5}")),
                Arguments.of(400, "", Slave.execute("{\"command\":\"x\",\"timeout\":\"5\"}")),
                Arguments.of(400, "", "POST /api/execute HTTP/1.1\r\nHost: a\r\n" + Slave.AUTHORIZATION + "\r\n"));
    }

    @ParameterizedTest
    @MethodSource("refused")
    void is_refused_with_json(int status, String header, String bytes) throws IOException {
        try (RawConnection connection = slave.open()) {
            RawConnection.Reply reply = connection.send(bytes).read();

            assertThat(reply.status()).as(reply.body()).isEqualTo(status);
            assertThat(reply.headers())
                    .containsEntry("content-type", "application/json")
                    .containsEntry("x-content-type-options", "nosniff");
            assertThat(reply.body())
                    .startsWith("{\"error\":\"")
                    .doesNotContain("Exception")
                    .doesNotContain("dev.d8");
            if (!header.isEmpty()) {
                assertThat(reply.headers())
                        .containsEntry(
                                header.substring(0, header.indexOf(':')), header.substring(header.indexOf(':') + 2));
            }
        }
        assertThat(slave.service.callsLeft()).isZero();
    }

    static Stream<String> unauthorized() {
        String token = Slave.TOKEN.reveal();
        return Stream.of(
                "",
                "Authorization: Bearer\r\n",
                "Authorization: Bearer \r\n",
                "Authorization: " + token + "\r\n",
                "Authorization: Basic " + token + "\r\n",
                "Authorization: Bearer" + token + "\r\n",
                "Authorization: Bearer " + token + "x\r\n",
                "Authorization: Bearer x" + token + "\r\n",
                "Authorization: Bearer " + token.substring(1) + "\r\n",
                "Authorization: Bearer " + token + ", Bearer " + token + "\r\n",
                Slave.AUTHORIZATION + Slave.AUTHORIZATION,
                Slave.AUTHORIZATION + "authorization: Bearer wrong\r\n");
    }

    @ParameterizedTest
    @MethodSource("unauthorized")
    void a_wrong_token_gets_one_answer_whatever_is_wrong(String headers) throws IOException {
        try (RawConnection connection = slave.open()) {
            connection.send("POST /api/execute HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n" + headers
                    + "Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n");

            RawConnection.Reply reply = connection.read();

            assertThat(reply.status()).isEqualTo(401);
            assertThat(reply.body()).isEqualTo("{\"error\":\"Unauthorized\"}");
            assertThat(reply.headers()).containsEntry("www-authenticate", "Bearer");
            assertThat(connection.readToEnd()).isEmpty();
        }
        assertThat(slave.service.callsLeft()).isZero();
    }

    static Stream<Arguments> accepted() {
        return Stream.of(
                Arguments.of("the original client", Slave.execute("Content-Type: application/json\r\n", TASK)),
                Arguments.of("no content type", Slave.execute(TASK)),
                Arguments.of("a charset", Slave.execute("Content-Type: application/json; charset=utf-8\r\n", TASK)),
                Arguments.of("another case", Slave.execute("content-type: Application/JSON\r\n", TASK)),
                Arguments.of("identity", Slave.execute("Content-Encoding: identity\r\n", TASK)),
                Arguments.of("an empty line first", "\r\n" + Slave.execute(TASK)),
                Arguments.of("a query", Slave.execute(TASK).replace("/api/execute", "/api/execute?x=/api/health")),
                Arguments.of("bearer in lower case", Slave.execute(TASK).replace("Bearer", "bearer")),
                Arguments.of(
                        "HTTP/1.0",
                        Slave.execute(TASK).replace("HTTP/1.1", "HTTP/1.0").replace("Host: d8\r\n", "")),
                Arguments.of(
                        "chunks",
                        POST
                                + "Transfer-Encoding: Chunked\r\n\r\n5;x=y\r\n{\"com\r\n11\r\nmand\":\"print(55)\"\r\n1\r\n}\r\n0\r\n"
                                + "Trailer: x\r\n\r\n"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("accepted")
    void a_good_task_runs(String what, String bytes) throws IOException {
        try (RawConnection connection = slave.open()) {
            RawConnection.Reply reply = connection.send(bytes).read();

            assertThat(reply.status()).as(reply.body()).isEqualTo(200);
            assertThat(reply.body())
                    .startsWith("{\"success\":true,\"output\":\"print(55)\",\"error\":\"\",\"method\":\"python\"");
            assertThat(slave.service.takeCall().invocation().source()).isEqualTo("print(55)");
        }
    }

    @Test
    void a_good_task_that_trickles_runs() throws IOException {
        try (RawConnection connection = slave.open()) {
            for (char c : Slave.execute(TASK).toCharArray()) {
                connection.send(String.valueOf(c));
            }

            assertThat(connection.read().status()).isEqualTo(200);
            slave.service.takeCall();
        }
    }

    @Test
    void health_and_version_are_as_the_original_protocol_wrote_them() throws IOException {
        try (RawConnection connection = slave.open()) {
            assertThat(connection.send(GET + "Host: a\r\n\r\n").read().body())
                    .startsWith("{\"status\":\"healthy\",\"python_version\":\"3.11.2 (main,")
                    .contains(
                            "\"execution_methods\":{\"docker\":false,\"venv\":true,\"python\":true},\"version\":\"1.0.0\"");
            assertThat(connection
                            .send("GET /api/version?x HTTP/1.1\r\nHost: a\r\n\r\n")
                            .read()
                            .body())
                    .startsWith("{\"commit\":\"0123456789abcdef0123456789abcdef01234567\",\"version\":\"1.0.0\"");
        }
    }

    @Test
    void head_is_get_without_the_body() throws IOException {
        try (RawConnection connection = slave.open()) {
            String body = connection.send(GET + "Host: a\r\n\r\n").read().body();
            RawConnection.Reply head = connection
                    .send("HEAD /api/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    .read(false);

            assertThat(head.status()).isEqualTo(200);
            assertThat(head.headers()).containsEntry("content-length", String.valueOf(body.length()));
            assertThat(connection.readToEnd()).isEmpty();
        }
    }

    @Test
    void a_connection_is_kept_unless_the_client_says_otherwise() throws IOException {
        try (RawConnection connection = slave.open()) {
            for (int i = 0; i < 3; i++) {
                assertThat(connection.send(GET + "Host: a\r\n\r\n").read().headers())
                        .doesNotContainKey("connection");
            }
            assertThat(connection
                            .send(GET + "Host: a\r\nConnection: close\r\n\r\n")
                            .read()
                            .headers())
                    .containsEntry("connection", "close");
            assertThat(connection.readToEnd()).isEmpty();
        }
    }

    @Test
    void http_1_0_ends_its_connection_unless_it_asks_to_keep_it() throws IOException {
        try (RawConnection connection = slave.open()) {
            assertThat(connection
                            .send("GET /api/health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                            .read()
                            .headers())
                    .containsEntry("connection", "keep-alive");
            assertThat(connection
                            .send("GET /api/health HTTP/1.0\r\n\r\n")
                            .read()
                            .headers())
                    .containsEntry("connection", "close");
            assertThat(connection.readToEnd()).isEmpty();
        }
    }

    @Test
    void a_body_is_asked_for_only_after_the_head_has_passed() throws IOException {
        String json = TASK;
        try (RawConnection connection = slave.open()) {
            connection.send(POST + "Expect: 100-continue\r\nContent-Length: " + json.length() + "\r\n\r\n");
            assertThat(connection.read().status()).isEqualTo(100);
            assertThat(connection.send(json).read().status()).isEqualTo(200);
            slave.service.takeCall();

            connection.send(POST + "Expect: 100-continue\r\nContent-Length: 8388609\r\n\r\n");
            assertThat(connection.read().status()).isEqualTo(413);
            assertThat(connection.readToEnd()).isEmpty();
        }
    }

    @Test
    void a_get_with_a_body_is_answered_and_its_connection_ends() throws IOException {
        try (RawConnection connection = slave.open()) {
            RawConnection.Reply reply = connection
                    .send(GET + "Host: a\r\nContent-Length: 5\r\n\r\nhello")
                    .read();

            assertThat(reply.status()).isEqualTo(200);
            assertThat(reply.headers()).containsEntry("connection", "close");
            assertThat(connection.readToEnd()).isEmpty();
        }
    }
}
