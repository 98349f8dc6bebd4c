package dev.d8.transport.netty;

import dev.d8.ExecutorInfo;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Output;
import dev.d8.Termination;
import dev.d8.spi.Availability;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;

/** An executor whose tasks, one at a time, write what the test says, when it says so. */
final class TalkingExecutor implements ExecutorProvider, Executor {

    /** Nothing at all: the task ends. */
    private static final byte[] END = new byte[0];

    private final BlockingQueue<byte[]> toSay = new LinkedBlockingQueue<>();
    private final Semaphore interrupted = new Semaphore(0);

    void say(String text) {
        toSay.add(text.getBytes(StandardCharsets.UTF_8));
    }

    void say(byte[] bytes) {
        toSay.add(bytes);
    }

    /** Waits until a task has been ended from outside. */
    void awaitInterrupted() throws InterruptedException {
        if (!interrupted.tryAcquire(30, TimeUnit.SECONDS)) {
            throw new AssertionError("no task was ended within 30 s");
        }
    }

    void end() {
        toSay.add(END);
    }

    @Override
    public String method() {
        return "talking";
    }

    @Override
    public int preference() {
        return 1;
    }

    @Override
    public Executor create(Options options) {
        return this;
    }

    @Override
    public Availability probe() {
        return new Availability.Available("a test", Isolation.NONE, Optional.empty());
    }

    @Override
    public Optional<String> objection(Invocation invocation) {
        return Optional.empty();
    }

    private byte[] take() throws InterruptedException {
        try {
            return toSay.take();
        } catch (InterruptedException e) {
            interrupted.release();
            throw e;
        }
    }

    @Override
    public ExecutionOutcome execute(Invocation invocation, ExecutionListener listener) throws InterruptedException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        listener.started();
        for (byte[] next = take(); next != END; next = take()) {
            if (all.size() < 1 << 20) {
                all.writeBytes(next);
            }
            listener.output(ExecutionListener.Stream.STDOUT, next);
        }
        return new ExecutionOutcome(
                Termination.OK,
                Output.of(all.toByteArray()),
                Output.EMPTY,
                Optional.empty(),
                Duration.ZERO,
                Optional.empty(),
                new ExecutorInfo(false, List.of(), Optional.empty()),
                0);
    }
}
