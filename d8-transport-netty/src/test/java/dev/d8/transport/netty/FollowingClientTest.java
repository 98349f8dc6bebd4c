package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.Invocation;
import dev.d8.Output;
import dev.d8.TaskEvent;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.TaskState;
import dev.d8.UnknownOutcomeException;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.Options;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.Transport;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** A client that listens to its task, and one that hands a task over and comes back for it. */
@Timeout(60)
@ExtendWith(NoLeaks.class)
class FollowingClientTest {

    private final TalkingExecutor task = new TalkingExecutor();
    private final Transport transport =
            new NettyTransportProvider().create(Options.of(Map.of("max_answer", "3000000")));
    private final SlaveServer slave = SlaveServer.builder()
            .port(0)
            .token(Slave.TOKEN)
            .transport(transport)
            .executor(task)
            .executors(List.of("talking"))
            .maxConcurrent(1)
            .start();
    private final SlaveClient client = transport.connect(slave.uri(), new Credentials(Slave.TOKEN));
    private final Invocation invocation = Invocation.python("print(55)").build();
    private final BlockingQueue<String> heard = new LinkedBlockingQueue<>();

    private final ExecutionListener listener = new ExecutionListener() {
        @Override
        public void started() {
            heard.add("started");
        }

        @Override
        public void output(Stream stream, byte[] chunk) {
            heard.add(stream + " " + new String(chunk, StandardCharsets.UTF_8));
        }

        @Override
        public void progress(double percent, String message) {
            heard.add(percent + " " + message);
        }
    };

    @AfterEach
    void close() {
        slave.close();
        transport.close();
    }

    private String next() throws InterruptedException {
        String next = heard.poll(30, TimeUnit.SECONDS);
        return next == null ? "nothing within 30 s" : next;
    }

    private static <T> T get(CompletableFuture<T> future) throws Exception {
        return future.get(30, TimeUnit.SECONDS);
    }

    @Test
    void a_listener_hears_the_task_while_it_runs_and_the_result_is_whole() throws Exception {
        CompletableFuture<TaskResult> result = client.execute(invocation, listener);
        assertThat(next()).isEqualTo("started");
        task.say("one\n");
        assertThat(next()).isEqualTo("STDOUT one\n");
        task.say("::d8::{\"progress\": 50, \"message\": \"half\"}\n");
        assertThat(next()).isEqualTo("50.0 half");
        task.say(new byte[] {'\n', (byte) 0xFF});
        assertThat(next()).startsWith("STDOUT \n");
        assertThat(result).isNotDone();
        task.end();
        assertThat(get(result).stdout()).isEqualTo(Output.of(new byte[] {'o', 'n', 'e', '\n', '\n', (byte) 0xFF}));
        assertThat(get(result).success()).isTrue();
    }

    @Test
    void a_listener_that_takes_its_time_hears_everything_that_it_is_in_time_for() throws Exception {
        CountDownLatch go = new CountDownLatch(1);
        CompletableFuture<TaskResult> result = client.execute(invocation, new ExecutionListener() {
            @Override
            public void started() {
                heard.add("started");
                try {
                    assertThat(go.await(30, TimeUnit.SECONDS)).isTrue();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            }
        });
        assertThat(next()).isEqualTo("started");
        byte[] block = "x".repeat(64 << 10).getBytes(StandardCharsets.UTF_8);
        for (int i = 0; i < 8; i++) {
            task.say(block);
        }
        task.end();
        assertThat(get(client.find(invocation.taskId(), Duration.ofSeconds(30)))
                        .orElseThrow()
                        .phase())
                .isEqualTo(TaskState.Phase.DONE);
        assertThat(result).isNotDone();
        go.countDown();
        assertThat(get(result).stdout().bytes()).hasSize(8 * block.length);
    }

    @Test
    void a_listener_that_fails_hears_no_more_and_the_task_goes_on() throws Exception {
        task.say("one\n");
        task.end();
        TaskResult result = get(client.execute(invocation, new ExecutionListener() {
            @Override
            public void started() {
                throw new IllegalStateException("a listener's own fault");
            }
        }));
        assertThat(result.output()).isEqualTo("one\n");
    }

    @Test
    void giving_up_ends_the_task() throws Exception {
        CompletableFuture<TaskResult> result = client.execute(invocation, listener);
        assertThat(next()).isEqualTo("started");
        result.cancel(true);
        task.awaitInterrupted();
    }

    @Test
    void a_slave_that_goes_leaves_the_outcome_unknown() throws Exception {
        CompletableFuture<TaskResult> result = client.execute(invocation, listener);
        assertThat(next()).isEqualTo("started");
        client.close();
        assertThatThrownBy(() -> get(result)).hasCauseInstanceOf(UnknownOutcomeException.class);
    }

    @Test
    void a_task_is_handed_over_found_followed_and_cancelled_by_its_id() throws Exception {
        assertThat(get(client.find(invocation.taskId(), Duration.ZERO))).isEmpty();
        assertThat(get(client.follow(invocation.taskId(), 0, event -> {}))).isEmpty();
        assertThat(get(client.submit(invocation)).phase()).isNotEqualTo(TaskState.Phase.DONE);
        BlockingQueue<TaskEvent> events = new LinkedBlockingQueue<>();
        CompletableFuture<Optional<TaskEvent>> last = client.follow(invocation.taskId(), 0, events::add);
        assertThat(events.poll(30, TimeUnit.SECONDS)).isEqualTo(new TaskEvent.Started());
        assertThat(get(client.find(invocation.taskId(), Duration.ZERO))
                        .orElseThrow()
                        .phase())
                .isEqualTo(TaskState.Phase.RUNNING);
        assertThat(get(client.cancel(invocation.taskId())).taskId()).isEqualTo(invocation.taskId());
        task.awaitInterrupted();
        TaskState state =
                get(client.find(invocation.taskId(), Duration.ofSeconds(30))).orElseThrow();
        assertThat(state.result().orElseThrow().success()).isFalse();
        assertThat(get(last).orElseThrow()).isInstanceOf(TaskEvent.Ended.class);
        assertThat(get(client.cancel(TaskId.random())).phase()).isEqualTo(TaskState.Phase.DONE);
    }

    @Test
    void following_no_longer_leaves_the_task_alone() throws Exception {
        get(client.submit(invocation));
        BlockingQueue<TaskEvent> events = new LinkedBlockingQueue<>();
        CompletableFuture<Optional<TaskEvent>> last = client.follow(invocation.taskId(), 0, events::add);
        assertThat(events.poll(30, TimeUnit.SECONDS)).isEqualTo(new TaskEvent.Started());
        last.cancel(true);
        task.end();
        assertThat(get(client.find(invocation.taskId(), Duration.ofSeconds(30)))
                        .orElseThrow()
                        .result()
                        .orElseThrow()
                        .success())
                .isTrue();
    }
}
