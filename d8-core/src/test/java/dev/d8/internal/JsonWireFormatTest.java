package dev.d8.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.Health;
import dev.d8.InvalidTaskException;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Output;
import dev.d8.SlaveUpdate;
import dev.d8.TaskEvent;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.VersionInfo;
import dev.d8.spi.ExecutionListener;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class JsonWireFormatTest {

    private static final JsonWireFormat WIRE = JsonWireFormat.INSTANCE;

    private static byte[] bytes(String json) {
        return json.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(byte[] json) {
        return new String(json, StandardCharsets.UTF_8);
    }

    @Test
    void health_starts_with_the_original_fields_in_their_order() {
        Map<String, Boolean> methods = new LinkedHashMap<>();
        methods.put("docker", false);
        methods.put("venv", true);
        methods.put("python", true);
        Health health = new Health(
                "healthy",
                "3.11.2 (main, Apr 28 2025)",
                methods,
                new VersionInfo("0123456789abcdef0123456789abcdef01234567", "1.0.0", "main", false),
                Optional.empty(),
                false,
                Optional.empty());
        assertThat(text(WIRE.encode(health)))
                .startsWith("{\"status\":\"healthy\",\"python_version\":\"3.11.2 (main, Apr 28 2025)\","
                        + "\"execution_methods\":{\"docker\":false,\"venv\":true,\"python\":true},"
                        + "\"version\":\"1.0.0\",\"commit\":\"0123456789abcdef0123456789abcdef01234567\","
                        + "\"branch\":\"main\"");
        assertThat(WIRE.decodeHealth(WIRE.encode(health))).isEqualTo(health);
    }

    @Test
    void a_result_starts_with_the_original_four_fields() {
        TaskResult result = new TaskResult(
                TaskId.random(),
                "venv",
                Termination.OK,
                Output.of("55\n"),
                Output.EMPTY,
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                List.of(),
                0);
        assertThat(text(WIRE.encode(result)))
                .startsWith("{\"success\":true,\"output\":\"55\\n\",\"error\":\"\",\"method\":\"venv\"");
    }

    @Test
    void the_original_clients_request_is_enough() {
        Invocation invocation = WIRE.decodeInvocation(bytes("{\"command\": \"print(55)\", \"working_dir\": \"/app\"}"));
        assertThat(invocation.source()).isEqualTo("print(55)");
        assertThat(invocation.workingDir()).contains("/app");
        assertThat(invocation.timeout()).isEqualTo(Duration.ofSeconds(300));
        assertThat(invocation.runtime()).isEqualTo("python");
        assertThat(invocation.minIsolation()).isEqualTo(Isolation.NONE);
    }

    @Test
    void the_original_slaves_result_is_enough() {
        Invocation sent = Invocation.python("x").build();
        TaskResult failed = WIRE.decodeResult(
                bytes("{\"success\":false,\"output\":\"\",\"error\":\"Traceback\",\"method\":\"python\"}"), sent);
        assertThat(failed.taskId()).isEqualTo(sent.taskId());
        assertThat(failed.termination()).isEqualTo(Termination.of(Status.NONZERO_EXIT));
        assertThat(failed.error()).isEqualTo("Traceback");
        assertThat(failed.usage()).isEmpty();
    }

    @Test
    void a_status_of_the_future_is_a_failure_that_can_be_read() {
        TaskResult result = WIRE.decodeResult(
                bytes("{\"success\":false,\"output\":\"\",\"error\":\"\",\"method\":\"x\",\"status\":\"abducted\"}"),
                Invocation.python("x").build());
        assertThat(result.success()).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "55\n", "\"\\/\b\f\n\r\t\0\u001f\u007f", "\u00fc\u2028\u20ac\ud83d\ude00"})
    void output_that_is_text_travels_as_text_whatever_is_in_it(String text) {
        TaskEvent.Wrote wrote = new TaskEvent.Wrote(ExecutionListener.Stream.STDERR, bytes(text), 7);
        byte[] json = WIRE.encode(wrote);
        assertThat(text(json))
                .isEqualTo("{\"type\":\"output\",\"stream\":\"stderr\",\"offset\":7,\"next\":" + wrote.next()
                        + ",\"text\":" + text(Json.write(text)) + "}");
        assertThat(WIRE.decodeEvent(json, TaskId.random()))
                .hasValueSatisfying(
                        read -> assertThat(((TaskEvent.Wrote) read).bytes()).isEqualTo(wrote.bytes()));
    }

    @Test
    void bytes_that_are_not_utf_8_travel_as_base64() {
        byte[] raw = {(byte) 0xff, 0, 'a'};
        TaskResult result = new TaskResult(
                TaskId.random(),
                "python",
                Termination.exited(3),
                Output.of(raw, 50),
                Output.of("\u00fc"),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                List.of(),
                2);
        TaskResult read =
                WIRE.decodeResult(WIRE.encode(result), Invocation.python("x").build());
        assertThat(read).isEqualTo(result);
        assertThat(text(WIRE.encode(result))).contains("\"output_encoding\":\"base64\"", "\"output_truncated\":true");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{'command': 5}|command: 5 (expected: a string)",
                "{'command': ['x']}|command: a JSON array (expected: a string)",
                "{'working_dir': '/'}|command: missing (expected: a string, the source)",
                "{'command': 'x', 'timeout': '5'}|timeout: \"5\" (expected: seconds, a number above 0)",
                "{'command': 'x', 'timeout': 0}|timeout: 0.0 (expected: seconds above 0)",
                "{'command': 'x', 'timeout': -1}|timeout: -1.0 (expected: seconds above 0)",
                "{'command': 'x', 'timeout': 1e400}|timeout: too large (expected: seconds, a number above 0)",
                "{'command': '\\ud800'}|command: contains half a surrogate pair (expected: whole characters)",
                "{'command': 'x', 'args': ['\\udc00\\ud800']}|args: contains half a surrogate pair (expected: whole characters)",
                "{'command': 'x', 'env': {'A': 1}}|env.A: 1 (expected: a string)",
                "{'command': 'x', 'env': {'A=': 'b'}}|env: the name \"A=\" (expected: not empty, no '=')",
                "{'command': 'x', 'args': 'a'}|args: \"a\" (expected: a list of strings)",
                "{'command': 'x', 'args': ['a', 2]}|args[1]: 2 (expected: a string)",
                "{'command': 'x', 'task_id': '1'}|task_id: not a UUID (expected: 36 characters, 8-4-4-4-12 hex digits)",
                "{'command': 'x', 'min_isolation': 'total'}|min_isolation: \"total\" (expected: none, process or container)",
                "{'command': 'x', 'limits': {'memory_bytes': 0}}|limits.memory_bytes: 0 (expected: at least 1)",
                "{'command': 'x', 'limits': {'processes': 1.5}}|limits.processes: 1.5 (expected: a whole number below 2^63)",
                "{'command': 'x', 'working_dir': 'a\\u0000b'}|working_dir: contains a NUL character",
                "['x']|not a JSON object",
            })
    void a_field_of_the_wrong_type_is_named(String json, String message) {
        assertThatThrownBy(() -> WIRE.decodeInvocation(bytes(json.replace('\'', '"'))))
                .isInstanceOf(InvalidTaskException.class)
                .hasMessage(message);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{",
                "{'command': 'x'} y",
                "{'command': 'x'} 2",
                "{'command': 'x', 'command': 'y'}",
                "{'command': NaN}",
                "''"
            })
    void what_is_not_json_is_said_to_be_so(String json) {
        assertThatThrownBy(() -> WIRE.decodeInvocation(bytes(json.replace('\'', '"'))))
                .isInstanceOf(InvalidTaskException.class)
                .hasMessageNotContaining("dev.d8")
                .hasMessageNotContaining("jackson");
    }

    @Test
    void json_nested_a_hundred_thousand_deep_is_refused_and_not_overflowed() {
        String deep = "[".repeat(100_000);
        assertThatThrownBy(() -> WIRE.decodeInvocation(bytes("{\"command\":\"x\",\"y\":" + deep)))
                .isInstanceOf(InvalidTaskException.class);
    }

    @Test
    void a_count_that_is_too_large_is_refused_and_not_cut_to_size() {
        Invocation sent = Invocation.python("x").build();
        for (String field : List.of("exit_code", "signal", "leftover_processes_killed")) {
            assertThatThrownBy(() -> WIRE.decodeResult(bytes("{\"success\":false,\"" + field + "\":4294967296}"), sent))
                    .isInstanceOf(InvalidTaskException.class)
                    .hasMessage(field + ": 4294967296 (expected: a whole number below 2^31)");
        }
        assertThatThrownBy(() -> WIRE.decodeHealth(bytes("{\"slots\":{\"total\":4294967297,\"free\":1}}")))
                .isInstanceOf(InvalidTaskException.class)
                .hasMessage("slots.total: 4294967297 (expected: a whole number below 2^31)");
    }

    @Test
    void a_number_that_no_double_can_hold_is_out_of_range_like_any_other() {
        String huge = "1" + "0".repeat(400);
        assertThatThrownBy(() -> WIRE.decodeInvocation(bytes("{\"command\":\"x\",\"timeout\":" + huge + "}")))
                .isInstanceOf(InvalidTaskException.class)
                .hasMessage("timeout: too large (expected: seconds, a number above 0)");
    }

    @Test
    void an_unknown_field_is_ignored_and_null_counts_as_missing() {
        Invocation invocation =
                WIRE.decodeInvocation(bytes("{\"command\":\"x\",\"colour\":\"blue\",\"working_dir\":null}"));
        assertThat(invocation.workingDir()).isEmpty();
    }

    @Test
    void an_update_is_asked_for_by_its_commit_and_told_by_both() {
        assertThat(text(WIRE.encodeUpdate("abc"))).isEqualTo("{\"commit\":\"abc\"}");
        assertThat(WIRE.decodeUpdate(bytes("{\"commit\":\"abc\",\"url\":\"http://elsewhere\"}")))
                .isEqualTo("abc");
        SlaveUpdate update = new SlaveUpdate("abc", "def");
        assertThat(text(WIRE.encode(update))).isEqualTo("{\"from\":\"abc\",\"to\":\"def\"}");
        assertThat(WIRE.decodeUpdated(WIRE.encode(update))).isEqualTo(update);
        assertThatThrownBy(() -> WIRE.decodeUpdate(bytes("{}")))
                .isInstanceOf(InvalidTaskException.class)
                .hasMessageContaining("commit: missing");
        assertThatThrownBy(() -> WIRE.decodeUpdated(bytes("{\"from\":\"abc\"}")))
                .isInstanceOf(InvalidTaskException.class)
                .hasMessageContaining("to: missing");
    }

    @Test
    void an_error_answer_of_anybody_can_be_shown_on_one_line() {
        assertThat(WIRE.decodeError(WIRE.encodeError("queue full"))).isEqualTo("queue full");
        assertThat(WIRE.decodeError(bytes("<html>\n<b>Bad\u001b[31m</b>"))).isEqualTo("<html> <b>Bad [31m</b>");
        assertThat(WIRE.decodeError(WIRE.encodeError("a\u009b2Jb\u2028c\u202ed\r\ne")))
                .isEqualTo("a 2Jb c d e");
        assertThat(WIRE.decodeError(new byte[100_000])).hasSizeLessThan(600);
    }
}
