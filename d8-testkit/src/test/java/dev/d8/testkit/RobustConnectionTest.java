package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.D8Exception;
import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.SlaveUnreachableException;
import dev.d8.TaskResult;
import dev.d8.UnauthorizedException;
import dev.d8.UnknownOutcomeException;
import dev.d8.UnknownOutcomeException.Reason;
import dev.d8.VersionInfo;
import dev.d8.master.CircuitState;
import dev.d8.master.ConnectionPolicy;
import dev.d8.master.RobustConnection;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.SlaveClient;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;

class RobustConnectionTest {

    private static final Invocation PRINT = Invocation.python("print(55)").build();
    private static final Duration LONGEST_BACKOFF = Duration.ofSeconds(10);

    private final FakeTime time = new FakeTime();
    private final Script slave = new Script();
    private final RobustConnection connection =
            new RobustConnection(slave, "pi", ConnectionPolicy.DEFAULT, time, new Random(1));

    @Test
    void a_task_that_did_not_leave_is_sent_again_up_to_three_times() {
        slave.next(unreachable(), unreachable(), result());
        CompletableFuture<TaskResult> result = connection.execute(PRINT, ExecutionListener.NONE);
        assertThat(result).isNotDone();
        time.advance(LONGEST_BACKOFF);
        assertThat(result.join().output()).isEqualTo("print(55)");
        assertThat(slave.executions).isEqualTo(3);
    }

    @Test
    void the_third_failure_is_the_last() {
        slave.next(unreachable(), unreachable(), unreachable(), result());
        CompletableFuture<TaskResult> result = connection.execute(PRINT, ExecutionListener.NONE);
        time.advance(LONGEST_BACKOFF);
        assertFailure(result, SlaveUnreachableException.class);
        assertThat(slave.executions).isEqualTo(3);
    }

    @Test
    void closing_ends_what_waits_for_its_next_try_and_says_nothing_about_what_is_under_way() {
        slave.next(unreachable());
        CompletableFuture<TaskResult> waiting = connection.execute(PRINT, ExecutionListener.NONE);
        CompletableFuture<TaskResult> under = slave.nextHangs();
        CompletableFuture<TaskResult> sent = connection.execute(PRINT, ExecutionListener.NONE);
        connection.close();
        assertFailure(waiting, SlaveUnreachableException.class);
        assertThat(sent).isNotDone();
        assertThat(under).as("the task is not ended").isNotDone();
        under.completeExceptionally(new UnknownOutcomeException(Reason.CONNECTION_LOST, "closed", null));
        assertFailure(sent, UnknownOutcomeException.class);
    }

    @Test
    void the_pauses_double_with_some_jitter() {
        slave.next(unreachable(), unreachable(), result());
        connection.execute(PRINT, ExecutionListener.NONE);
        time.advance(Duration.ofMillis(1599));
        assertThat(slave.executions).isEqualTo(1);
        time.advance(Duration.ofMillis(802));
        assertThat(slave.executions).isEqualTo(2);
        time.advance(Duration.ofMillis(3199 - 802));
        assertThat(slave.executions).isEqualTo(2);
        time.advance(Duration.ofMillis(1602 + 802));
        assertThat(slave.executions).isEqualTo(3);
    }

    @Test
    void a_task_that_may_have_run_is_never_sent_again() {
        for (Reason reason : Reason.values()) {
            slave.next(new UnknownOutcomeException(reason, "lost", null));
            CompletableFuture<TaskResult> result = connection.execute(PRINT, ExecutionListener.NONE);
            time.advance(LONGEST_BACKOFF);
            assertFailure(result, UnknownOutcomeException.class);
        }
        assertThat(slave.executions).isEqualTo(Reason.values().length);
    }

    @Test
    void a_health_check_whose_answer_was_lost_is_made_again() {
        slave.next(new UnknownOutcomeException(Reason.CONNECTION_LOST, "lost", null), health());
        CompletableFuture<Health> health = connection.health();
        time.advance(LONGEST_BACKOFF);
        assertThat(health.join().status()).isEqualTo("healthy");
    }

    @Test
    void a_refusal_is_not_tried_again() {
        slave.next(new UnauthorizedException("no"), result());
        assertFailure(connection.execute(PRINT, ExecutionListener.NONE), UnauthorizedException.class);
        assertThat(slave.executions).isEqualTo(1);
    }

    @Test
    void an_answer_is_waited_for_as_long_as_the_task_may_run_and_a_little_longer() {
        CompletableFuture<TaskResult> answer = slave.nextHangs();
        CompletableFuture<TaskResult> result = connection.execute(
                PRINT.toBuilder().timeout(Duration.ofSeconds(600)).build(), ExecutionListener.NONE);
        time.advance(Duration.ofSeconds(609));
        assertThat(result).isNotDone();
        time.advance(Duration.ofSeconds(1));
        assertFailure(result, UnknownOutcomeException.class);
        assertThat(answer).as("the call is given up").isCancelled();
    }

    @Test
    void health_and_version_have_their_own_time_outs() {
        ConnectionPolicy once = ConnectionPolicy.DEFAULT.withTries(1);
        RobustConnection single = new RobustConnection(slave, "pi", once, time, new Random(1));
        slave.nextHangs();
        CompletableFuture<Health> health = single.health();
        slave.nextHangs();
        CompletableFuture<VersionInfo> version = single.version();
        time.advance(Duration.ofMillis(4999));
        assertThat(version).isNotDone();
        time.advance(Duration.ofMillis(1));
        assertFailure(version, UnknownOutcomeException.class);
        time.advance(Duration.ofMillis(4999));
        assertThat(health).isNotDone();
        time.advance(Duration.ofMillis(1));
        assertFailure(health, UnknownOutcomeException.class);
    }

    @Test
    void cancelling_gives_up_the_call_under_way() {
        CompletableFuture<TaskResult> answer = slave.nextHangs();
        connection.execute(PRINT, ExecutionListener.NONE).cancel(true);
        assertThat(answer).isCancelled();
        assertThat(time.pending()).as("no time-out is left behind").isZero();
    }

    @Test
    void cancelling_in_a_pause_ends_the_tries() {
        slave.next(unreachable(), result());
        connection.execute(PRINT, ExecutionListener.NONE).cancel(true);
        time.advance(LONGEST_BACKOFF);
        assertThat(slave.executions).isEqualTo(1);
        assertThat(time.pending()).isZero();
    }

    @Test
    void five_failures_in_a_row_open_the_circuit_and_calls_then_fail_at_once() {
        open();
        assertThat(connection.circuit()).isEqualTo(CircuitState.OPEN);
        int before = slave.executions;
        CompletableFuture<TaskResult> turnedAway = once();
        assertThat(turnedAway).isDone();
        assertFailure(turnedAway, SlaveUnreachableException.class);
        assertThat(slave.executions).isEqualTo(before);
    }

    @Test
    void four_failures_and_an_answer_leave_it_closed() {
        for (int i = 0; i < 4; i++) {
            slave.next(lost());
            once();
        }
        slave.next(result());
        once();
        slave.next(lost());
        once();
        assertThat(connection.circuit()).isEqualTo(CircuitState.CLOSED);
        assertThat(connection.suspected()).isTrue();
    }

    @Test
    void refusals_and_failed_tasks_do_not_count() {
        for (int i = 0; i < 10; i++) {
            slave.next(new UnauthorizedException("no"));
            once();
        }
        assertThat(connection.circuit()).isEqualTo(CircuitState.CLOSED);
        assertThat(connection.suspected()).isFalse();
    }

    @Test
    void an_open_circuit_lets_exactly_one_health_check_decide() {
        open();
        time.advance(Duration.ofSeconds(73)); // 60 s + 20 %, and a little
        CompletableFuture<Health> check = slave.nextHealthHangs();
        CompletableFuture<TaskResult> first = once();
        CompletableFuture<TaskResult> second = once();
        assertThat(connection.circuit()).isEqualTo(CircuitState.HALF_OPEN);
        assertThat(second).isDone();
        assertFailure(second, SlaveUnreachableException.class);
        slave.next(result());
        check.complete(RecordingSlaveService.health("abc"));
        assertThat(first.join().success()).isTrue();
        assertThat(connection.circuit()).isEqualTo(CircuitState.CLOSED);
    }

    @Test
    void a_failed_check_opens_it_again_for_as_long() {
        open();
        time.advance(Duration.ofSeconds(73));
        slave.next(unreachable());
        assertFailure(once(), SlaveUnreachableException.class);
        assertThat(connection.circuit()).isEqualTo(CircuitState.OPEN);
        int before = slave.executions;
        time.advance(Duration.ofSeconds(47)); // less than 60 s - 20 %
        assertFailure(once(), SlaveUnreachableException.class);
        assertThat(slave.executions).isEqualTo(before);
    }

    @Test
    void a_check_that_is_given_up_lets_the_next_one_decide() {
        open();
        time.advance(Duration.ofSeconds(73));
        slave.nextHealthHangs();
        once().cancel(true);
        assertThat(connection.circuit()).isEqualTo(CircuitState.OPEN);
        slave.next(health(), result());
        assertThat(once().join().success()).isTrue();
    }

    @Test
    void a_failure_from_before_the_opening_says_nothing_about_the_time_after() {
        CompletableFuture<TaskResult> late = slave.nextHangs();
        once();
        open();
        time.advance(Duration.ofSeconds(73));
        slave.next(health(), result());
        once();
        assertThat(connection.circuit()).isEqualTo(CircuitState.CLOSED);
        for (int i = 0; i < 4; i++) {
            slave.next(lost());
            once();
        }
        late.completeExceptionally(lost());
        assertThat(connection.circuit()).isEqualTo(CircuitState.CLOSED);
    }

    private CompletableFuture<TaskResult> once() {
        return connection.execute(PRINT, ExecutionListener.NONE);
    }

    private void open() {
        for (int i = 0; i < 5; i++) {
            slave.next(lost());
            assertFailure(once(), UnknownOutcomeException.class);
        }
    }

    private void assertFailure(CompletableFuture<?> future, Class<? extends D8Exception> type) {
        if (!future.isDone()) {
            time.advance(LONGEST_BACKOFF);
        }
        assertThat(future).isDone();
        assertThatThrownBy(future::join).isInstanceOf(CompletionException.class).hasCauseInstanceOf(type);
    }

    private static UnknownOutcomeException lost() {
        return new UnknownOutcomeException(Reason.CONNECTION_LOST, "lost", null);
    }

    private static SlaveUnreachableException unreachable() {
        return new SlaveUnreachableException("refused", null);
    }

    private static TaskResult result() {
        return RecordingSlaveService.echo(PRINT);
    }

    private static Health health() {
        return RecordingSlaveService.health("abc");
    }

    /** A slave whose answers the test writes down beforehand. */
    private static final class Script implements SlaveClient {
        private final Queue<Object> answers = new ArrayDeque<>();
        private final List<CompletableFuture<?>> hanging = new ArrayList<>();
        int executions;

        void next(Object... values) {
            answers.addAll(List.of(values));
        }

        CompletableFuture<TaskResult> nextHangs() {
            CompletableFuture<TaskResult> answer = new CompletableFuture<>();
            answers.add(answer);
            return answer;
        }

        CompletableFuture<Health> nextHealthHangs() {
            CompletableFuture<Health> answer = new CompletableFuture<>();
            answers.add(answer);
            return answer;
        }

        @Override
        public CompletableFuture<Health> health() {
            return answer();
        }

        @Override
        public CompletableFuture<VersionInfo> version() {
            return answer();
        }

        @Override
        public CompletableFuture<TaskResult> execute(Invocation invocation, ExecutionListener listener) {
            executions++;
            return answer();
        }

        @SuppressWarnings("unchecked") // The test writes answers of the right type.
        private <T> CompletableFuture<T> answer() {
            Object next = answers.remove();
            if (next instanceof CompletableFuture<?> future) {
                hanging.add(future);
                return (CompletableFuture<T>) future;
            }
            return next instanceof D8Exception error
                    ? CompletableFuture.failedFuture(error)
                    : CompletableFuture.completedFuture((T) next);
        }

        @Override
        public void close() {}
    }
}
