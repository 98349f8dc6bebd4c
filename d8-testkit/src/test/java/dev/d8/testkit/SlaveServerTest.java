package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.ConfigurationException;
import dev.d8.ExecutorInfo;
import dev.d8.Health;
import dev.d8.InvalidTaskException;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.NoExecutorException;
import dev.d8.Output;
import dev.d8.Rejection;
import dev.d8.SlaveRefusedException;
import dev.d8.Slots;
import dev.d8.TaskResult;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.Token;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Availability;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.Availability.Unavailable;
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import dev.d8.spi.SlaveClient;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(60)
class SlaveServerTest {

    private static final Token TOKEN = Token.of("0123456789abcdef0123456789abcdef");
    private static final Invocation PRINT = Invocation.python("print(55)").build();

    private final InMemoryTransport transport = new InMemoryTransport();
    private final FakeTime time = new FakeTime();
    private final FakeExecutor best = new FakeExecutor("best", 300, Isolation.CONTAINER);
    private final FakeExecutor plain = new FakeExecutor("plain", 100, Isolation.PROCESS);
    private Optional<SlaveServer> server = Optional.empty();

    @AfterEach
    void close() {
        best.letGo.countDown();
        plain.letGo.countDown();
        server.ifPresent(SlaveServer::close);
    }

    private SlaveServer.Builder builder() {
        return SlaveServer.builder()
                .bind(URI.create("memory://127.0.0.1:0"))
                .transport(transport)
                .token(TOKEN)
                .time(time)
                .executor(best)
                .executor(plain);
    }

    private SlaveClient start(SlaveServer.Builder builder) {
        SlaveServer started = builder.start();
        server = Optional.of(started);
        return transport.connect(started.uri(), new Credentials(TOKEN));
    }

    private static TaskResult get(CompletableFuture<TaskResult> future) throws Exception {
        return future.get(30, TimeUnit.SECONDS);
    }

    private static Throwable failure(CompletableFuture<?> future) throws Exception {
        return future.handle((value, error) -> error).get(30, TimeUnit.SECONDS);
    }

    @ParameterizedTest
    @ValueSource(strings = {"0.0.0.0", "192.0.2.1"})
    void an_address_that_others_can_reach_needs_a_real_token(String host) {
        SlaveServer.Builder builder = builder().bind(URI.create("memory://" + host + ":0"));
        assertThatThrownBy(builder.token(Token.DEVELOPMENT)::start)
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining(host)
                .hasMessageContaining("well-known development token")
                .hasMessageContaining("SLAVE_TOKEN");
        assertThatThrownBy(builder.token(Token.of("only-31-characters-are-too-few!"))::start)
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("fewer than 32 characters");
        server = Optional.of(builder.token(TOKEN).start());
    }

    @Test
    void an_address_that_others_can_reach_needs_tls_or_consent_to_do_without() {
        SlaveServer.Builder builder = builder().bind(URI.create("http://0.0.0.0:0"));
        assertThatThrownBy(builder::start)
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContainingAll("0.0.0.0", "without TLS", "--tls-cert", "--tls-key", "--insecure-http");
        server = Optional.of(builder.insecureHttp(true).start());
        assertThatThrownBy(builder.token(Token.DEVELOPMENT)::start)
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("well-known development token");
        builder().bind(URI.create("https://0.0.0.0:0")).start().close();
    }

    @Test
    void loopback_does_with_the_development_token() {
        server = Optional.of(builder().token(Token.DEVELOPMENT).start());
    }

    @Test
    void the_best_executor_that_can_runs_the_task() throws Exception {
        TaskResult result = get(start(builder()).execute(PRINT, ExecutionListener.NONE));
        assertThat(result.method()).isEqualTo("best");
        assertThat(result.rejected()).isEmpty();
    }

    @Test
    void every_better_executor_that_did_not_run_it_is_told_with_its_reason() throws Exception {
        best.availability = new Unavailable("no engine here");
        SlaveClient client = start(builder());
        TaskResult result = get(client.execute(PRINT, ExecutionListener.NONE));
        assertThat(result.method()).isEqualTo("plain");
        assertThat(result.rejected()).containsExactly(new Rejection("best", "no engine here"));
        assertThat(client.health().join().executionMethods())
                .containsEntry("best", false)
                .containsEntry("plain", true);
    }

    @Test
    void a_task_that_no_executor_can_run_is_turned_away_with_every_reason() throws Exception {
        best.availability = new Unavailable("no engine here");
        SlaveClient client = start(builder());
        Invocation.Builder invocation = PRINT.toBuilder();
        assertThat(failure(client.execute(
                        invocation.minIsolation(Isolation.CONTAINER).build(), ExecutionListener.NONE)))
                .isInstanceOf(NoExecutorException.class)
                .hasMessageContaining("best: no engine here")
                .hasMessageContaining("plain: its isolation is process, the task asks for container");
        assertThat(failure(client.execute(PRINT.toBuilder().method("best").build(), ExecutionListener.NONE)))
                .isInstanceOf(NoExecutorException.class)
                .hasMessageContaining("best: no engine here")
                .hasMessageContaining("plain: the task asks for best");
        assertThat(failure(client.execute(Invocation.builder("cobol", "x").build(), ExecutionListener.NONE)))
                .isInstanceOf(NoExecutorException.class)
                .hasMessageContaining("plain: runs python only");
    }

    @Test
    void an_executor_that_breaks_down_at_the_start_hands_over_to_the_next() throws Exception {
        SlaveClient client = start(builder());
        best.breaksDown = true;
        TaskResult result = get(client.execute(PRINT, ExecutionListener.NONE));
        assertThat(result.method()).isEqualTo("plain");
        assertThat(result.rejected()).containsExactly(new Rejection("best", "broke down"));
    }

    @Test
    void a_task_that_cannot_start_though_the_executor_is_well_is_a_result() throws Exception {
        best.outcome = ExecutionOutcome.notStarted(
                Status.START_FAILED,
                "working_dir: /x is missing",
                new ExecutorInfo(false, List.of(), Optional.empty()));
        TaskResult result = get(start(builder()).execute(PRINT, ExecutionListener.NONE));
        assertThat(result.method()).isEqualTo("best");
        assertThat(result.termination()).isEqualTo(Termination.of(Status.START_FAILED));
        assertThat(result.error()).isEqualTo("d8: working_dir: /x is missing\n");
    }

    @Test
    void an_executor_that_comes_back_is_used_again() throws Exception {
        best.availability = new Unavailable("no engine here");
        SlaveClient client = start(builder().probeInterval(Duration.ofSeconds(30)));
        best.availability = best.available();
        best.probes.clear();
        time.advance(Duration.ofSeconds(31));
        assertThat(best.probes.poll(30, TimeUnit.SECONDS)).isNotNull();
        // The probe has been made; that its answer is in place is one step of another thread away.
        String method = "";
        while (!method.equals("best")) {
            method = get(client.execute(PRINT, ExecutionListener.NONE)).method();
        }
    }

    @Test
    void a_full_queue_turns_tasks_away_and_health_counts_the_slots() throws Exception {
        best.blocks = true;
        SlaveClient client = start(builder().maxConcurrent(2).queueCapacity(1));
        CompletableFuture<TaskResult> first = client.execute(PRINT, ExecutionListener.NONE);
        CompletableFuture<TaskResult> second = client.execute(PRINT, ExecutionListener.NONE);
        best.running.take();
        best.running.take();
        assertThat(client.health().join().slots()).contains(new Slots(2, 0));
        CompletableFuture<TaskResult> waiting = client.execute(PRINT, ExecutionListener.NONE);
        assertThat(failure(client.execute(PRINT, ExecutionListener.NONE)))
                .isInstanceOfSatisfying(SlaveRefusedException.class, refused -> {
                    assertThat(refused.reason()).isEqualTo(SlaveRefusedException.Reason.QUEUE_FULL);
                    assertThat(refused.retryAfter()).isPositive();
                })
                .hasMessage("queue full: 3 tasks run or wait");
        best.letGo.countDown();
        assertThat(get(first).success()).isTrue();
        assertThat(get(second).success()).isTrue();
        assertThat(get(waiting).success()).isTrue();
        assertThat(client.health().join().slots()).contains(new Slots(2, 2));
    }

    @Test
    void a_running_task_whose_caller_is_gone_is_interrupted() throws Exception {
        best.blocks = true;
        SlaveClient client = start(builder());
        CompletableFuture<TaskResult> result = client.execute(PRINT, ExecutionListener.NONE);
        best.running.take();
        result.cancel(true);
        assertThat(best.interrupted.poll(30, TimeUnit.SECONDS)).isNotNull();
    }

    @Test
    void a_task_whose_caller_is_gone_runs_to_its_end_where_that_is_wanted() throws Exception {
        best.blocks = true;
        SlaveClient client = start(builder().endAbandoned(false).maxConcurrent(1));
        CompletableFuture<TaskResult> result = client.execute(PRINT, ExecutionListener.NONE);
        best.running.take();
        result.cancel(true);
        CompletableFuture<TaskResult> next =
                client.execute(Invocation.python("next").build(), ExecutionListener.NONE);
        assertThat(client.health().get(30, TimeUnit.SECONDS).slots()).contains(new Slots(1, 0));
        best.letGo.countDown();
        assertThat(get(next).success()).isTrue();
        assertThat(best.interrupted).isEmpty();
    }

    @Test
    void a_waiting_task_whose_caller_is_gone_never_starts() throws Exception {
        best.blocks = true;
        SlaveClient client = start(builder().maxConcurrent(1));
        CompletableFuture<TaskResult> first = client.execute(PRINT, ExecutionListener.NONE);
        best.running.take();
        client.execute(PRINT, ExecutionListener.NONE).cancel(true);
        best.letGo.countDown();
        get(first);
        assertThat(get(client.execute(Invocation.python("last").build(), ExecutionListener.NONE))
                        .success())
                .isTrue();
        assertThat(best.running.take()).isEqualTo("last");
    }

    @Test
    void closing_ends_what_runs_turns_away_what_waits_and_takes_nothing_new() throws Exception {
        best.blocks = true;
        SlaveClient client = start(builder().maxConcurrent(1));
        CompletableFuture<TaskResult> running = client.execute(PRINT, ExecutionListener.NONE);
        best.running.take();
        CompletableFuture<TaskResult> waiting = client.execute(PRINT, ExecutionListener.NONE);
        server.orElseThrow().close();
        assertThat(get(running).termination().status()).isEqualTo(Status.CANCELLED);
        assertThat(get(running).error()).isEqualTo("d8: cancelled: the slave is stopping\n");
        assertThat(failure(waiting))
                .isInstanceOfSatisfying(
                        SlaveRefusedException.class,
                        refused -> assertThat(refused.reason()).isEqualTo(SlaveRefusedException.Reason.DRAINING));
        assertThat(best.closed).isTrue();
        server.orElseThrow().close();
    }

    @Test
    void a_time_out_above_the_slaves_maximum_is_refused() throws Exception {
        SlaveClient client = start(builder().maxTimeout(Duration.ofSeconds(10)));
        Invocation patient = PRINT.toBuilder().timeout(Duration.ofSeconds(11)).build();
        assertThat(failure(client.execute(patient, ExecutionListener.NONE)))
                .isInstanceOf(InvalidTaskException.class)
                .hasMessage("timeout: 11.0 (expected: at most 10 s on this slave)");
    }

    @Test
    void an_executor_that_throws_is_the_slaves_own_fault_and_costs_no_slot() throws Exception {
        SlaveClient client = start(builder().maxConcurrent(1));
        best.outcome = null;
        assertThat(failure(client.execute(PRINT, ExecutionListener.NONE)))
                .isInstanceOf(dev.d8.UnknownOutcomeException.class)
                .hasMessageNotContaining("NullPointer");
        best.outcome = FakeExecutor.ok();
        assertThat(get(client.execute(PRINT, ExecutionListener.NONE)).success()).isTrue();
    }

    @Test
    void only_the_executors_asked_for_are_used_and_an_unknown_one_is_named() {
        SlaveClient client = start(builder().executors(List.of("plain")));
        Health health = client.health().join();
        assertThat(health.executionMethods()).containsOnlyKeys("plain");
        assertThatThrownBy(builder().executors(List.of("plain", "podman"))::start)
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("executors: unknown podman (known: ")
                .hasMessageContaining("plain");
    }

    @Test
    void health_carries_a_boot_id_that_is_new_at_every_start() {
        String first = start(builder()).health().join().bootId().orElseThrow();
        server.orElseThrow().close();
        assertThat(start(builder()).health().join().bootId().orElseThrow()).isNotEqualTo(first);
    }

    @Test
    void numbers_out_of_range_are_refused_by_name() {
        assertThatThrownBy(() -> builder().maxConcurrent(0)).hasMessage("max-concurrent: 0 (expected: 1 to 10000)");
        assertThatThrownBy(() -> builder().queueCapacity(-1)).hasMessageContaining("queue: -1");
        assertThatThrownBy(() -> builder().maxTimeout(Duration.ZERO)).hasMessageContaining("max-timeout");
    }

    /** An executor that does what the test says. */
    private static final class FakeExecutor implements ExecutorProvider, Executor {
        final BlockingQueue<String> running = new LinkedBlockingQueue<>();
        final BlockingQueue<String> interrupted = new LinkedBlockingQueue<>();
        final BlockingQueue<String> probes = new LinkedBlockingQueue<>();
        final CountDownLatch letGo = new CountDownLatch(1);
        private final String method;
        private final int preference;
        private final Isolation isolation;
        volatile Availability availability;
        volatile boolean blocks;
        volatile boolean breaksDown;
        volatile boolean closed;

        @org.jspecify.annotations.Nullable
        volatile ExecutionOutcome outcome = ok();

        FakeExecutor(String method, int preference, Isolation isolation) {
            this.method = method;
            this.preference = preference;
            this.isolation = isolation;
            this.availability = available();
        }

        static ExecutionOutcome ok() {
            return new ExecutionOutcome(
                    Termination.OK,
                    Output.of("55\n"),
                    Output.EMPTY,
                    Optional.empty(),
                    Duration.ZERO,
                    Optional.empty(),
                    new ExecutorInfo(false, List.of(), Optional.empty()),
                    0);
        }

        Available available() {
            return new Available("a fake", isolation, Optional.of("3.11.2"));
        }

        @Override
        public String method() {
            return method;
        }

        @Override
        public int preference() {
            return preference;
        }

        @Override
        public Executor create(Options options) {
            return this;
        }

        @Override
        public Availability probe() {
            probes.add(method);
            return breaksDown ? new Unavailable("broke down") : availability;
        }

        @Override
        public Optional<String> objection(Invocation invocation) {
            return invocation.runtime().equals("python") ? Optional.empty() : Optional.of("runs python only");
        }

        @Override
        public ExecutionOutcome execute(Invocation invocation, ExecutionListener listener) throws InterruptedException {
            running.add(invocation.source());
            if (breaksDown) {
                return ExecutionOutcome.notStarted(
                        Status.START_FAILED, "lost", new ExecutorInfo(false, List.of(), Optional.empty()));
            }
            try {
                if (blocks) {
                    letGo.await();
                }
            } catch (InterruptedException e) {
                interrupted.add(invocation.source());
                throw e;
            }
            return java.util.Objects.requireNonNull(outcome);
        }

        @Override
        public void close() {
            closed = true;
        }
    }
}
