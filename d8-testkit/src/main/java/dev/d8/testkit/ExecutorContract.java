package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Limits;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.spi.Availability;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * What every {@link Executor} must do. Subclass it, say how yours is made and which language it runs:
 *
 * <pre>{@code
 * class ShellExecutorTest extends ExecutorContract {
 *     protected ExecutorProvider provider() { return new ShellExecutorProvider(); }
 *     protected Programs programs() { return Programs.SHELL; }
 * }
 * }</pre>
 */
@Timeout(120)
public abstract class ExecutorContract {

    private Executor executor;
    private final Programs programs = programs();

    /** For subclasses. */
    @SuppressWarnings("NullAway.Init") // JUnit calls makeExecutor before each test.
    protected ExecutorContract() {}

    /** Returns the provider under test. */
    protected abstract ExecutorProvider provider();

    /** Returns the programs in the executor's language; default: Python. */
    protected Programs programs() {
        return Programs.PYTHON;
    }

    /** Returns the executor's options; default: none. */
    protected Options options() {
        return Options.NONE;
    }

    /** Returns the executor under test, made and probed. */
    protected final Executor executor() {
        return executor;
    }

    /** Starts an invocation of a program. */
    protected final Invocation.Builder invocation(String source) {
        return Invocation.builder(programs.runtime(), source).timeout(Duration.ofSeconds(60));
    }

    /** Runs a program to its end. */
    protected final ExecutionOutcome run(Invocation.Builder invocation) throws InterruptedException {
        return executor.execute(invocation.build(), ExecutionListener.NONE);
    }

    @BeforeEach
    void makeExecutor() {
        executor = provider().create(options());
        Availability availability = executor.probe();
        assertThat(availability).as("the executor under test must be available").isInstanceOf(Available.class);
    }

    @AfterEach
    void closeExecutor() {
        executor.close();
    }

    private boolean sharesDirectories() {
        return ((Available) executor.probe()).isolation() != Isolation.CONTAINER;
    }

    @Test
    void its_name_is_a_wire_name() {
        assertThat(provider().method()).matches("[a-z][a-z0-9_]*");
    }

    @Test
    void an_unknown_option_is_refused_by_name() {
        Options options = Options.of(Map.of(provider().method() + ".no_such_option", "1"));
        assertThatThrownBy(() -> provider().create(options.under(provider().method())))
                .isInstanceOf(dev.d8.ConfigurationException.class)
                .hasMessageContaining("no_such_option");
    }

    @Test
    void it_objects_to_a_runtime_that_it_does_not_know() {
        assertThat(executor.objection(Invocation.builder("cobol", "").build())).isPresent();
        assertThat(executor.objection(invocation(programs.hello()).build())).isEmpty();
    }

    @Test
    void it_objects_to_an_image_that_it_cannot_run_on() {
        assertThat(executor.objection(
                        invocation(programs.hello()).image("nobody/nothing:0").build()))
                .get()
                .asString()
                .contains("image");
    }

    @Test
    void a_program_that_prints_and_ends_is_ok() throws InterruptedException {
        ExecutionOutcome outcome = run(invocation(programs.hello()));
        assertThat(outcome.stdout().text()).isEqualTo("hello\n");
        assertThat(outcome.stderr().text()).isEmpty();
        assertThat(outcome.termination()).isEqualTo(Termination.OK);
        assertThat(outcome.message()).isEmpty();
    }

    @Test
    void stderr_and_exit_code_are_told_apart_from_output() throws InterruptedException {
        ExecutionOutcome outcome = run(invocation(programs.complain()));
        assertThat(outcome.stdout().text()).isEqualTo("out\n");
        assertThat(outcome.stderr().text()).isEqualTo("err\n");
        assertThat(outcome.termination()).isEqualTo(new Termination(Status.NONZERO_EXIT, 3, null));
    }

    @Test
    void stdin_reaches_the_program_whole() throws InterruptedException {
        String text = "première ligne\n" + "0123456789abcdef".repeat(20_000) + "\uD83D\uDE80 end";
        assertThat(run(invocation(programs.echoStdin()).stdin(text)).stdout().text())
                .isEqualTo(text);
    }

    @Test
    void arguments_reach_the_program_as_they_are() throws InterruptedException {
        List<String> args = List.of("one", "two words", "", "$HOME `id` \"'", "\u00fc");
        assertThat(run(invocation(programs.printArgs()).args(args)).stdout().text())
                .isEqualTo(String.join("\n", args) + "\n");
    }

    @Test
    void the_environment_is_what_was_given_and_nothing_secret() throws InterruptedException {
        String printed = run(invocation(programs.printEnvironment()).env(Map.of("D8_CONTRACT", "given = kept")))
                .stdout()
                .text();
        assertThat(printed.lines()).contains("D8_CONTRACT=given = kept");
        assertThat(printed).doesNotContain("SLAVE_TOKEN", "JAVA_TOOL_OPTIONS", "MAVEN_", "LD_PRELOAD");
    }

    @Test
    void a_missing_working_directory_is_a_clear_error_before_the_start() throws InterruptedException {
        ExecutionOutcome outcome = run(invocation(programs.hello()).workingDir("/no/such/directory"));
        assertThat(outcome.termination()).isEqualTo(Termination.of(Status.START_FAILED));
        assertThat(outcome.message().orElse("")).contains("working_dir", "/no/such/directory");
        assertThat(outcome.stdout().text()).isEmpty();
        assertThat(outcome.stderr().text()).isEmpty();
    }

    @Test
    void a_working_directory_on_the_slave_is_used(@TempDir Path directory) throws Exception {
        if (sharesDirectories()) {
            Path real = directory.toRealPath();
            assertThat(run(invocation(programs.printDirectory()).workingDir(real.toString()))
                            .stdout()
                            .text())
                    .isEqualTo(real + "\n");
        }
    }

    @Test
    void output_past_the_limit_is_counted_and_dropped_and_never_blocks_the_program() throws InterruptedException {
        ExecutionOutcome outcome = run(invocation(programs.flood()).limits(Limits.DEFAULT.withOutputBytes(1000)));
        assertThat(outcome.termination()).isEqualTo(Termination.OK);
        assertThat(outcome.stdout().bytes()).hasSize(1000).containsOnly('a');
        assertThat(outcome.stdout().totalBytes()).isEqualTo(3_000_000);
        assertThat(outcome.stdout().truncated()).isTrue();
    }

    @Test
    void output_within_the_limit_is_kept_whole() throws InterruptedException {
        ExecutionOutcome outcome = run(invocation(programs.flood()));
        assertThat(outcome.stdout().bytes()).hasSize(3_000_000).containsOnly('a');
        assertThat(outcome.stdout().truncated()).isFalse();
    }

    @Test
    void a_program_over_its_time_is_ended_and_keeps_its_output() throws InterruptedException {
        ExecutionOutcome outcome = run(invocation(programs.waitForever()).timeout(Duration.ofMillis(700)));
        assertThat(outcome.termination().status()).isEqualTo(Status.TIMEOUT);
        assertThat(outcome.stdout().text()).isEqualTo("waiting\n");
        assertThat(outcome.message().orElse("")).contains("0.7 s");
    }

    @Test
    void a_program_that_ignores_sigterm_is_ended_all_the_same() throws InterruptedException {
        ExecutionOutcome outcome = run(invocation(programs.ignoreTerm()).timeout(Duration.ofMillis(700)));
        assertThat(outcome.termination().status()).isEqualTo(Status.TIMEOUT);
    }

    @Test
    void what_a_program_leaves_behind_is_ended_with_it() throws Exception {
        String mark = "left-by-" + UUID.randomUUID();
        ExecutionOutcome outcome = run(invocation(programs.leaveBehind()).args(List.of(mark)));
        assertThat(outcome.termination()).isEqualTo(Termination.OK);
        assertThat(outcome.leftoverProcessesKilled()).isPositive();
        assertThat(withArgument(mark)).isEmpty();
    }

    /** Returns the processes that have an argument, in whatever namespace: this one sees into all that are below it. */
    private static List<Path> withArgument(String mark) throws IOException {
        Path all = Path.of("/proc");
        if (!Files.isDirectory(all.resolve("self"))) {
            return List.of(); // No Linux: what was counted above has to do.
        }
        List<Path> found = new ArrayList<>();
        try (DirectoryStream<Path> processes = Files.newDirectoryStream(all, "[0-9]*")) {
            for (Path process : processes) {
                if (commandLine(process).contains(mark)) {
                    found.add(process);
                }
            }
        }
        return found;
    }

    private static String commandLine(Path process) {
        try {
            return Files.readString(process.resolve("cmdline"), StandardCharsets.ISO_8859_1);
        } catch (IOException e) {
            return ""; // It has ended; a dead one that nobody has reaped yet has none either.
        }
    }

    @Test
    void an_interruption_cancels_the_task() throws Exception {
        CountDownLatch waiting = new CountDownLatch(1);
        CompletableFuture<Throwable> thrown = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                executor.execute(invocation(programs.waitForever()).build(), new ExecutionListener() {
                    @Override
                    public void output(Stream stream, byte[] chunk) {
                        waiting.countDown();
                    }
                });
                thrown.completeExceptionally(new AssertionError("the program ended by itself"));
            } catch (InterruptedException e) {
                thrown.complete(e);
            }
        });
        thread.start();
        assertThat(waiting.await(30, TimeUnit.SECONDS)).isTrue();
        thread.interrupt();
        assertThat(thrown.get(30, TimeUnit.SECONDS)).isInstanceOf(InterruptedException.class);
    }

    @Test
    void an_interruption_before_the_start_cancels_at_once() throws Exception {
        CompletableFuture<Throwable> thrown = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            Thread.currentThread().interrupt();
            try {
                executor.execute(invocation(programs.waitForever()).build(), ExecutionListener.NONE);
                thrown.completeExceptionally(new AssertionError("the program ended by itself"));
            } catch (InterruptedException e) {
                thrown.complete(e);
            }
        });
        thread.start();
        assertThat(thrown.get(10, TimeUnit.SECONDS)).isInstanceOf(InterruptedException.class);
    }

    @Test
    void a_listener_hears_the_start_and_then_all_output_in_order() throws InterruptedException {
        List<String> events = new ArrayList<>();
        ByteArrayOutputStream heard = new ByteArrayOutputStream();
        executor.execute(invocation(programs.flood()).build(), new ExecutionListener() {
            @Override
            public void started() {
                events.add("started");
            }

            @Override
            public void output(Stream stream, byte[] chunk) {
                events.add(stream.name());
                heard.writeBytes(chunk);
            }
        });
        assertThat(events).startsWith("started", "STDOUT").containsOnlyOnce("started");
        assertThat(heard.toByteArray()).hasSize(3_000_000);
    }

    @Test
    void a_listener_that_throws_does_no_harm() throws InterruptedException {
        ExecutionOutcome outcome = executor.execute(invocation(programs.hello()).build(), new ExecutionListener() {
            @Override
            public void output(Stream stream, byte[] chunk) {
                throw new IllegalStateException("a listener's fault");
            }
        });
        assertThat(outcome.stdout().text()).isEqualTo("hello\n");
    }

    @Test
    void tasks_at_one_time_do_not_mix() throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(8);
        try {
            List<Future<String>> answers = new ArrayList<>();
            for (int i = 0; i < 24; i++) {
                String text = "task " + i + "\n";
                answers.add(threads.submit(
                        () -> run(invocation(programs.echoStdin()).stdin(text))
                                .stdout()
                                .text()));
            }
            for (int i = 0; i < answers.size(); i++) {
                assertThat(answers.get(i).get(60, TimeUnit.SECONDS)).isEqualTo("task " + i + "\n");
            }
        } finally {
            threads.shutdownNow();
        }
    }

    @Test
    void a_source_larger_than_an_argument_may_be_runs() throws InterruptedException {
        String padding = ("#" + " padding".repeat(100) + "\n").repeat(500);
        byte[] source = (padding + programs.hello()).getBytes(StandardCharsets.UTF_8);
        assertThat(source.length).isGreaterThan(400_000);
        assertThat(run(invocation(new String(source, StandardCharsets.UTF_8)))
                        .stdout()
                        .text())
                .isEqualTo("hello\n");
    }

    @Test
    void it_says_what_it_applied() throws InterruptedException {
        ExecutionOutcome outcome = run(invocation(programs.hello()));
        assertThat(outcome.executor()).isNotNull();
        assertThat(outcome.startup()).isPositive();
        assertThat(Optional.ofNullable(outcome.executor().isolation())).isPresent();
    }
}
