package dev.d8.executor.venv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.ConfigurationException;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.Availability.Unavailable;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.Options;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** On a real virtual environment, made without pip. */
@Timeout(60)
class VenvExecutorTest {

    @TempDir
    static Path made;

    @TempDir
    Path empty;

    @BeforeAll
    static void makeVenv() throws IOException, InterruptedException {
        made = made.toRealPath();
        TestVenv.make(made.resolve("venv"));
    }

    private static Executor executor(Map<String, String> options) {
        Map<String, String> all = new HashMap<>(options);
        all.putIfAbsent("venv.requirements", "refuse"); // What is built is BuiltVenvsTest's.
        return new VenvExecutorProvider().create(Options.of(all).under("venv"));
    }

    private static String reason(Map<String, String> options) {
        try (Executor executor = executor(options)) {
            return executor.probe() instanceof Unavailable missing ? missing.reason() : "available";
        }
    }

    @Test
    void a_task_runs_inside_the_environment() throws InterruptedException {
        Path venv = made.resolve("venv");
        try (Executor executor = executor(Map.of("venv.directory", made.toString()))) {
            assertThat(executor.probe()).isInstanceOfSatisfying(Available.class, found -> {
                assertThat(found.detail()).startsWith(venv.resolve("bin/python") + ", Python 3.");
                assertThat(found.isolation()).isEqualTo(Isolation.PROCESS);
                assertThat(found.pythonVersion()).isPresent();
            });

            ExecutionOutcome outcome = executor.execute(
                    Invocation.python("import sys\nprint(sys.prefix, sys.prefix != sys.base_prefix, sys.executable)")
                            .build(),
                    ExecutionListener.NONE);

            assertThat(outcome.termination()).isEqualTo(Termination.OK);
            assertThat(outcome.stdout().text()).isEqualTo(venv + " True " + venv.resolve("bin/python") + "\n");
        }
    }

    @Test
    void what_is_installed_in_the_environment_can_be_imported() throws Exception {
        Path site;
        try (var paths = Files.walk(made.resolve("venv"))) {
            site = paths.filter(path -> path.endsWith("site-packages"))
                    .findFirst()
                    .orElseThrow();
        }
        Files.writeString(site.resolve("only_here.py"), "answer = 42\n");
        try (Executor executor =
                executor(Map.of("venv.path", made.resolve("venv").toString()))) {
            ExecutionOutcome outcome = executor.execute(
                    Invocation.python("import only_here\nprint(only_here.answer)")
                            .build(),
                    ExecutionListener.NONE);

            assertThat(outcome.stdout().text()).isEqualTo("42\n");
        }
    }

    @Test
    void a_hidden_venv_is_found_too_even_beside_a_directory_that_is_none() throws IOException {
        Files.createDirectory(empty.resolve("venv"));
        Files.createSymbolicLink(empty.resolve(".venv"), made.resolve("venv"));
        try (Executor executor = executor(Map.of("venv.directory", empty.toString()))) {
            assertThat(executor.probe())
                    .isInstanceOfSatisfying(
                            Available.class,
                            found -> assertThat(found.detail())
                                    .startsWith(
                                            empty.resolve(".venv/bin/python").toString()));
        }
    }

    @Test
    void the_option_goes_before_the_variable_and_the_variable_before_the_directory() {
        Map<String, String> environment = Map.of("D8_VENV", "/from/variable");

        assertThat(VenvFinder.of(Options.of(Map.of("path", "/from/option")), environment)
                        .configured())
                .contains(Path.of("/from/option"));
        assertThat(VenvFinder.of(Options.NONE, environment).configured()).contains(Path.of("/from/variable"));
        assertThat(VenvFinder.of(Options.NONE, Map.of("D8_VENV", "")).configured())
                .isEmpty();
    }

    @Test
    void none_at_all_is_told_with_the_cure_and_no_task_starts() throws InterruptedException {
        String words = "no virtual environment: neither venv/ nor .venv/ in " + empty
                + "; make one with python3 -m venv venv, or set D8_VENV";
        try (Executor executor = executor(Map.of("venv.directory", empty.toString()))) {
            assertThat(executor.probe()).isEqualTo(new Unavailable(words));
            ExecutionOutcome outcome =
                    executor.execute(Invocation.python("print(1)").build(), ExecutionListener.NONE);
            assertThat(outcome.termination().status()).isEqualTo(Status.START_FAILED);
            assertThat(outcome.message()).contains(words);
        }
    }

    @Test
    void an_environment_that_appears_later_is_noticed() throws IOException {
        try (Executor executor = executor(Map.of("venv.directory", empty.toString()))) {
            assertThat(executor.probe()).isInstanceOf(Unavailable.class);

            Files.createSymbolicLink(empty.resolve("venv"), made.resolve("venv"));

            assertThat(executor.probe()).isInstanceOf(Available.class);
        }
    }

    @Test
    void a_configured_one_that_is_not_there_is_told() {
        assertThat(reason(Map.of("venv.path", empty.resolve("gone").toString())))
                .isEqualTo(empty.resolve("gone") + " is not there; make it with python3 -m venv "
                        + empty.resolve("gone") + ", or set venv.path");
    }

    @Test
    void a_broken_one_is_told_with_what_is_broken() throws IOException {
        Map<String, String> options = Map.of("venv.path", empty.toString());
        assertThat(reason(options)).contains("is broken", "pyvenv.cfg is missing", "python3 -m venv --clear " + empty);

        Files.writeString(empty.resolve("pyvenv.cfg"), "home = /usr/bin\n");
        assertThat(reason(options)).contains("bin/python is missing");

        Files.createDirectory(empty.resolve("bin"));
        Files.createSymbolicLink(empty.resolve("bin/python"), Path.of("/nonexistent/python3.8"));
        assertThat(reason(options)).contains("an interpreter that is gone");

        Files.delete(empty.resolve("bin/python"));
        Files.writeString(empty.resolve("bin/python"), "no program");
        assertThat(reason(options)).contains("cannot be executed");
    }

    @Test
    void requirements_are_objected_to_where_they_are_refused() {
        try (Executor executor =
                executor(Map.of("venv.path", made.resolve("venv").toString()))) {
            assertThat(executor.probe()).isInstanceOf(Available.class);
            assertThat(executor.objection(Invocation.python("print(1)").build()))
                    .isEmpty();
            assertThat(executor.objection(Invocation.python("print(1)")
                            .requirements(java.util.List.of("requests"))
                            .build()))
                    .isPresent();
        }
    }

    @Test
    void an_unknown_option_is_refused() {
        assertThatThrownBy(() -> executor(Map.of("venv.pth", "/x")))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("venv.pth");
    }
}
