package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.D8Exception;
import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.SlaveUnreachableException;
import dev.d8.Task;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.TaskState;
import dev.d8.Token;
import dev.d8.UnknownOutcomeException;
import dev.d8.VersionInfo;
import dev.d8.master.ConnectionPolicy;
import dev.d8.master.SlaveManager;
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.SlaveService;
import dev.d8.spi.Transport;
import dev.d8.version.VersionProvider;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What the master makes of answers that do not come, on fake time: it asks, and sends again only what is the same task. */
class LostAnswersTest {

    private static final Duration LONGEST_TASK = Duration.ofMinutes(2);

    private final FakeTime time = new FakeTime();
    private final InMemoryTransport network = new InMemoryTransport();
    private final CutTransport cables = new CutTransport(network);
    private final List<TaskId> started = new ArrayList<>();
    private final Map<String, SimulatedSlave> slaves = new HashMap<>();
    private final SlaveManager master = SlaveManager.builder()
            .transport(cables)
            .time(time)
            .random(new Random(1))
            .connectionPolicy(ConnectionPolicy.DEFAULT.withReconcileFor(Duration.ofMinutes(10)))
            .version(VersionProvider.of(new VersionInfo("c", "1.0.0", "main", false)))
            .callbackExecutor(Runnable::run)
            .build();

    private SimulatedSlave serve(String name) {
        SimulatedSlave slave = new SimulatedSlave(name, time, new Random(2), 3, started::add);
        URI address = URI.create("memory://" + name + ":1");
        network.serve(slave, address, new ServerSecurity(Token.DEVELOPMENT));
        master.register(name, address).join();
        slaves.put(name, slave);
        return slave;
    }

    @AfterEach
    void close() {
        master.close();
    }

    private CompletableFuture<TaskResult> execute(boolean idempotent) {
        return master.execute(Task.builder(Task.PYTHON_CODE)
                .with("command", "print(55)")
                .idempotent(idempotent)
                .build());
    }

    private static Throwable failure(CompletableFuture<TaskResult> result) {
        assertThat(result).isCompletedExceptionally();
        return result.handle((value, error) -> error).join();
    }

    @Test
    void a_result_that_came_while_the_slave_was_cut_off_is_fetched() {
        serve("pi");
        CompletableFuture<TaskResult> result = execute(false);
        cables.cutOff.add("pi");
        time.advance(LONGEST_TASK);
        assertThat(result).isNotDone();
        cables.cutOff.clear();
        time.advance(LONGEST_TASK);
        assertThat(result.join().success()).isTrue();
        assertThat(started).hasSize(1);
    }

    @Test
    void a_task_that_never_arrived_is_sent_again_to_the_same_slave() {
        serve("pi");
        cables.cutOff.add("pi");
        CompletableFuture<TaskResult> result = execute(false);
        time.advance(Duration.ofSeconds(5));
        cables.cutOff.clear();
        time.advance(Duration.ofMinutes(5));
        assertThat(result.join().success()).isTrue();
        assertThat(started).hasSize(1);
    }

    @Test
    void a_task_that_its_slave_was_restarted_under_is_unknown_and_not_sent_again() {
        SimulatedSlave pi = serve("pi");
        serve("vps");
        CompletableFuture<TaskResult> result = master.execute("pi", Task.python("print(55)"));
        assertThat(started).hasSize(1);
        pi.crash();
        time.advance(Duration.ofMinutes(5));
        assertThat(failure(result))
                .isInstanceOfSatisfying(
                        UnknownOutcomeException.class,
                        error -> assertThat(error.retrySafe()).isFalse())
                .hasMessageContaining("pi")
                .hasMessageContaining("restarted");
        assertThat(started).hasSize(1);
    }

    @Test
    void a_slave_that_stays_away_makes_the_outcome_unknown_after_a_while() {
        serve("pi");
        CompletableFuture<TaskResult> result = execute(false);
        cables.cutOff.add("pi");
        time.advance(Duration.ofMinutes(9));
        assertThat(result).isNotDone();
        time.advance(Duration.ofMinutes(3));
        assertThat(failure(result))
                .isInstanceOf(UnknownOutcomeException.class)
                .hasMessageContaining("cannot be reached");
    }

    @Test
    void an_idempotent_task_goes_to_another_slave_as_soon_as_its_own_cannot_be_asked() {
        serve("pi");
        serve("vps");
        CompletableFuture<TaskResult> result = execute(true);
        String first = slaves.entrySet().stream()
                .filter(entry -> entry.getValue().most == 1)
                .findFirst()
                .orElseThrow()
                .getKey();
        cables.cutOff.add(first);
        time.advance(Duration.ofMinutes(5));
        assertThat(result.join().success()).isTrue();
        assertThat(started).hasSize(2);
    }

    @Test
    void a_task_under_which_two_slaves_are_lost_gets_no_third_one() {
        for (String name : List.of("a", "b", "c")) {
            serve(name);
        }
        CompletableFuture<TaskResult> result = execute(true);
        for (int lost = 1; lost <= 2; lost++) {
            cables.cutOff.addAll(slaves.entrySet().stream()
                    .filter(entry -> entry.getValue().most == 1)
                    .map(Map.Entry::getKey)
                    .toList());
            for (int i = 0; i < 120 && started.size() == lost; i++) {
                time.advance(Duration.ofSeconds(1));
            }
        }
        time.advance(Duration.ofMinutes(10));
        assertThat(failure(result)).isInstanceOf(UnknownOutcomeException.class);
        assertThat(started).hasSize(2);
    }

    @Test
    void cancelling_ends_the_task_on_a_slave_whose_answer_was_lost() {
        SimulatedSlave pi = serve("pi");
        CompletableFuture<TaskResult> result = execute(false);
        cables.cutOff.add("pi");
        time.advance(Duration.ofSeconds(31));
        cables.cutOff.clear();
        time.advance(Duration.ofMillis(1));
        result.cancel(true);
        time.advance(Duration.ofMinutes(1));
        assertThat(pi.health().slots().orElseThrow().free()).isEqualTo(3);
        assertThat(started).hasSize(1);
        assertThat(failure(result)).isNotInstanceOf(D8Exception.class);
    }

    /** A slave whose answers come when the test says so. */
    private static final class Hesitant implements Transport, SlaveClient {
        private final List<CompletableFuture<TaskResult>> calls = new ArrayList<>();
        private final Health well = RecordingSlaveService.health("c");
        private CompletableFuture<Health> health = CompletableFuture.completedFuture(well);

        @Override
        public Binding serve(SlaveService service, URI bind, ServerSecurity security) {
            throw new UnsupportedOperationException();
        }

        @Override
        public SlaveClient connect(URI slave, Credentials credentials) {
            return this;
        }

        @Override
        public CompletableFuture<Health> health() {
            return health.copy();
        }

        @Override
        public CompletableFuture<VersionInfo> version() {
            return health.thenApply(Health::version);
        }

        @Override
        public CompletableFuture<TaskResult> execute(Invocation invocation, ExecutionListener listener) {
            calls.add(new CompletableFuture<>());
            return calls.get(calls.size() - 1);
        }

        @Override
        public CompletableFuture<Optional<TaskState>> find(TaskId id, Duration wait) {
            return CompletableFuture.completedFuture(Optional.empty());
        }

        @Override
        public void close() {}
    }

    @Test
    void a_task_that_was_said_not_to_have_started_is_not_sent_any_more() {
        Hesitant slave = new Hesitant();
        try (SlaveManager other = SlaveManager.builder()
                .transport(slave)
                .time(time)
                .connectionPolicy(ConnectionPolicy.DEFAULT.withTries(1))
                .version(VersionProvider.of(slave.well.version()))
                .callbackExecutor(Runnable::run)
                .build()) {
            other.register("pi", URI.create("memory://pi:1")).join();
            CompletableFuture<TaskResult> result = other.execute("pi", Task.python("print(55)"));
            slave.health = new CompletableFuture<>();
            time.advance(Duration.ofSeconds(30)); // The slave has never heard of it. Which process is that?
            slave.calls.get(0).completeExceptionally(new SlaveUnreachableException("no connection", null));
            assertThat(failure(result)).isInstanceOf(SlaveUnreachableException.class);
            slave.health.complete(slave.well);
            assertThat(slave.calls).hasSize(1);
        }
    }
}
