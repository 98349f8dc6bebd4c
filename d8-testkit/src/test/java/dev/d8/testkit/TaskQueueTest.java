package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.Capabilities;
import dev.d8.DeadlineExceededException;
import dev.d8.Health;
import dev.d8.InvalidTaskException;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.MasterClosedException;
import dev.d8.NoExecutorException;
import dev.d8.NoSlaveException;
import dev.d8.Output;
import dev.d8.PythonCode;
import dev.d8.QueueFullException;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveUnreachableException;
import dev.d8.Slots;
import dev.d8.Task;
import dev.d8.TaskIdTakenException;
import dev.d8.TaskResult;
import dev.d8.Termination;
import dev.d8.Token;
import dev.d8.UnauthorizedException;
import dev.d8.UnknownOutcomeException;
import dev.d8.UnknownOutcomeException.Reason;
import dev.d8.VersionInfo;
import dev.d8.master.SlaveManager;
import dev.d8.master.Submission;
import dev.d8.master.Submission.Phase;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.TypedTaskType;
import dev.d8.version.VersionProvider;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class TaskQueueTest {

    private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";
    private static final Token TOKEN = Token.of("the-token");

    private final FakeTime time = new FakeTime();
    private final InMemoryTransport transport = new InMemoryTransport();
    private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    private SlaveManager manager = manager(builder -> builder);

    private SlaveManager manager(UnaryOperator<SlaveManager.Builder> more) {
        return more.apply(SlaveManager.builder()
                        .transport(transport)
                        .token(TOKEN)
                        .version(VersionProvider.of(new VersionInfo(COMMIT, "1.0.0", "main", false)))
                        .time(time)
                        .random(new Random(7))
                        .meters(meters)
                        .callbackExecutor(Runnable::run))
                .build();
    }

    @AfterEach
    void close() {
        manager.close();
    }

    /** A slave whose tasks end when the test says so. */
    private static final class Hand {
        final RecordingSlaveService service;
        final Map<String, CompletableFuture<TaskResult>> running = new HashMap<>();
        final List<String> started = new ArrayList<>();

        Hand(Health health) {
            service = new RecordingSlaveService().healthy(health).answering(call -> {
                CompletableFuture<TaskResult> answer = new CompletableFuture<>();
                started.add(call.source());
                running.put(call.source(), answer);
                return answer.thenApply(result -> RecordingSlaveService.echo(call));
            });
        }

        void finish(String source) {
            Objects.requireNonNull(running.get(source))
                    .complete(
                            RecordingSlaveService.echo(Invocation.python(source).build()));
        }
    }

    private static Health health(int slots) {
        Health well = RecordingSlaveService.health(COMMIT);
        return new Health(
                well.status(),
                well.pythonVersion(),
                well.executionMethods(),
                well.version(),
                Optional.empty(),
                false,
                Optional.of(new Slots(slots, slots)));
    }

    private Hand slave(String name, int slots, String... labels) {
        Hand hand = new Hand(health(slots));
        transport.serve(hand.service, URI.create("memory://" + name + ":1"), new ServerSecurity(TOKEN));
        manager.register(name, URI.create("memory://" + name + ":1"), labels).join();
        return hand;
    }

    private static Task.Builder task(String source) {
        return Task.builder(Task.PYTHON_CODE).with("command", source);
    }

    private Submission submit(String source) {
        return manager.submit(task(source).build());
    }

    private static Throwable failure(Submission submission) {
        return submission.result().handle((value, error) -> error).join();
    }

    @Test
    void a_task_waits_for_a_slave_and_runs_when_one_comes() {
        Submission task = submit("a");
        assertThat(task.phase()).isEqualTo(Phase.QUEUED);
        assertThat(manager.queue().waiting()).isOne();
        Hand pi = slave("pi", 1);
        assertThat(task.phase()).isEqualTo(Phase.RUNNING);
        assertThat(task.slave()).contains("pi");
        pi.finish("a");
        assertThat(task.result().join().output()).isEqualTo("a");
        assertThat(task.phase()).isEqualTo(Phase.DONE);
        assertThat(manager.queue().unfinished()).isEmpty();
    }

    @Test
    void a_slave_never_gets_more_than_its_slots_and_each_end_lets_the_next_one_in() {
        Hand pi = slave("pi", 2);
        List<Submission> tasks =
                List.of("a", "b", "c", "d").stream().map(this::submit).toList();
        assertThat(pi.started).containsExactly("a", "b");
        pi.finish("b");
        assertThat(pi.started).containsExactly("a", "b", "c");
        pi.finish("a");
        pi.finish("c");
        pi.finish("d");
        assertThat(tasks).allMatch(task -> task.phase() == Phase.DONE);
    }

    @Test
    void the_highest_priority_goes_first_and_then_the_eldest() {
        Hand pi = slave("pi", 1);
        submit("first");
        manager.submit(task("low").priority(-1).build());
        submit("one");
        submit("two");
        manager.submit(task("high").priority(5).build());
        for (String next : List.of("first", "high", "one", "two", "low")) {
            assertThat(pi.started).last().isEqualTo(next);
            pi.finish(next);
        }
    }

    @Test
    void a_task_that_nobody_can_run_stands_in_nobodys_way() {
        Hand pi = slave("pi", 1);
        Submission gpu = manager.submit(task("gpu").labels("gpu").priority(9).build());
        submit("a");
        assertThat(pi.started).containsExactly("a");
        assertThat(gpu.phase()).isEqualTo(Phase.QUEUED);
        Hand big = slave("big", 1, "gpu");
        assertThat(big.started).containsExactly("gpu");
    }

    @Test
    void a_full_queue_refuses_and_says_what_to_do() {
        manager.close();
        manager = manager(builder -> builder.queueCapacity(2));
        submit("a");
        submit("b");
        assertThatThrownBy(() -> submit("c"))
                .isInstanceOf(QueueFullException.class)
                .hasMessageContaining("2 tasks wait")
                .hasMessageContaining("submitAsync");
        assertThat(manager.queue().unfinished()).hasSize(2);
        assertThat(meters.get("d8.master.queue.refused").counter().count()).isOne();
        slave("pi", 1);
        submit("c");
    }

    @Test
    void who_waits_for_a_place_gets_it_in_turn_and_may_give_up() {
        manager.close();
        manager = manager(builder -> builder.queueCapacity(1));
        submit("a");
        CompletableFuture<Submission> b = manager.queue().submitAsync(task("b").build());
        CompletableFuture<Submission> c = manager.queue().submitAsync(task("c").build());
        CompletableFuture<Submission> d = manager.queue().submitAsync(task("d").build());
        assertThat(b).isNotDone();
        c.cancel(true);
        Hand pi = slave("pi", 1); // Takes a, and so b waits now.
        assertThat(b).isCompleted();
        assertThat(d).isNotDone();
        pi.finish("a");
        assertThat(d).isCompleted();
        pi.finish("b");
        pi.finish("d");
        assertThat(pi.started).containsExactly("a", "b", "d");
        assertThat(manager.queue().unfinished()).isEmpty();
    }

    @Test
    void a_thread_that_waits_for_a_place_is_let_in_or_interrupted() throws Exception {
        manager.close();
        manager = manager(builder -> builder.queueCapacity(1));
        Hand pi = slave("pi", 1);
        submit("a");
        submit("b");
        CompletableFuture<Submission> accepted = new CompletableFuture<>();
        Thread blocked = new Thread(() -> {
            try {
                accepted.complete(manager.queue().submitBlocking(task("c").build()));
            } catch (InterruptedException e) {
                accepted.completeExceptionally(e);
            }
        });
        blocked.start();
        pi.finish("a");
        assertThat(accepted.join().task().data()).containsEntry("command", "c");
        blocked.join();

        CompletableFuture<Submission> given = new CompletableFuture<>();
        Thread interrupted = new Thread(() -> {
            try {
                given.complete(manager.queue().submitBlocking(task("d").build()));
            } catch (InterruptedException e) {
                given.completeExceptionally(e);
            }
        });
        interrupted.start();
        interrupted.interrupt();
        assertThat(given).failsWithin(Duration.ofSeconds(30)).withThrowableOfType(Exception.class);
        assertThat(manager.queue().unfinished()).hasSize(2);
    }

    @Test
    void a_batch_is_accepted_whole_or_not_at_all() {
        manager.close();
        manager = manager(builder -> builder.queueCapacity(3));
        submit("a");
        List<Task> three =
                List.of(task("x").build(), task("y").build(), task("z").build());
        assertThatThrownBy(() -> manager.queue().submitAll(three)).isInstanceOf(QueueFullException.class);
        Task bad = Task.builder(Task.PYTHON_CODE).build();
        assertThatThrownBy(() -> manager.queue().submitAll(Arrays.asList(three.get(0), bad)))
                .isInstanceOf(InvalidTaskException.class);
        assertThat(manager.queue().unfinished()).hasSize(1);
        assertThat(manager.queue().submitAll(three.subList(0, 2))).hasSize(2);
        Hand pi = slave("pi", 8);
        assertThat(pi.started).containsExactly("a", "x", "y");
    }

    @Test
    void the_same_task_again_is_that_task_and_another_one_of_its_id_is_refused() {
        Task task = task("a").build();
        Submission first = manager.submit(task);
        assertThat(manager.submit(task)).isSameAs(first);
        assertThat(manager.queue().find(task.id())).contains(first);
        assertThatThrownBy(() -> manager.submit(task("b").id(task.id()).build()))
                .isInstanceOf(TaskIdTakenException.class);
        Hand pi = slave("pi", 4);
        assertThat(pi.started).containsExactly("a");
    }

    @Test
    void a_cancelled_task_does_not_start_or_is_ended_at_its_slave() {
        Hand pi = slave("pi", 1);
        Submission running = submit("a");
        Submission waiting = submit("b");
        waiting.cancel();
        assertThat(waiting.result()).isCancelled();
        running.cancel();
        assertThat(running.result()).isCancelled();
        assertThat(pi.service.takeCall().answer()).isCancelled();
        assertThat(pi.started).containsExactly("a");
        submit("c");
        assertThat(pi.started).containsExactly("a", "c");
    }

    @Test
    void cancelling_what_waits_for_the_result_leaves_the_task_alone() {
        Hand pi = slave("pi", 1);
        Submission task = submit("a");
        task.result().cancel(true);
        pi.finish("a");
        assertThat(task.result().join().success()).isTrue();
    }

    @Test
    void a_deadline_ends_the_wait_and_bounds_the_run() {
        Hand pi = slave("pi", 1);
        Submission running =
                manager.submit(task("a").deadline(Duration.ofSeconds(20)).build());
        Submission waiting =
                manager.submit(task("b").deadline(Duration.ofSeconds(20)).build());
        assertThat(pi.service.takeCall().invocation().timeout()).isEqualTo(Duration.ofSeconds(20));
        time.advance(Duration.ofSeconds(21));
        assertThat(failure(waiting))
                .isInstanceOf(DeadlineExceededException.class)
                .hasMessageContaining("20.0 s");
        pi.finish("a");
        assertThat(running.result().join().success()).isTrue();
        assertThat(pi.started).containsExactly("a");
    }

    @Test
    void a_slave_that_refuses_is_left_alone_as_long_as_it_asks_and_the_task_waits() {
        Hand pi = slave("pi", 4);
        List<Integer> calls = new ArrayList<>();
        pi.service.answering(call -> {
            calls.add(1);
            return calls.size() == 1
                    ? CompletableFuture.failedFuture(new SlaveRefusedException(
                            SlaveRefusedException.Reason.QUEUE_FULL, Duration.ofSeconds(7), "full"))
                    : CompletableFuture.completedFuture(RecordingSlaveService.echo(call));
        });
        Submission task = submit("a");
        assertThat(task.phase()).isEqualTo(Phase.QUEUED);
        time.advance(Duration.ofSeconds(6));
        assertThat(calls).hasSize(1);
        time.advance(Duration.ofSeconds(2));
        assertThat(task.result().join().success()).isTrue();
    }

    @Test
    void a_slave_that_cannot_be_reached_is_tried_until_its_circuit_opens_and_the_task_waits_for_better_times() {
        Hand pi = slave("pi", 4);
        List<Integer> calls = new ArrayList<>();
        pi.service.answering(call -> {
            calls.add(1);
            return calls.size() <= 5
                    ? CompletableFuture.failedFuture(new SlaveUnreachableException("gone", null))
                    : CompletableFuture.completedFuture(RecordingSlaveService.echo(call));
        });
        Submission task = submit("a");
        time.advance(Duration.ofSeconds(10));
        assertThat(task.phase()).isEqualTo(Phase.QUEUED);
        time.advance(Duration.ofSeconds(120));
        assertThat(task.result().join().success()).isTrue();
        assertThat(calls).hasSize(6);
    }

    @Test
    void a_task_that_every_slave_turns_away_for_good_fails_with_each_ones_reason() {
        Hand a = slave("a", 1);
        Hand b = slave("b", 1);
        for (Hand slave : List.of(a, b)) {
            slave.service.answering(
                    call -> CompletableFuture.failedFuture(new NoExecutorException("no walls are high enough")));
        }
        assertThat(failure(submit("x")))
                .isInstanceOf(NoSlaveException.class)
                .hasMessageContaining("a: no walls")
                .hasMessageContaining("b: no walls");
        assertThat(a.service.callsLeft() + b.service.callsLeft()).isEqualTo(2);
    }

    @Test
    void what_is_wrong_with_the_task_ends_it() {
        Hand pi = slave("pi", 1);
        pi.service.answering(call -> CompletableFuture.failedFuture(new UnauthorizedException("no")));
        assertThat(failure(submit("x"))).isInstanceOf(UnauthorizedException.class);
    }

    @Test
    void a_lost_task_runs_again_elsewhere_only_if_it_is_idempotent_and_two_losses_end_it() {
        List<Hand> slaves = List.of(slave("a", 1), slave("b", 1), slave("c", 1));
        for (Hand slave : slaves) {
            slave.service.answering(call ->
                    CompletableFuture.failedFuture(new UnknownOutcomeException(Reason.CONNECTION_LOST, "lost", null)));
        }
        assertThat(failure(submit("x"))).isInstanceOf(UnknownOutcomeException.class);
        assertThat(slaves.stream().mapToInt(slave -> slave.service.callsLeft()).sum())
                .isOne();
        assertThat(failure(manager.submit(task("y").idempotent(true).build())))
                .isInstanceOf(UnknownOutcomeException.class);
        assertThat(slaves.stream().mapToInt(slave -> slave.service.callsLeft()).sum())
                .isEqualTo(3);
    }

    @Test
    void what_a_slave_found_out_about_its_machine_decides_which_tasks_it_gets() {
        Health well = health(4);
        Hand arm = new Hand(new Health(
                well.status(),
                "",
                well.executionMethods(),
                well.version(),
                Optional.empty(),
                false,
                well.slots(),
                Optional.of(new Capabilities(Set.of("arch=arm64"), Isolation.PROCESS, 4, 0, 0))));
        transport.serve(arm.service, URI.create("memory://arm:1"), new ServerSecurity(TOKEN));
        manager.register("arm", URI.create("memory://arm:1"), "cellar").join();
        manager.submit(task("a").labels("arch=arm64", "cellar").build());
        manager.submit(task("b").labels("arch=amd64").build());
        Task walled = task("c").minIsolation(Isolation.CONTAINER).build();
        manager.submit(walled);
        assertThat(arm.started).containsExactly("a");
        assertThat(manager.execute(walled)
                        .handle((value, error) -> String.valueOf(error))
                        .join())
                .contains("its strongest isolation is process");
    }

    @Test
    void a_slave_that_does_not_say_how_much_it_can_run_gets_one_task_at_a_time() {
        Health well = health(1);
        Hand old = new Hand(new Health(
                well.status(), "", well.executionMethods(), well.version(), Optional.empty(), false, Optional.empty()));
        transport.serve(old.service, URI.create("memory://old:1"), new ServerSecurity(TOKEN));
        manager.register("old", URI.create("memory://old:1")).join();
        submit("a");
        submit("b");
        assertThat(old.started).containsExactly("a");
        old.finish("a");
        assertThat(old.started).containsExactly("a", "b");
    }

    @Test
    void when_the_master_is_closed_what_waits_fails_as_not_started_and_what_runs_does_not() {
        slave("pi", 1);
        Submission running = submit("a");
        Submission waiting = submit("b");
        manager.close();
        assertThat(failure(waiting))
                .isInstanceOfSatisfying(
                        MasterClosedException.class,
                        error -> assertThat(error.retrySafe()).isTrue());
        assertThat(failure(running))
                .isInstanceOfSatisfying(
                        MasterClosedException.class,
                        error -> assertThat(error.retrySafe()).isFalse());
        assertThatThrownBy(() -> submit("c")).isInstanceOf(MasterClosedException.class);
    }

    @Test
    void a_deadline_holds_for_a_task_that_its_slave_turns_away_late() {
        Hand pi = slave("pi", 1);
        Submission task =
                manager.submit(task("a").deadline(Duration.ofSeconds(20)).build());
        time.advance(Duration.ofSeconds(25));
        pi.running
                .values()
                .forEach(answer -> answer.completeExceptionally(new SlaveRefusedException(
                        SlaveRefusedException.Reason.QUEUE_FULL, Duration.ofSeconds(1), "full")));
        assertThat(failure(task)).isInstanceOf(DeadlineExceededException.class);
        assertThat(pi.started).containsExactly("a");
    }

    @Test
    void a_slave_that_does_not_answer_by_the_deadline_is_not_waited_for() {
        Hand pi = slave("pi", 1);
        Submission task =
                manager.submit(task("a").deadline(Duration.ofSeconds(20)).build());
        time.advance(Duration.ofSeconds(31));
        assertThat(failure(task)).isInstanceOf(UnknownOutcomeException.class).hasMessageContaining("pi");
        assertThat(pi.service.takeCall().answer()).isCancelled();
    }

    @Test
    void who_waits_for_a_place_hears_that_the_master_is_closed() {
        manager.close();
        manager = manager(builder -> builder.queueCapacity(1));
        submit("a");
        CompletableFuture<Submission> waits =
                manager.queue().submitAsync(task("b").build());
        manager.close();
        assertThat(waits)
                .failsWithin(Duration.ofSeconds(30))
                .withThrowableThat()
                .withCauseInstanceOf(MasterClosedException.class);
    }

    @Test
    void who_submits_a_task_that_waits_for_a_place_hears_when_it_gives_up() {
        manager.close();
        manager = manager(builder -> builder.queueCapacity(1));
        submit("a");
        Task task = task("b").build();
        CompletableFuture<Submission> waits = manager.queue().submitAsync(task);
        Submission same = manager.submit(task);
        waits.cancel(true);
        assertThat(same.result()).isCancelled();
        assertThatThrownBy(() -> manager.submit(task)).isInstanceOf(QueueFullException.class);
    }

    @Test
    void a_batch_of_tasks_that_are_known_needs_no_place() {
        manager.close();
        manager = manager(builder -> builder.queueCapacity(1));
        Task task = task("a").build();
        Submission first = manager.submit(task);
        manager.queue().submitAsync(task("b").build());
        assertThat(manager.queue().submitAll(List.of(task))).containsExactly(first);
    }

    @Test
    void a_task_whose_slave_is_let_go_does_not_start_on_another_one() {
        Hand a = slave("a", 1);
        Submission task = submit("x");
        Hand b = slave("b", 1);
        manager.unregister("a");
        assertThat(a.started).containsExactly("x");
        assertThat(b.started).isEmpty();
        assertThat(failure(task)).isInstanceOf(UnknownOutcomeException.class);
    }

    private record Sum(int sum) {}

    private static final class Adding implements TypedTaskType<PythonCode, Sum> {
        @Override
        public String id() {
            return "adding";
        }

        @Override
        public Class<PythonCode> dataType() {
            return PythonCode.class;
        }

        @Override
        public Invocation prepare(PythonCode data) {
            return Invocation.python(data.command()).build();
        }

        @Override
        public Class<Sum> resultType() {
            return Sum.class;
        }
    }

    @Test
    void a_typed_task_has_a_value_for_its_result() {
        manager.close();
        manager = manager(builder -> builder.taskType(new Adding()));
        Hand pi = slave("pi", 1);
        pi.service.answering(call -> CompletableFuture.completedFuture(
                RecordingSlaveService.result(call, Output.of("{\"sum\": " + call.source() + "}"))));
        PythonCode code = new PythonCode("55", null, null, null, null, null, null);
        assertThat(manager.submit(new Adding(), code).join()).isEqualTo(new Sum(55));

        pi.service.answering(call -> CompletableFuture.completedFuture(new TaskResult(
                call.taskId(),
                "python",
                Termination.exited(3),
                Output.EMPTY,
                Output.of("no"),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                List.of(),
                0)));
        assertThat(manager.submit(new Adding(), code))
                .failsWithin(Duration.ofSeconds(30))
                .withThrowableThat()
                .withCauseInstanceOf(IllegalStateException.class);
    }

    @Test
    void what_the_queue_does_is_counted() {
        Hand pi = slave("pi", 1);
        submit("a");
        submit("b");
        assertThat(meters.get("d8.master.queue.waiting").gauge().value()).isOne();
        assertThat(meters.get("d8.master.in_flight").gauge().value()).isOne();
        assertThat(meters.get("d8.master.slaves").tag("status", "alive").gauge().value())
                .isOne();
        pi.finish("a");
        assertThat(meters.get("d8.master.tasks").tag("status", "ok").counter().count())
                .isOne();
        assertThat(meters.get("d8.master.queue.wait").timer().count()).isEqualTo(2);
    }

    @Test
    void many_tasks_pass_through_a_few_places() {
        manager.close();
        manager = manager(builder -> builder.queueCapacity(10));
        RecordingSlaveService echo = new RecordingSlaveService()
                .healthy(health(4))
                .answering(call -> {
                    CompletableFuture<TaskResult> done =
                            CompletableFuture.completedFuture(RecordingSlaveService.echo(call));
                    return done;
                });
        transport.serve(echo, URI.create("memory://pi:1"), new ServerSecurity(TOKEN));
        manager.register("pi", URI.create("memory://pi:1")).join();
        for (int i = 0; i < 20_000; i++) {
            Submission task = submit("x");
            assertThat(task.phase()).isEqualTo(Phase.DONE);
            echo.takeCall();
        }
        assertThat(manager.queue().unfinished()).isEmpty();
    }
}
