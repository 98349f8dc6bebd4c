package dev.d8.transport.netty;

import dev.d8.ExecutorInfo;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Output;
import dev.d8.TaskId;
import dev.d8.Termination;
import dev.d8.Usage;
import dev.d8.spi.Availability;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionListener.Stream;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** An executor whose tasks end in every way that a result can tell; the source says in which. */
final class OddExecutor implements ExecutorProvider, Executor {

    /** Runs until it is cancelled. */
    static final String WAIT = "wait";
    /** Fails inside the slave. */
    static final String FAIL = "fail";
    /** Does so when it is cancelled. */
    static final String FAIL_LATE = "fail late";
    /** Has every field that a result can have beside an exit code. */
    static final String EVERYTHING = "everything";
    /** Is ended by a signal. */
    static final String SIGNAL = "signal";
    /** Writes to both streams, not all of it text, and tells its progress. */
    static final String TALK = "talk";
    /** Writes more than a slave keeps for followers. */
    static final String FLOOD = "flood";

    private static final ExecutorInfo PLAIN = new ExecutorInfo(false, List.of(), Optional.empty());

    private final String method;
    private final boolean available;
    private final BlockingQueue<TaskId> waiting = new LinkedBlockingQueue<>();

    OddExecutor(String method, boolean available) {
        this.method = method;
        this.available = available;
    }

    /** Waits until a task that waits has begun. */
    void awaitWaiting(TaskId id) throws InterruptedException {
        TaskId next;
        do {
            next = waiting.poll(30, TimeUnit.SECONDS);
        } while (next != null && !next.equals(id));
        if (next == null) {
            throw new AssertionError("task " + id + " did not begin within 30 s");
        }
    }

    @Override
    public String method() {
        return method;
    }

    @Override
    public int preference() {
        return available ? 1 : 2;
    }

    @Override
    public Executor create(Options options) {
        return this;
    }

    @Override
    public Availability probe() {
        return available
                ? new Availability.Available("a test", Isolation.PROCESS, Optional.of("3.11.2 (main)"))
                : new Availability.Unavailable("it is not there");
    }

    @Override
    public Optional<String> objection(Invocation invocation) {
        return Optional.empty();
    }

    @Override
    public ExecutionOutcome execute(Invocation invocation, ExecutionListener listener) throws InterruptedException {
        listener.started();
        switch (invocation.source()) {
            case WAIT -> {
                waiting.add(invocation.taskId());
                new CountDownLatch(1).await();
            }
            case FAIL_LATE -> {
                waiting.add(invocation.taskId());
                try {
                    new CountDownLatch(1).await();
                } catch (InterruptedException e) {
                    throw new IllegalStateException("this executor is broken", e);
                }
            }
            case FAIL -> throw new IllegalStateException("this executor is broken");
            case EVERYTHING -> {
                return everything();
            }
            case SIGNAL -> {
                return outcome(Termination.signaled(9), Output.EMPTY);
            }
            case TALK -> {
                listener.output(Stream.STDOUT, bytes("one\n::d8::{\"progress\": 50, \"message\": \"half\"}\n"));
                listener.output(Stream.STDERR, new byte[] {(byte) 0xFF, '\n'});
            }
            case FLOOD -> {
                byte[] much = bytes("x".repeat(200 << 10));
                listener.output(Stream.STDOUT, much);
                listener.output(Stream.STDOUT, much);
            }
            default -> {
                return outcome(Termination.OK, Output.of(invocation.source()));
            }
        }
        return outcome(Termination.OK, Output.EMPTY);
    }

    private static ExecutionOutcome everything() {
        return new ExecutionOutcome(
                Termination.inferred(Termination.Status.MEMORY_LIMIT, 1),
                Output.of(new byte[] {(byte) 0xFF}, 1000),
                Output.EMPTY,
                Optional.of("out of memory"),
                Duration.ZERO,
                Optional.of(new Usage(Duration.ofMillis(12), Duration.ofMillis(8), Duration.ofMillis(2), 9_121_792)),
                new ExecutorInfo(true, List.of("session", "rlimits"), Optional.of("3.11.2")),
                2);
    }

    private static ExecutionOutcome outcome(Termination end, Output stdout) {
        return new ExecutionOutcome(
                end, stdout, Output.EMPTY, Optional.empty(), Duration.ZERO, Optional.empty(), PLAIN, 0);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }
}
