package dev.d8.executor.python;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Invocation;
import dev.d8.Termination;
import dev.d8.executor.python.engine.EngineSettings;
import dev.d8.executor.python.engine.PythonInterpreter;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.Options;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A task must look exactly as {@code python -c} makes it look: each program of {@code fidelity.txt} runs bare, forked by an
 * agent, and spawned, and every byte and the end are compared.
 */
@Timeout(120)
@Tag("other-runtime") // What it tests is Python.
class FidelityTest {

    private static final Path PYTHON = PythonInterpreter.onPath("python3").orElseThrow();
    private static final Executor AGENT = executor("agent");
    private static final Executor SPAWN = executor("spawn");

    /** Such as an interpreter reads while it starts, and without an effect. */
    private static final Map<String, String> HEEDED = Map.of("LC_D8", "1");

    @TempDir
    private Path folder;

    private static Executor executor(String mode) {
        Executor executor =
                new PythonExecutorProvider().create(Options.of(Map.of("path", PYTHON.toString(), "mode", mode)));
        executor.probe();
        return executor;
    }

    @AfterAll
    static void close() {
        AGENT.close();
        SPAWN.close();
    }

    static Stream<Arguments> programs() throws IOException {
        try (InputStream in = Objects.requireNonNull(FidelityTest.class.getResourceAsStream("fidelity.txt"))) {
            String[] programs = new String(in.readAllBytes(), StandardCharsets.UTF_8).split("(?m)^=== ", -1);
            return Stream.of(programs)
                    .filter(program -> !program.isEmpty())
                    .map(program -> program.split("\n", 2))
                    .map(parts -> Arguments.of(parts[0], parts[1]));
        }
    }

    /** What can be seen of a program from outside. */
    private record Seen(String stdout, String stderr, int exit) {}

    @ParameterizedTest(name = "{0}")
    @MethodSource("programs")
    void a_program_prints_and_ends_as_with_python_c(String name, String program) throws Exception {
        Seen bare = bare(program);
        assertThat(run(AGENT, program)).as("forked by an agent").isEqualTo(bare);
        assertThat(run(SPAWN, program)).as("spawned").isEqualTo(bare);
        assertThat(run(AGENT, program, HEEDED)).as("in a fresh interpreter").isEqualTo(bare(program, HEEDED));
    }

    private static Seen run(Executor executor, String program) throws InterruptedException {
        return run(executor, program, Map.of());
    }

    private static Seen run(Executor executor, String program, Map<String, String> environment)
            throws InterruptedException {
        ExecutionOutcome task = executor.execute(
                Invocation.python(program)
                        .env(environment)
                        .timeout(Duration.ofSeconds(60))
                        .build(),
                ExecutionListener.NONE);
        return new Seen(text(task.stdout().bytes()), text(task.stderr().bytes()), exitValue(task.termination()));
    }

    /** Started as the agent is, with the same variables, a session of its own, and pipes. */
    private static Seen bare(String program) throws Exception {
        return bare(program, Map.of());
    }

    private static Seen bare(String program, Map<String, String> environment) throws Exception {
        String real = ((Available) SPAWN.probe()).detail().replaceFirst(",.*", "");
        ProcessBuilder builder = new ProcessBuilder("setsid", real, "-c", program);
        builder.environment().keySet().retainAll(EngineSettings.ENVIRONMENT);
        builder.environment().putAll(environment);
        Process process = builder.start();
        process.getOutputStream().close();
        CompletableFuture<byte[]> stderr = new CompletableFuture<>();
        Thread reader = new Thread(() -> stderr.complete(all(process.getErrorStream())));
        reader.start();
        byte[] stdout = all(process.getInputStream());
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        return new Seen(text(stdout), text(stderr.get(60, TimeUnit.SECONDS)), process.exitValue());
    }

    private static byte[] all(InputStream stream) {
        try (stream) {
            return stream.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** One character a byte, so that a difference can be read and no byte is lost. Addresses differ from run to run. */
    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.ISO_8859_1).replaceAll(" at 0x[0-9a-f]+>", " at 0x…>");
    }

    /** As Java tells it of a process: 128 and the signal's number where a signal ended it. */
    private static int exitValue(Termination end) {
        Integer signal = end.signal();
        Integer exit = end.exitCode();
        return signal != null ? 128 + signal : exit != null ? exit : -1;
    }

    @Test
    void modules_in_the_working_directory_are_the_tasks_and_never_the_engines() throws Exception {
        for (String module : List.of("ctypes", "resource", "select", "time", "os", "_socket")) {
            Files.writeString(folder.resolve(module + ".py"), "print('shadow', __name__)\n");
        }
        for (Executor executor : List.of(AGENT, SPAWN)) {
            ExecutionOutcome task = executor.execute(
                    Invocation.python("print('hello')\nimport resource")
                            .workingDir(folder.toString())
                            .build(),
                    ExecutionListener.NONE);
            assertThat(task.stdout().text()).isEqualTo("hello\nshadow resource\n");
            assertThat(task.stderr().text()).isEmpty();
        }
    }

    @Test
    void no_signal_is_blocked() throws Exception { // A JVM blocks SIGQUIT in its children, which no shell does.
        String program = "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []))";
        assertThat(run(AGENT, program).stdout()).isEqualTo("set()\n");
        assertThat(run(SPAWN, program).stdout()).isEqualTo("set()\n");
    }

    @Test
    void an_environment_that_the_interpreter_heeds_at_its_start_is_heeded() throws Exception {
        ExecutionOutcome task = AGENT.execute(
                Invocation.python("import os, sys, time; print(sys.flags.dont_write_bytecode, time.tzname[0])")
                        .env(Map.of("PYTHONDONTWRITEBYTECODE", "1", "TZ", "XYZ3"))
                        .build(),
                ExecutionListener.NONE);
        assertThat(task.stdout().text()).isEqualTo("1 XYZ\n");
    }

    @Test
    void another_environment_needs_no_interpreter_of_its_own() throws Exception {
        ExecutionOutcome task = AGENT.execute(
                Invocation.python("import os, subprocess; print(os.environ['MINE'], os.getenv('HOME'));"
                                + "print(subprocess.check_output(['sh', '-c', 'echo $MINE']))")
                        .env(Map.of("MINE", "yours = \u00fc", "HOME", "/nowhere"))
                        .build(),
                ExecutionListener.NONE);
        assertThat(task.stdout().text()).isEqualTo("yours = \u00fc /nowhere\nb'yours = \\xc3\\xbc\\n'\n");
        assertThat(task.executor().warm()).isTrue();
    }

    @Test
    void no_task_finds_what_another_one_left_in_the_interpreter() throws Exception {
        run(AGENT, "import builtins, sys, os; builtins.left = sys.left = 1; os.environ['LEFT'] = '1'; import json");
        for (int i = 0; i < 10; i++) {
            Seen seen = run(
                    AGENT,
                    "import sys, os; print(hasattr(sys, 'left'), 'left' in dir(__builtins__), 'LEFT' in os.environ,"
                            + " 'json' in sys.modules)");
            assertThat(seen.stdout()).isEqualTo("False False False False\n");
        }
    }
}
