package dev.d8.slave;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Limits;
import dev.d8.TaskId;
import java.time.Duration;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Two tasks of one id are the same if they ask for the same, in every respect. */
class FingerprintTest {

    private static Invocation.Builder task() {
        return Invocation.python("print(55)");
    }

    private static String print(Invocation.Builder task) {
        return HexFormat.of()
                .formatHex(Fingerprint.of(task.taskId(TaskId.random()).build()));
    }

    @Test
    void whatever_differs_but_the_id_makes_another_one() {
        List<Invocation.Builder> each = List.of(
                Invocation.builder("other", "print(55)"),
                Invocation.python("print(56)"),
                task().args(List.of("a")),
                task().workingDir("/tmp"),
                task().env(Map.of("A", "b")),
                task().stdin("x"),
                task().requirements(List.of("six")),
                task().image("python:3"),
                task().limits(new Limits(
                        OptionalLong.of(1 << 20),
                        Optional.empty(),
                        OptionalLong.empty(),
                        OptionalLong.empty(),
                        OptionalLong.empty())),
                task().timeout(Duration.ofSeconds(7)),
                task().method("venv"),
                task().minIsolation(Isolation.CONTAINER));
        assertThat(each)
                .as("one for each component but the id")
                .hasSize(Invocation.class.getRecordComponents().length - 1);
        assertThat(Stream.concat(Stream.of(task()), each.stream()).map(FingerprintTest::print))
                .doesNotHaveDuplicates();
    }

    @Test
    void where_one_text_ends_and_the_next_begins_makes_a_difference() {
        assertThat(Stream.of(
                                task().args(List.of("ab")),
                                task().args(List.of("a", "b")),
                                task().args(List.of("a")).requirements(List.of("b")),
                                task().args(List.of("", "ab")),
                                task().env(Map.of("A", "b", "C", "d")),
                                task().env(Map.of("A", "bC", "d", "")))
                        .map(FingerprintTest::print))
                .doesNotHaveDuplicates();
    }

    @Test
    void the_order_of_variables_makes_none() {
        Map<String, String> forth = new LinkedHashMap<>();
        Map<String, String> back = new LinkedHashMap<>();
        for (int i = 0; i < 50; i++) {
            forth.put("V" + i, "x");
            back.put("V" + (49 - i), "x");
        }
        assertThat(print(task().env(forth))).isEqualTo(print(task().env(back)));
    }
}
