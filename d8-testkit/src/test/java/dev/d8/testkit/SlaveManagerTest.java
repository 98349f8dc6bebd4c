package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.ConfigurationException;
import dev.d8.D8Exception;
import dev.d8.Health;
import dev.d8.NoExecutorException;
import dev.d8.NoSlaveException;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveUnreachableException;
import dev.d8.Task;
import dev.d8.TaskResult;
import dev.d8.Token;
import dev.d8.UnauthorizedException;
import dev.d8.UnknownOutcomeException;
import dev.d8.UnknownOutcomeException.Reason;
import dev.d8.VersionInfo;
import dev.d8.VersionMismatchException;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import dev.d8.master.SlaveStatus;
import dev.d8.master.VersionPolicy;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.Transport;
import dev.d8.version.VersionProvider;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class SlaveManagerTest {

    private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";
    private static final Token TOKEN = Token.of("the-token");
    private static final Task PRINT = Task.python("print(55)");

    private final FakeTime time = new FakeTime();
    private final InMemoryTransport transport = new InMemoryTransport();
    private final List<String> changes = new ArrayList<>();
    private SlaveManager manager = manager(VersionPolicy.REFUSE);

    private SlaveManager manager(VersionPolicy policy) {
        return SlaveManager.builder()
                .transport(transport)
                .token(TOKEN)
                .version(VersionProvider.of(new VersionInfo(COMMIT, "1.0.0", "main", false)))
                .versionPolicy(policy)
                .time(time)
                .random(new Random(7))
                .callbackExecutor(Runnable::run)
                .listener((before, after) -> changes.add(after.id() + " " + before.status() + " -> " + after.status()))
                .build();
    }

    @AfterEach
    void close() {
        manager.close();
    }

    private record Served(RecordingSlaveService service, Transport.Binding binding) {}

    private Served serve(String name) {
        RecordingSlaveService service = new RecordingSlaveService().healthy(RecordingSlaveService.health(COMMIT));
        return new Served(
                service, transport.serve(service, URI.create("memory://" + name + ":1"), new ServerSecurity(TOKEN)));
    }

    private Slave register(String name, String... labels) {
        CompletableFuture<Slave> slave = manager.register(name, URI.create("memory://" + name + ":1"), labels);
        time.advance(Duration.ofSeconds(10)); // Long enough for three tries.
        return slave.join();
    }

    private static Throwable failure(CompletableFuture<?> future) {
        return future.handle((value, error) -> error).join();
    }

    @Test
    void a_slave_is_registered_with_its_first_health_check() {
        serve("pi");
        Slave slave = register("pi", "arm64");
        assertThat(slave.status()).isEqualTo(SlaveStatus.ALIVE);
        assertThat(slave.health().map(Health::pythonVersion)).contains("3.11.2");
        assertThat(slave.labels()).containsExactly("arm64");
        assertThat(manager.slaves()).extracting(Slave::id).containsExactly("pi");
        assertThat(changes).containsExactly("pi UNKNOWN -> ALIVE");
    }

    @Test
    void a_slave_that_does_not_answer_three_times_is_dead_and_comes_back_with_its_next_good_answer() {
        assertThat(register("pi").status()).isEqualTo(SlaveStatus.DEAD);
        serve("pi");
        time.advance(Duration.ofSeconds(40));
        assertThat(manager.slave("pi").map(Slave::status)).contains(SlaveStatus.ALIVE);
        assertThat(changes).containsExactly("pi UNKNOWN -> DEAD", "pi DEAD -> ALIVE");
    }

    @Test
    void an_id_that_is_taken_or_malformed_is_refused_and_changes_nothing() {
        serve("pi");
        register("pi");
        assertThat(failure(manager.register("pi", URI.create("memory://other:1"))))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("registered already");
        assertThat(failure(manager.register("a b", URI.create("memory://other:1"))))
                .isInstanceOf(ConfigurationException.class);
        assertThat(manager.slaves()).extracting(Slave::address).containsExactly(URI.create("memory://pi:1"));
    }

    @Test
    void health_is_watched_every_30_seconds_and_each_change_is_told_once() {
        Served pi = serve("pi");
        register("pi");
        pi.binding().close();
        time.advance(Duration.ofSeconds(200));
        assertThat(manager.slave("pi").map(Slave::status)).contains(SlaveStatus.DEAD);
        serve("pi");
        time.advance(Duration.ofSeconds(200));
        assertThat(changes).containsExactly("pi UNKNOWN -> ALIVE", "pi ALIVE -> DEAD", "pi DEAD -> ALIVE");
    }

    @Test
    void an_unregistered_slave_is_watched_no_more() {
        serve("pi");
        register("pi");
        assertThat(manager.unregister("pi")).isTrue();
        assertThat(manager.unregister("pi")).isFalse();
        time.advance(Duration.ofSeconds(100));
        assertThat(time.pending()).isZero();
        assertThat(manager.slaves()).isEmpty();
    }

    @Test
    void a_task_runs_on_the_slave_that_was_named() {
        Served a = serve("a");
        Served b = serve("b");
        register("a");
        register("b");
        assertThat(manager.execute("b", PRINT).join().output()).isEqualTo("print(55)");
        assertThat(a.service().callsLeft()).isZero();
        assertThat(b.service().takeCall().invocation().taskId()).isEqualTo(PRINT.id());
        assertThat(failure(manager.execute("c", PRINT))).isInstanceOf(NoSlaveException.class);
    }

    @Test
    void the_tasks_options_reach_the_slave() {
        Served pi = serve("pi");
        register("pi");
        Task task = Task.builder(Task.PYTHON_CODE)
                .with("command", "print(1)")
                .timeout(Duration.ofSeconds(7))
                .method("venv")
                .minIsolation(dev.d8.Isolation.PROCESS)
                .build();
        manager.execute(task).join();
        var sent = pi.service().takeCall().invocation();
        assertThat(sent.timeout()).isEqualTo(Duration.ofSeconds(7));
        assertThat(sent.method()).contains("venv");
        assertThat(sent.minIsolation()).isEqualTo(dev.d8.Isolation.PROCESS);
    }

    @Test
    void a_slave_on_another_commit_gets_no_task_unless_the_policy_allows_it() {
        Served pi = serve("pi");
        pi.service().healthy(RecordingSlaveService.health("ffff"));
        assertThat(register("pi").status()).isEqualTo(SlaveStatus.VERSION_MISMATCH);
        assertThat(failure(manager.execute("pi", PRINT)))
                .isInstanceOf(VersionMismatchException.class)
                .hasMessageContaining("ffff")
                .hasMessageContaining("0123456789ab");
        assertThat(failure(manager.execute(PRINT))).isInstanceOf(NoSlaveException.class);
        assertThat(pi.service().callsLeft()).isZero();

        manager.close();
        manager = manager(VersionPolicy.WARN);
        assertThat(register("pi").status()).isEqualTo(SlaveStatus.ALIVE);
        assertThat(manager.execute(PRINT).join().success()).isTrue();
    }

    @Test
    void tasks_go_in_turn_to_slaves_that_are_equally_loaded_and_otherwise_to_the_idle_one() {
        Served a = serve("a");
        Served b = serve("b");
        register("a");
        register("b");
        a.service().hanging();
        CompletableFuture<TaskResult> busy = manager.execute("a", PRINT);
        for (int i = 0; i < 5; i++) {
            manager.execute(Task.python("print(1)")).join();
        }
        assertThat(b.service().callsLeft()).isEqualTo(5);
        busy.cancel(true);
        a.service().answering(call -> CompletableFuture.completedFuture(RecordingSlaveService.echo(call)));
        for (int i = 0; i < 4; i++) {
            manager.execute(Task.python("print(1)")).join();
        }
        assertThat(b.service().callsLeft()).isEqualTo(7);
    }

    @Test
    void a_task_goes_only_to_a_slave_with_its_labels_and_its_executor() {
        Served a = serve("a");
        Served b = serve("b");
        register("a");
        register("b", "gpu", "big");
        manager.execute(Task.builder(Task.PYTHON_CODE)
                        .with("command", "x")
                        .labels("gpu")
                        .build())
                .join();
        assertThat(a.service().callsLeft()).isZero();
        assertThat(b.service().callsLeft()).isOne();
        Task shell = Task.builder(Task.PYTHON_CODE)
                .with("command", "x")
                .method("shell")
                .build();
        assertThat(manager.findAvailableSlave(shell)).isEmpty();
        assertThat(failure(manager.execute(shell)))
                .isInstanceOf(NoSlaveException.class)
                .hasMessageContaining("a: it has no executor shell")
                .hasMessageContaining("b: it has no executor shell");
    }

    @Test
    void a_task_that_certainly_did_not_start_moves_on_to_another_slave() {
        List<D8Exception> refusals = List.of(
                new SlaveUnreachableException("gone", null),
                new SlaveRefusedException(SlaveRefusedException.Reason.QUEUE_FULL, Duration.ofSeconds(1), "full"),
                new NoExecutorException("none"));
        Served a = serve("a");
        Served b = serve("b");
        register("a");
        register("b");
        for (D8Exception refusal : refusals) {
            a.service().answering(call -> CompletableFuture.failedFuture(refusal));
            for (int i = 0; i < 2; i++) { // Whose turn it is, the task ends on b.
                assertThat(manager.execute(Task.python("x")).join().success()).isTrue();
            }
        }
        assertThat(b.service().callsLeft()).isEqualTo(6);
    }

    @Test
    void a_task_whose_outcome_is_lost_is_not_run_again_unless_it_is_idempotent() {
        Served a = serve("a");
        Served b = serve("b");
        register("a");
        register("b");
        a.service()
                .answering(call -> CompletableFuture.failedFuture(
                        new UnknownOutcomeException(Reason.CONNECTION_LOST, "a: connection lost", null)));
        b.service()
                .answering(call -> CompletableFuture.failedFuture(
                        new UnknownOutcomeException(Reason.CONNECTION_LOST, "b: connection lost", null)));
        assertThat(failure(manager.execute(PRINT))).isInstanceOf(UnknownOutcomeException.class);
        assertThat(a.service().callsLeft() + b.service().callsLeft()).isOne();

        b.service().answering(call -> CompletableFuture.completedFuture(RecordingSlaveService.echo(call)));
        Task idempotent = Task.builder(Task.PYTHON_CODE)
                .with("command", "x")
                .idempotent(true)
                .build();
        for (int i = 0; i < 2; i++) {
            assertThat(manager.execute(idempotent).join().success()).isTrue();
        }
    }

    @Test
    void a_task_that_every_slave_would_turn_away_fails_with_the_reason() {
        Served a = serve("a");
        serve("b");
        register("a");
        register("b");
        a.service().answering(call -> CompletableFuture.failedFuture(new UnauthorizedException("no")));
        assertThat(failure(manager.execute("a", PRINT))).isInstanceOf(UnauthorizedException.class);
    }

    @Test
    void without_a_slave_the_error_says_so() {
        assertThat(failure(manager.execute(PRINT)))
                .isInstanceOf(NoSlaveException.class)
                .hasMessageContaining("none is registered");
    }

    @Test
    void a_draining_slave_gets_nothing_more() {
        Served pi = serve("pi");
        Health well = RecordingSlaveService.health(COMMIT);
        pi.service()
                .healthy(new Health(
                        "healthy",
                        "",
                        well.executionMethods(),
                        well.version(),
                        Optional.empty(),
                        true,
                        Optional.empty()));
        assertThat(register("pi").status()).isEqualTo(SlaveStatus.DRAINING);
        assertThat(manager.findAvailableSlave(PRINT)).isEmpty();
    }

    @Test
    void a_slave_whose_last_call_failed_is_used_only_when_no_other_can() {
        Served a = serve("a");
        Served b = serve("b");
        Health well = a.service().health();
        a.service() // One of the original protocol, which cannot be asked what became of a task.
                .healthy(new Health(
                        well.status(),
                        well.pythonVersion(),
                        well.executionMethods(),
                        well.version(),
                        Optional.empty(),
                        false,
                        Optional.empty()));
        register("a");
        register("b");
        a.service()
                .answering(call -> CompletableFuture.failedFuture(
                        new UnknownOutcomeException(Reason.CONNECTION_LOST, "lost", null)));
        failure(manager.execute("a", PRINT));
        for (int i = 0; i < 3; i++) {
            assertThat(manager.findAvailableSlave(PRINT).map(Slave::id)).contains("b");
        }
        b.binding().close();
        manager.unregister("b");
        assertThat(manager.findAvailableSlave(PRINT).map(Slave::id)).contains("a");
    }

    @Test
    void cancelling_the_result_cancels_the_task_at_the_slave() {
        Served pi = serve("pi");
        pi.service().hanging();
        register("pi");
        CompletableFuture<TaskResult> result = manager.execute(PRINT);
        result.cancel(true);
        assertThat(pi.service().takeCall().answer()).isCancelled();
    }

    @Test
    void a_wrong_token_is_told_when_a_task_is_sent() {
        RecordingSlaveService service = new RecordingSlaveService().healthy(RecordingSlaveService.health(COMMIT));
        transport.serve(service, URI.create("memory://pi:1"), new ServerSecurity(Token.of("another-token")));
        register("pi");
        assertThat(failure(manager.execute(PRINT))).isInstanceOf(UnauthorizedException.class);
        assertThat(service.callsLeft()).isZero();
    }

    @Test
    void a_result_that_its_caller_timed_out_ends_its_task_too() {
        Served pi = serve("pi");
        pi.service().hanging();
        register("pi");
        manager.execute(PRINT).completeExceptionally(new java.util.concurrent.TimeoutException());
        assertThat(pi.service().takeCall().answer()).isCancelled();
    }

    @Test
    void a_slave_is_watched_even_if_nobody_waits_for_its_registration() {
        manager.register("pi", URI.create("memory://pi:1")).cancel(true);
        time.advance(Duration.ofSeconds(10));
        serve("pi");
        time.advance(Duration.ofSeconds(40));
        assertThat(manager.slave("pi").map(Slave::status)).contains(SlaveStatus.ALIVE);
    }

    @Test
    void closing_leaves_no_future_open() {
        CompletableFuture<Slave> registration = manager.register("mute", URI.create("memory://mute:1"));
        assertThat(registration).as("it waits for its second try").isNotDone();
        Served pi = serve("pi");
        pi.service().hanging();
        register("pi");
        CompletableFuture<TaskResult> result = manager.execute("pi", PRINT);
        manager.close();
        assertThat(registration).isDone();
        assertThat(result).isCompletedExceptionally();
    }

    @Test
    void a_selector_that_fails_fails_its_task_and_nothing_else() {
        manager.close();
        serve("pi");
        manager = SlaveManager.builder()
                .transport(transport)
                .token(TOKEN)
                .version(VersionProvider.configured(COMMIT))
                .time(time)
                .callbackExecutor(Runnable::run)
                .selector((candidates, task) -> {
                    throw new IllegalStateException("a selector's fault");
                })
                .build();
        register("pi");
        assertThat(failure(manager.execute(PRINT))).hasMessageContaining("a selector's fault");
        assertThat(manager.execute("pi", PRINT).join().success()).isTrue();
    }

    @Test
    void an_idempotent_task_that_may_have_run_never_fails_as_one_that_did_not() {
        Served a = serve("a");
        Served b = serve("b");
        register("a");
        register("b");
        a.service()
                .answering(call -> CompletableFuture.failedFuture(
                        new UnknownOutcomeException(Reason.CONNECTION_LOST, "a: lost", null)));
        b.service().answering(call -> CompletableFuture.failedFuture(new SlaveUnreachableException("b: gone", null)));
        Task task = Task.builder(Task.PYTHON_CODE)
                .with("command", "x")
                .idempotent(true)
                .build();
        for (int i = 0; i < 2; i++) {
            CompletableFuture<TaskResult> result = manager.execute(task);
            time.advance(Duration.ofSeconds(10));
            Throwable error = failure(result);
            if (a.service().callsLeft() > 0) {
                assertThat(error).isInstanceOf(UnknownOutcomeException.class);
            }
        }
        assertThat(a.service().callsLeft()).isPositive();
    }

    @Test
    void ten_thousand_slaves_fit() {
        RecordingSlaveService service = new RecordingSlaveService().healthy(RecordingSlaveService.health(COMMIT));
        transport.serve(service, URI.create("memory://all:1"), new ServerSecurity(TOKEN));
        for (int i = 0; i < 10_000; i++) {
            manager.register("slave-" + i, URI.create("memory://all:1"));
        }
        assertThat(manager.slaves()).hasSize(10_000).allMatch(Slave::available);
        assertThat(manager.execute(PRINT).join().success()).isTrue();
    }
}
