package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.InvalidTaskException;
import dev.d8.Invocation;
import dev.d8.NoExecutorException;
import dev.d8.Output;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveRefusedException.Reason;
import dev.d8.TaskEvent;
import dev.d8.TaskForgottenException;
import dev.d8.TaskId;
import dev.d8.TaskIdTakenException;
import dev.d8.TaskResult;
import dev.d8.TaskState;
import dev.d8.TaskState.Phase;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Caller;
import dev.d8.spi.Credentials;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.SlaveService;
import dev.d8.spi.SlaveTasks;
import dev.d8.spi.TaskHandle;
import dev.d8.spi.Transport;
import dev.d8.spi.WireFormat;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a slave keeps of tasks that have an id: what is sent twice runs once, and results wait for their callers. */
@Timeout(60)
class SlaveTasksTest {
    private static final Caller CALLER = new Caller("tester", "");

    private static final Duration HOUR = Duration.ofHours(1);

    private final MeterRegistry meters = new SimpleMeterRegistry();
    private final FakeTime time = new FakeTime();
    private final GatedExecutor gate = new GatedExecutor();
    private @Nullable SlaveService service;
    private Optional<SlaveServer> server = Optional.empty();

    @AfterEach
    void close() {
        gate.letGo(1000);
        server.ifPresent(SlaveServer::close);
    }

    private SlaveTasks start(int slots, int queue, int results) {
        server = Optional.of(SlaveServer.builder()
                .bind(URI.create("memory://127.0.0.1:0"))
                .transport(new Capture())
                .time(time)
                .meterRegistry(meters)
                .executor(gate)
                .executors(List.of("gated"))
                .maxConcurrent(slots)
                .queueCapacity(queue)
                .keepResults(results, 1_000_000, Duration.ofHours(24))
                .start());
        return Objects.requireNonNull(service).tasks().orElseThrow();
    }

    private static Invocation task() {
        return Invocation.python("print(55)").build();
    }

    private static <T> T get(CompletableFuture<T> future) throws Exception {
        return future.get(30, TimeUnit.SECONDS);
    }

    /** Runs a task to its end; whether anybody fetches its result is another matter. */
    private TaskHandle finished(SlaveTasks tasks, Invocation task) throws Exception {
        TaskHandle handle = tasks.submit(CALLER, task);
        gate.letGo(1);
        get(handle.result());
        return handle;
    }

    @Test
    void a_task_that_is_submitted_twice_runs_once_and_both_get_its_result() throws Exception {
        SlaveTasks tasks = start(2, 10, 100);
        Invocation task = task();
        TaskHandle first = tasks.submit(CALLER, task);
        TaskHandle second = tasks.submit(CALLER, task);
        assertThat(first.replayed()).isFalse();
        assertThat(second.replayed()).isTrue();
        gate.letGo(2);
        TaskResult result = get(first.result());
        assertThat(get(second.result())).isEqualTo(result);
        TaskHandle third = tasks.submit(CALLER, task);
        assertThat(get(third.result())).isEqualTo(result);
        assertThat(get(third.answer())).isEqualTo(WireFormat.json().encode(result));
        assertThat(tasks.find(task.taskId()).orElseThrow().state()).isEqualTo(TaskState.done(result));
        assertThat(gate.started()).isEqualTo(1);
    }

    @Test
    void an_id_that_was_used_with_another_task_is_refused() {
        SlaveTasks tasks = start(1, 1, 100);
        Invocation task = task();
        tasks.submit(CALLER, task);
        Invocation other = Invocation.python("print(56)").taskId(task.taskId()).build();
        assertThatThrownBy(() -> tasks.submit(CALLER, other))
                .isInstanceOf(TaskIdTakenException.class)
                .hasMessageContaining(task.taskId().toString());
    }

    @Test
    void how_far_a_task_has_come_is_known() throws Exception {
        SlaveTasks tasks = start(1, 1, 100);
        Invocation running = task();
        Invocation waiting = task();
        tasks.submit(CALLER, running);
        gate.awaitStarted();
        TaskHandle queued = tasks.submit(CALLER, waiting);
        assertThat(tasks.waiting()).isEqualTo(1);
        assertThat(tasks.find(running.taskId()).orElseThrow().state())
                .isEqualTo(TaskState.of(running.taskId(), Phase.RUNNING));
        assertThat(queued.state()).isEqualTo(TaskState.of(waiting.taskId(), Phase.QUEUED));
        assertThat(tasks.find(TaskId.random())).isEmpty();
    }

    @Test
    void whoever_waits_for_an_end_waits_as_long_as_they_said() throws Exception {
        SlaveTasks tasks = start(1, 1, 100);
        TaskHandle handle = tasks.submit(CALLER, task());
        gate.awaitStarted();
        CompletableFuture<TaskState> patient = handle.await(Duration.ofSeconds(10));
        CompletableFuture<TaskState> hasty = handle.await(Duration.ofSeconds(2));
        time.advance(Duration.ofSeconds(2));
        assertThat(get(hasty).phase()).isEqualTo(Phase.RUNNING);
        assertThat(patient).isNotDone();
        gate.letGo(1);
        assertThat(get(patient).phase()).isEqualTo(Phase.DONE);
        assertThat(get(handle.await(Duration.ZERO)).phase()).isEqualTo(Phase.DONE);
    }

    @Test
    void whoever_gives_up_waiting_leaves_the_task_alone() throws Exception {
        SlaveTasks tasks = start(1, 1, 100);
        TaskHandle handle = tasks.submit(CALLER, task());
        gate.awaitStarted();
        handle.result().cancel(true);
        handle.await(HOUR).cancel(true);
        gate.letGo(1);
        assertThat(get(handle.result()).success()).isTrue();
    }

    @Test
    void a_cancelled_task_ends_and_says_why_whether_it_runs_or_waits() throws Exception {
        SlaveTasks tasks = start(1, 1, 100);
        TaskHandle running = tasks.submit(CALLER, task());
        gate.awaitStarted();
        TaskHandle waiting = tasks.submit(CALLER, task());
        for (TaskHandle handle : List.of(waiting, running)) {
            TaskId id = handle.state().taskId();
            assertThat(tasks.cancel(CALLER, id)).isTrue();
            TaskResult result = get(handle.result());
            assertThat(result.termination()).isEqualTo(Termination.of(Status.CANCELLED));
            assertThat(result.error()).isEqualTo("d8: cancelled by its caller\n");
            assertThat(tasks.cancel(CALLER, id)).as("it is over").isFalse();
        }
        assertThat(gate.started()).isEqualTo(1);
    }

    @Test
    void a_task_that_is_cancelled_before_it_comes_does_not_start() throws Exception {
        SlaveTasks tasks = start(1, 1, 100);
        Invocation task = task();
        assertThat(tasks.cancel(CALLER, task.taskId())).isTrue();
        assertThat(tasks.cancel(CALLER, task.taskId())).isFalse();
        assertThat(get(tasks.submit(CALLER, task).result()).termination()).isEqualTo(Termination.of(Status.CANCELLED));
        assertThat(gate.started()).isZero();
    }

    @Test
    void cancels_of_tasks_that_never_come_stand_in_nobodys_way() throws Exception {
        SlaveTasks tasks = start(1, 1, 2);
        for (int i = 0; i < 10; i++) {
            assertThat(tasks.cancel(CALLER, TaskId.random())).isTrue();
        }
        assertThat(get(finished(tasks, task()).result()).success()).isTrue();
    }

    @Test
    void a_slave_that_drains_finishes_what_it_has_and_takes_nothing_new() throws Exception {
        SlaveTasks tasks = start(1, 1, 100);
        TaskHandle running = tasks.submit(CALLER, task());
        TaskHandle waiting = tasks.submit(CALLER, task());
        gate.awaitStarted();
        SlaveServer slave = server.orElseThrow();
        assertThat(slave.unfinished()).isEqualTo(2);
        assertThat(slave.drain(Duration.ZERO)).isFalse();
        assertThat(Objects.requireNonNull(service).health().draining()).isTrue();
        assertThatThrownBy(() -> tasks.submit(CALLER, task()))
                .isInstanceOfSatisfying(
                        SlaveRefusedException.class, e -> assertThat(e.reason()).isEqualTo(Reason.DRAINING));

        gate.letGo(2);
        time.advance(Duration.ofSeconds(1));
        assertThat(slave.drain(Duration.ofSeconds(30))).isTrue();
        assertThat(get(running.result()).success()).isTrue();
        assertThat(get(waiting.result()).success()).isTrue();
        assertThat(slave.drain(Duration.ZERO)).isTrue();
    }

    @Test
    void a_slave_that_drains_goes_on_turning_away_until_no_task_has_come_for_a_moment() throws Exception {
        SlaveTasks tasks = start(1, 1, 100);
        get(finished(tasks, task()).result());
        SlaveServer slave = server.orElseThrow();
        CompletableFuture<Boolean> drained = CompletableFuture.supplyAsync(() -> {
            try {
                return slave.drain(Duration.ofSeconds(30));
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
        while (!Objects.requireNonNull(service).health().draining()) {
            Thread.onSpinWait();
        }
        time.advance(Duration.ofMillis(400));
        assertThatThrownBy(() -> tasks.submit(CALLER, task())).isInstanceOf(SlaveRefusedException.class);
        time.advance(Duration.ofMillis(400));
        assertThat(drained).isNotDone();
        while (!drained.isDone()) {
            time.advance(Duration.ofMillis(100));
        }
        assertThat(get(drained)).isTrue();
    }

    @Test
    void what_was_turned_away_is_not_known_and_may_come_again() throws Exception {
        SlaveTasks tasks = start(1, 0, 100);
        tasks.submit(CALLER, task());
        gate.awaitStarted();
        Invocation refused = task();
        assertThatThrownBy(() -> tasks.submit(CALLER, refused))
                .isInstanceOfSatisfying(
                        SlaveRefusedException.class, e -> assertThat(e.reason()).isEqualTo(Reason.QUEUE_FULL));
        assertThat(tasks.find(refused.taskId())).isEmpty();
        Invocation tooLong = task().toBuilder().timeout(Duration.ofDays(1)).build();
        assertThatThrownBy(() -> tasks.submit(CALLER, tooLong)).isInstanceOf(InvalidTaskException.class);
        assertThat(tasks.find(tooLong.taskId())).isEmpty();
    }

    @Test
    void a_result_that_was_fetched_makes_room_and_its_task_does_not_run_again() throws Exception {
        SlaveTasks tasks = start(1, 1, 2);
        Invocation first = task();
        finished(tasks, first).delivered();
        finished(tasks, task()).delivered();
        finished(tasks, task());

        TaskHandle gone = tasks.find(first.taskId()).orElseThrow();
        assertThat(gone.state().phase()).isEqualTo(Phase.FORGOTTEN);
        TaskHandle again = tasks.submit(CALLER, first);
        assertThat(again.state().phase()).isEqualTo(Phase.FORGOTTEN);
        assertThatThrownBy(() -> get(again.result())).hasCauseInstanceOf(TaskForgottenException.class);
        assertThat(tasks.cancel(CALLER, first.taskId())).isFalse();
        assertThat(gate.started()).isEqualTo(3);
    }

    @Test
    void a_result_that_nobody_has_fetched_is_kept_for_an_hour_rather_than_that_new_tasks_run() throws Exception {
        SlaveTasks tasks = start(1, 1, 2);
        Invocation first = task();
        finished(tasks, first);
        finished(tasks, task());
        Invocation third = task();
        assertThatThrownBy(() -> tasks.submit(CALLER, third)).isInstanceOfSatisfying(SlaveRefusedException.class, e -> {
            assertThat(e.reason()).isEqualTo(Reason.RESULTS_FULL);
            assertThat(e.getMessage()).contains("fetch");
        });
        assertThat(tasks.find(first.taskId()).orElseThrow().state().phase()).isEqualTo(Phase.DONE);

        time.advance(HOUR);
        finished(tasks, third);
        assertThat(tasks.find(first.taskId()).orElseThrow().state().phase()).isEqualTo(Phase.FORGOTTEN);
    }

    @Test
    void output_is_what_fills_the_room_too() throws Exception {
        SlaveTasks tasks = start(1, 1, 100);
        gate.print(Output.of("x".repeat(600_000)));
        finished(tasks, task());
        finished(tasks, task());
        assertThatThrownBy(() -> tasks.submit(CALLER, task()))
                .isInstanceOfSatisfying(
                        SlaveRefusedException.class, e -> assertThat(e.reason()).isEqualTo(Reason.RESULTS_FULL));
    }

    @Test
    void tasks_are_counted_by_their_end_and_by_why_they_were_turned_away() throws Exception {
        SlaveTasks tasks = start(1, 0, 100);
        finished(tasks, task());
        finished(tasks, task());
        tasks.submit(CALLER, task());
        gate.awaitStarted();
        assertThatThrownBy(() -> tasks.submit(CALLER, task())).isInstanceOf(SlaveRefusedException.class);
        Invocation tooLong = task().toBuilder().timeout(Duration.ofDays(1)).build();
        assertThatThrownBy(() -> tasks.submit(CALLER, tooLong)).isInstanceOf(InvalidTaskException.class);
        Invocation elsewhere = task().toBuilder().method("docker").build();
        assertThatThrownBy(() -> tasks.submit(CALLER, elsewhere)).isInstanceOf(NoExecutorException.class);

        assertThat(meters.get("d8.tasks")
                        .tag("status", "ok")
                        .tag("method", "gated")
                        .counter()
                        .count())
                .isEqualTo(2);
        for (String reason : List.of("queue_full", "invalid", "no_executor")) {
            assertThat(meters.get("d8.tasks.refused")
                            .tag("reason", reason)
                            .counter()
                            .count())
                    .as(reason)
                    .isEqualTo(1);
        }
        for (String timer : List.of("d8.task.queue", "d8.task.start", "d8.task.run")) {
            assertThat(meters.get(timer).timer().count()).as(timer).isEqualTo(2);
        }
        assertThat(meters.get("d8.tasks.running").gauge().value()).isEqualTo(1);
        assertThat(meters.get("d8.tasks.queued").gauge().value()).isZero();
    }

    @Test
    void callers_take_turns_however_much_one_of_them_has_waiting() throws Exception {
        SlaveTasks tasks = start(1, 100, 100);
        tasks.submit(CALLER, task());
        gate.awaitStarted();
        List<TaskHandle> many = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            many.add(tasks.submit(CALLER, task()));
        }
        TaskHandle one = tasks.submit(new Caller("somebody else", ""), task());
        assertThat(tasks.waiting()).isEqualTo(51);

        gate.letGo(3);
        get(one.result());
        assertThat(many.get(2).state().phase()).isEqualTo(Phase.QUEUED);
    }

    @Test
    void who_comes_late_hears_of_a_start_only_where_there_was_one() throws Exception {
        SlaveTasks tasks = start(1, 2, 100);
        tasks.submit(CALLER, task());
        gate.awaitStarted();
        Invocation waiting = task();
        tasks.submit(CALLER, waiting);
        tasks.cancel(CALLER, waiting.taskId());
        TaskHandle never = tasks.find(waiting.taskId()).orElseThrow();
        assertThat(never.follow(0, () -> {}).next()).isInstanceOf(TaskEvent.Ended.class);
        gate.letGo(1);
    }

    @Test
    void what_is_cancelled_while_it_waits_leaves_the_queue() throws Exception {
        SlaveTasks tasks = start(1, 2, 100);
        TaskHandle running = tasks.submit(CALLER, task());
        gate.awaitStarted();
        for (int i = 0; i < 20; i++) {
            Invocation next = task();
            tasks.submit(CALLER, next);
            tasks.cancel(CALLER, next.taskId());
        }
        assertThat(tasks.waiting()).isZero();
        TaskHandle last = tasks.submit(CALLER, task());
        gate.letGo(2);
        get(running.result());
        assertThat(get(last.result()).success()).isTrue();
    }

    @Test
    void results_are_kept_for_so_long_and_no_longer() throws Exception {
        SlaveTasks tasks = start(1, 1, 100);
        Invocation first = task();
        finished(tasks, first);
        time.advance(Duration.ofHours(24));
        finished(tasks, task());
        assertThat(tasks.find(first.taskId()).orElseThrow().state().phase()).isEqualTo(Phase.FORGOTTEN);
    }

    /** A transport that carries nothing and shows what it was to carry. */
    private final class Capture implements Transport {
        @Override
        public Binding serve(SlaveService offered, URI bind, ServerSecurity security) {
            service = offered;
            return new Binding() {
                @Override
                public URI uri() {
                    return bind;
                }

                @Override
                public CompletableFuture<Void> closeAsync() {
                    return CompletableFuture.completedFuture(null);
                }
            };
        }

        @Override
        public SlaveClient connect(URI slave, Credentials credentials) {
            throw new UnsupportedOperationException();
        }

        @Override
        public void close() {}
    }
}
