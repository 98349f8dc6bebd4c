package dev.d8;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

class WordsTest {

    @Test
    void a_token_never_shows_and_matches_only_itself() {
        Token token = Token.of("s3cret-s3cret-s3cret-s3cret-s3cret");
        assertThat(token.toString()).doesNotContain("s3cret");
        assertThat(token.matches("s3cret-s3cret-s3cret-s3cret-s3cret")).isTrue();
        assertThat(token.matches("s3cret-s3cret-s3cret-s3cret-s3cre")).isFalse();
        assertThat(token.matches("")).isFalse();
        assertThat(token.strong()).isTrue();
        assertThat(Token.of("short").strong()).isFalse();
        assertThat(Token.DEVELOPMENT.strong()).isFalse();
        assertThat(Token.of(Token.DEVELOPMENT.reveal()).strong())
                .as("the well-known token stays weak under any name")
                .isFalse();
        assertThatThrownBy(() -> Token.of("a b")).isInstanceOf(ConfigurationException.class);
        assertThatThrownBy(() -> Token.of("")).isInstanceOf(ConfigurationException.class);
    }

    @Test
    void output_keeps_bytes_and_counts_what_it_dropped() {
        Output output = Output.of("h\u00e9".getBytes(StandardCharsets.UTF_8), 10);
        assertThat(output.text()).isEqualTo("h\u00e9");
        assertThat(output.truncated()).isTrue();
        assertThat(output.totalBytes()).isEqualTo(10);
        assertThat(Output.of(new byte[] {(byte) 0xc3}).isUtf8()).isFalse();
        assertThat(Output.of("a").withLine("b").text()).isEqualTo("a\nb\n");
        assertThat(Output.of("a\n").withLine("b").text()).isEqualTo("a\nb\n");
        assertThat(Output.EMPTY.withLine("b").text()).isEqualTo("b\n");
        assertThatThrownBy(() -> Output.of(new byte[2], 1)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void an_exit_code_and_a_signal_exclude_each_other() {
        assertThat(Termination.exited(137)).isNotEqualTo(Termination.signaled(9));
        assertThat(Termination.exited(0)).isEqualTo(Termination.OK);
        assertThatThrownBy(() -> new Termination(Termination.Status.SIGNALED, 1, 9))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void a_task_copies_its_data_and_hides_it() {
        Map<String, Object> data = new HashMap<>(Map.of("command", "secret()"));
        Task task = Task.builder("python_code").data(data).build();
        data.put("command", "other()");
        assertThat(task.data()).containsEntry("command", "secret()");
        assertThat(task.toString()).doesNotContain("secret");
        assertThat(Invocation.python("secret()").build().toString()).doesNotContain("secret");
    }

    @Test
    void a_task_takes_its_data_as_a_record_as_json_and_field_by_field() {
        record Point(int xAxis, String label) {}
        Map<String, Object> expected = Map.of("x_axis", 3, "label", "a");
        assertThat(Task.builder("t").data(new Point(3, "a")).build().data()).isEqualTo(expected);
        assertThat(Task.builder("t")
                        .data("{\"x_axis\":3,\"label\":\"a\"}")
                        .build()
                        .data())
                .isEqualTo(expected);
        assertThat(Task.builder("t")
                        .with("x_axis", 3)
                        .with("label", "a")
                        .build()
                        .data())
                .isEqualTo(expected);
        assertThatThrownBy(() -> Task.builder("t").data("[1]")).isInstanceOf(InvalidTaskException.class);
    }

    @Test
    void what_is_out_of_range_is_refused_with_the_value_and_the_range() {
        assertThatThrownBy(() -> Task.builder("t").timeout(Duration.ZERO).build())
                .hasMessage("timeout: PT0S (expected: above 0)");
        assertThatThrownBy(() -> Limits.DEFAULT.withMemoryBytes(0))
                .hasMessage("limits.memory_bytes: 0 (expected: at least 1)");
        assertThatThrownBy(() -> Limits.DEFAULT.withCpuTime(Duration.ofSeconds(-1)))
                .hasMessageContaining("limits.cpu_seconds");
        assertThatThrownBy(() -> new Slots(2, 3)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> TaskId.parse("1-1-1-1-1")).isInstanceOf(InvalidTaskException.class);
    }

    @Test
    void isolation_is_ordered() {
        assertThat(Isolation.CONTAINER.atLeast(Isolation.PROCESS)).isTrue();
        assertThat(Isolation.PROCESS.atLeast(Isolation.CONTAINER)).isFalse();
        assertThat(Isolation.NONE.atLeast(Isolation.NONE)).isTrue();
    }

    @Test
    void commits_are_compared_in_full() {
        VersionInfo version = new VersionInfo("0123456789abcdef0123456789abcdef01234567", "1", "main", false);
        assertThat(version.sameCommit(new VersionInfo("0123456789ABCDEF0123456789ABCDEF01234567", "2", "x", true)))
                .isTrue();
        assertThat(version.sameCommit(new VersionInfo("0123456789abcdef", "1", "main", false)))
                .isFalse();
        assertThat(version.shortCommit()).isEqualTo("0123456789ab");
    }
}
