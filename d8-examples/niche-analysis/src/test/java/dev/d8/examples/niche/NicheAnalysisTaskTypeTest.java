package dev.d8.examples.niche;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.InvalidTaskException;
import dev.d8.Invocation;
import dev.d8.Output;
import dev.d8.TaskResult;
import dev.d8.Termination;
import dev.d8.spi.TaskType;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NicheAnalysisTaskTypeTest {

    @TempDir
    Path dir;

    private final NicheAnalysisTaskType type = new NicheAnalysisTaskType();

    @Test
    void the_report_comes_back_as_a_record() throws Exception {
        NicheReport report = analyse("AI productivity tools");

        assertThat(report.niche()).isEqualTo("AI productivity tools");
        assertThat(report.slug()).isEqualTo("ai-productivity-tools");
        assertThat(report.keywords())
                .startsWith("ai productivity tools", "best ai productivity tools")
                .contains("ai productivity", "productivity tools", "tools")
                .doesNotHaveDuplicates();
        assertThat(report.score()).isEqualTo(80.0);
        assertThat(report.summary()).isEqualTo("3 telling of 3 words: narrowness 80.0 of 100.");
    }

    @Test
    void the_score_follows_its_formula() throws Exception {
        assertThat(analyse("the best tools for the AI").score()).isEqualTo(46.7);
        assertThat(analyse("one two three four five six").score()).isEqualTo(100.0);
        assertThat(analyse("of the").score()).isZero();
        assertThat(analyse("of the").keywords()).isEmpty();
        assertThat(analyse("!?").score()).isZero();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "\"quoted\" and 'quoted'",
                "two\nlines\r\nand\ttabs",
                "caf\u00e9 \ud83e\udd16 robots \u4e2d\u6587",
                "\"\"\"; import os; os.system('touch sprung'); \"\"\"",
                "'''\n__import__('os').mkdir('sprung')\n'''",
                "$(touch sprung) `touch sprung` ; touch sprung",
                "\\ \\n \\u0041 {0} %s ${x} {niche}",
                "{\"niche\": \"nested\"}",
                "--help",
                "\u2028\u0000\u0007"
            })
    void a_hostile_niche_is_data_and_nothing_else(String niche) throws Exception {
        assertThat(analyse(niche).niche()).isEqualTo(niche);

        assertThat(dir.resolve("sprung")).doesNotExist();
        assertThat(type.prepare(new NicheData(niche)).source())
                .isEqualTo(type.prepare(new NicheData("other")).source());
    }

    @Test
    void a_long_niche_passes() throws Exception {
        String niche = "word ".repeat(100_000);

        assertThat(analyse(niche).niche()).isEqualTo(niche);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "\n\t"})
    void a_blank_niche_is_refused(String niche) {
        assertThatThrownBy(() -> new NicheData(niche))
                .isInstanceOf(InvalidTaskException.class)
                .hasMessageStartingWith("niche: blank");
    }

    @Test
    void the_service_loader_finds_it() {
        assertThat(ServiceLoader.load(TaskType.class))
                .filteredOn(found -> found.id().equals("niche_analysis"))
                .singleElement()
                .isInstanceOf(NicheAnalysisTaskType.class);
    }

    /** What a slave would do, with nothing of D8's in between. */
    private NicheReport analyse(String niche) throws Exception {
        Invocation invocation = type.prepare(new NicheData(niche));
        assertThat(invocation.runtime()).isEqualTo(Invocation.PYTHON);
        Path errors = dir.resolve("errors");
        ProcessBuilder builder = new ProcessBuilder("/usr/bin/python3", "-c", invocation.source())
                .directory(dir.toFile())
                .redirectError(errors.toFile());
        builder.environment().clear();
        builder.environment().putAll(invocation.env());
        Process python = builder.start();
        try (OutputStream stdin = python.getOutputStream()) {
            stdin.write(invocation.stdin().getBytes(StandardCharsets.UTF_8));
        }
        Output output = Output.of(python.getInputStream().readAllBytes());
        TaskResult result = new TaskResult(
                invocation.taskId(),
                "python",
                Termination.exited(python.waitFor()),
                output,
                Output.of(Files.readString(errors)),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                List.of(),
                0);
        return result.outputAs(NicheReport.class);
    }
}
