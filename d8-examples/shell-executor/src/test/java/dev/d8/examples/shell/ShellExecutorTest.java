package dev.d8.examples.shell;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.ConfigurationException;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Limits;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
@Tag("other-runtime")
class ShellExecutorTest {

    @TempDir
    Path dir;

    private final Executor executor = new ShellExecutorProvider().create(Options.NONE);

    @AfterEach
    void closeTheExecutor() {
        executor.close();
    }

    @Test
    void the_service_loader_finds_it() {
        assertThat(ServiceLoader.load(ExecutorProvider.class))
                .filteredOn(provider -> provider.method().equals("shell"))
                .singleElement()
                .isInstanceOf(ShellExecutorProvider.class)
                .satisfies(provider -> assertThat(provider.preference()).isEqualTo(50));
    }

    @Test
    void it_is_available_and_gives_each_task_a_process() {
        assertThat(executor.probe()).isInstanceOfSatisfying(Available.class, available -> {
            assertThat(available.isolation()).isEqualTo(Isolation.PROCESS);
            assertThat(available.pythonVersion()).isEmpty();
        });
    }

    @Test
    void an_unknown_option_is_refused() {
        Options options = Options.of(Map.of("colour", "red"));

        assertThatThrownBy(() -> new ShellExecutorProvider().create(options))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("colour");
    }

    @Test
    void it_objects_to_what_it_cannot_do() {
        assertThat(executor.objection(shell("").build())).isEmpty();
        assertThat(executor.objection(
                        shell("").limits(Limits.DEFAULT.withOutputBytes(1)).build()))
                .isEmpty();
        assertThat(executor.objection(Invocation.python("").build())).hasValueSatisfying(contains("not python"));
        assertThat(executor.objection(shell("").requirements(List.of("numpy")).build()))
                .hasValueSatisfying(contains("requirements"));
        for (Limits limits : List.of(
                Limits.DEFAULT.withMemoryBytes(1),
                Limits.DEFAULT.withProcesses(1),
                Limits.DEFAULT.withCpuTime(Duration.ofSeconds(1)))) {
            assertThat(executor.objection(shell("").limits(limits).build())).hasValueSatisfying(contains("memory"));
        }
    }

    @Test
    void output_error_and_exit_code_come_back() throws Exception {
        ExecutionOutcome outcome = run(shell("echo out; echo err >&2; exit 3"));

        assertThat(outcome.stdout().text()).isEqualTo("out\n");
        assertThat(outcome.stderr().text()).isEqualTo("err\n");
        assertThat(outcome.termination()).isEqualTo(Termination.exited(3));
        assertThat(outcome.message()).isEmpty();
        assertThat(outcome.startup()).isPositive();
        assertThat(outcome.leftoverProcessesKilled()).isZero();
        assertThat(run(shell("")).termination()).isEqualTo(Termination.OK);
    }

    @Test
    void a_signal_is_told_the_way_a_shell_tells_it() throws Exception {
        assertThat(run(shell("kill -KILL $$")).termination()).isEqualTo(Termination.exited(137));
    }

    @Test
    void the_source_is_not_in_the_command_line_and_is_gone_afterwards() throws Exception {
        ExecutionOutcome outcome = run(shell("# secret\ntr '\\0' ' ' </proc/$$/cmdline; echo; ls -ld \"$PWD\"; pwd"));

        List<String> lines = outcome.stdout().text().lines().toList();
        assertThat(lines.get(0)).startsWith("/bin/sh ").doesNotContain("secret");
        assertThat(lines.get(1)).startsWith("drwx------");
        assertThat(Path.of(lines.get(2))).isAbsolute().doesNotExist();
    }

    @Test
    void a_large_source_runs() throws Exception {
        assertThat(run(shell("# padding\n".repeat(100_000) + "echo end"))
                        .stdout()
                        .text())
                .isEqualTo("end\n");
    }

    @Test
    void arguments_are_passed_as_they_are() throws Exception {
        List<String> args = List.of("two words", "", "$HOME `id` \"'", "-x");

        assertThat(run(shell("for a in \"$@\"; do printf '%s\\n' \"$a\"; done").args(args))
                        .stdout()
                        .text())
                .isEqualTo(String.join("\n", args) + "\n");
    }

    @Test
    void stdin_reaches_the_task_whole() throws Exception {
        String text = "h\u00e9llo\n" + "0123456789abcdef".repeat(50_000);

        assertThat(run(shell("cat").stdin(text)).stdout().text()).isEqualTo(text);
    }

    @Test
    void stdin_that_nobody_reads_does_no_harm() throws Exception {
        ExecutionOutcome outcome = run(shell("exec <&-; echo done").stdin("x".repeat(1_000_000)));

        assertThat(outcome.stdout().text()).isEqualTo("done\n");
        assertThat(outcome.termination()).isEqualTo(Termination.OK);
    }

    @Test
    void the_environment_is_a_short_list_and_what_the_task_gives() throws Exception {
        String printed = run(shell("env").env(Map.of("GIVEN", "a = b", "LANG", "xx")))
                .stdout()
                .text();

        assertThat(printed.lines()).contains("GIVEN=a = b", "LANG=xx");
        assertThat(printed.lines().map(line -> line.substring(0, line.indexOf('='))))
                .isSubsetOf("PATH", "HOME", "LANG", "TMPDIR", "GIVEN", "PWD", "OLDPWD", "SHLVL", "_");
    }

    @Test
    void the_working_directory_is_used_and_a_missing_one_is_a_clear_error() throws Exception {
        Path real = dir.toRealPath();
        assertThat(run(shell("pwd").workingDir(real.toString())).stdout().text())
                .isEqualTo(real + "\n");

        for (String wrong :
                List.of("/no/such", Files.writeString(dir.resolve("file"), "").toString())) {
            ExecutionOutcome outcome = run(shell("touch " + dir + "/ran").workingDir(wrong));
            assertThat(outcome.termination()).isEqualTo(Termination.of(Status.START_FAILED));
            assertThat(outcome.message())
                    .hasValueSatisfying(contains("working_dir: " + wrong + " does not exist on this slave"));
        }
        assertThat(dir.resolve("ran")).doesNotExist();
    }

    @Test
    void output_past_the_limit_is_counted_and_dropped() throws Exception {
        String flood = "head -c 3000000 /dev/zero | tr '\\0' a; head -c 2000000 /dev/zero | tr '\\0' b >&2";
        ExecutionOutcome outcome = run(shell(flood).limits(Limits.DEFAULT.withOutputBytes(1000)));

        assertThat(outcome.termination()).isEqualTo(Termination.OK);
        assertThat(outcome.stdout().bytes()).hasSize(1000).containsOnly('a');
        assertThat(outcome.stdout().totalBytes()).isEqualTo(3_000_000);
        assertThat(outcome.stderr().bytes()).hasSize(1000).containsOnly('b');
        assertThat(outcome.stderr().totalBytes()).isEqualTo(2_000_000);
    }

    @Test
    void a_task_over_its_time_is_ended_with_its_children_and_keeps_its_output() throws Exception {
        ExecutionOutcome outcome =
                run(shell("sleep 100 & echo $!; sleep 100 & echo $!; wait").timeout(Duration.ofMillis(500)));

        assertThat(outcome.termination()).isEqualTo(Termination.of(Status.TIMEOUT));
        assertThat(outcome.message()).contains("timed out after 0.5 s");
        assertThat(pids(outcome)).hasSize(2);
        assertGone(outcome);
    }

    @Test
    void a_task_may_say_goodbye_when_its_time_is_over() throws Exception {
        ExecutionOutcome outcome = run(shell("trap 'echo bye; exit 0' TERM; echo hello; sleep 100 & wait")
                .timeout(Duration.ofMillis(500)));

        assertThat(outcome.termination()).isEqualTo(Termination.of(Status.TIMEOUT));
        assertThat(outcome.stdout().text()).isEqualTo("hello\nbye\n");
    }

    @Test
    void a_task_that_ignores_sigterm_is_killed() throws Exception {
        ExecutionOutcome outcome =
                run(shell("trap '' TERM; echo $$; sleep 100; sleep 100").timeout(Duration.ofMillis(300)));

        assertThat(outcome.termination()).isEqualTo(Termination.of(Status.TIMEOUT));
        assertGone(outcome);
    }

    @Test
    void what_a_task_leaves_behind_is_ended_and_counted() throws Exception {
        // One keeps the outputs open, one is an orphan in a group of its own.
        ExecutionOutcome outcome = run(shell("sleep 100 & echo $!\n(set -m; sleep 100 >/dev/null 2>&1 & echo $!)"));

        assertThat(outcome.termination()).isEqualTo(Termination.OK);
        assertThat(outcome.leftoverProcessesKilled()).isEqualTo(2);
        assertThat(pids(outcome)).hasSize(2);
        assertGone(outcome);
    }

    @Test
    void a_task_that_closes_its_outputs_is_still_waited_for() throws Exception {
        Path proof = dir.resolve("proof");
        ExecutionOutcome outcome = run(shell("exec >&- 2>&-; sleep 0.3; echo x >" + proof + "; exit 4"));

        assertThat(proof).exists();
        assertThat(outcome.termination()).isEqualTo(Termination.exited(4));
    }

    @Test
    void a_listener_hears_the_start_and_all_output_on_the_calling_thread() throws Exception {
        List<String> events = new ArrayList<>();
        ByteArrayOutputStream heard = new ByteArrayOutputStream();
        List<Thread> threads = new ArrayList<>();
        executor.execute(shell("head -c 500000 /dev/zero").build(), new ExecutionListener() {
            @Override
            public void started() {
                events.add("started");
                threads.add(Thread.currentThread());
            }

            @Override
            public void output(Stream stream, byte[] chunk) {
                events.add(stream.name());
                heard.writeBytes(chunk);
                threads.add(Thread.currentThread());
            }
        });

        assertThat(events)
                .startsWith("started", "STDOUT")
                .containsOnlyOnce("started")
                .doesNotContain("STDERR");
        assertThat(heard.size()).isEqualTo(500_000);
        assertThat(threads).containsOnly(Thread.currentThread());
    }

    @Test
    void a_listener_that_throws_does_no_harm() throws Exception {
        ExecutionOutcome outcome = executor.execute(shell("echo hello").build(), new ExecutionListener() {
            @Override
            public void started() {
                throw new IllegalStateException("a listener's fault");
            }
        });

        assertThat(outcome.stdout().text()).isEqualTo("hello\n");
    }

    @Test
    void an_interruption_ends_the_task_and_everything_it_started() throws Exception {
        CountDownLatch said = new CountDownLatch(1);
        ByteArrayOutputStream pid = new ByteArrayOutputStream();
        CompletableFuture<Throwable> thrown = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                executor.execute(
                        shell("trap '' TERM; sleep 100 & echo $!; wait; sleep 100")
                                .build(),
                        new ExecutionListener() {
                            @Override
                            public void output(Stream stream, byte[] chunk) {
                                pid.writeBytes(chunk);
                                said.countDown();
                            }
                        });
                thrown.completeExceptionally(new AssertionError("the task ended by itself"));
            } catch (InterruptedException e) {
                thrown.complete(e);
            }
        });
        thread.start();
        assertThat(said.await(30, TimeUnit.SECONDS)).isTrue();
        thread.interrupt();

        assertThat(thrown.get(30, TimeUnit.SECONDS)).isInstanceOf(InterruptedException.class);
        assertThat(isAlive(Long.parseLong(pid.toString(StandardCharsets.UTF_8).strip())))
                .isFalse();
    }

    @Test
    void closing_the_executor_ends_what_runs() throws Exception {
        CountDownLatch started = new CountDownLatch(1);
        CompletableFuture<ExecutionOutcome> outcome = CompletableFuture.supplyAsync(() -> {
            try {
                return executor.execute(shell("echo up; sleep 100").build(), new ExecutionListener() {
                    @Override
                    public void output(Stream stream, byte[] chunk) {
                        started.countDown();
                    }
                });
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        });
        assertThat(started.await(30, TimeUnit.SECONDS)).isTrue();
        executor.close();

        assertThat(outcome.get(30, TimeUnit.SECONDS).termination()).isEqualTo(Termination.exited(137));
    }

    private static Invocation.Builder shell(String source) {
        return Invocation.builder("shell", source).timeout(Duration.ofSeconds(30));
    }

    private ExecutionOutcome run(Invocation.Builder invocation) throws InterruptedException {
        return executor.execute(invocation.build(), ExecutionListener.NONE);
    }

    private static Consumer<String> contains(String part) {
        return text -> assertThat(text).contains(part);
    }

    private static List<Long> pids(ExecutionOutcome outcome) {
        return outcome.stdout().text().lines().map(Long::parseLong).toList();
    }

    private static void assertGone(ExecutionOutcome outcome) {
        assertThat(pids(outcome)).isNotEmpty().noneMatch(ShellExecutorTest::isAlive);
    }

    /** A zombie is dead: some inits take their time to notice. */
    private static boolean isAlive(long pid) {
        try {
            String stat = Files.readString(Path.of("/proc", Long.toString(pid), "stat"));
            return stat.charAt(stat.lastIndexOf(')') + 2) != 'Z';
        } catch (IOException e) {
            return false;
        }
    }
}
