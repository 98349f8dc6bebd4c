package dev.d8.testkit;

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
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** An executor named {@code gated} that runs nothing: each task waits until the test lets one go, and prints 55. Thread-safe. */
public final class GatedExecutor implements ExecutorProvider, Executor {

    private final Semaphore gate = new Semaphore(0);
    private final AtomicInteger started = new AtomicInteger();
    private final BlockingQueue<Invocation> begun = new LinkedBlockingQueue<>();
    private final BlockingQueue<Invocation> interrupted = new LinkedBlockingQueue<>();
    private volatile Output output = Output.of("55\n");

    /** Creates one that lets nobody go. */
    public GatedExecutor() {}

    /** Lets so many tasks go, those that wait and those to come. */
    public void letGo(int tasks) {
        gate.release(tasks);
    }

    /** Sets what tasks print from now on. */
    public void print(Output value) {
        output = value;
    }

    /** Returns how many tasks have started. */
    public int started() {
        return started.get();
    }

    /**
     * Waits until another task has started.
     *
     * @throws AssertionError if none does within 30 s
     */
    public Invocation awaitStarted() throws InterruptedException {
        return take(begun, "started");
    }

    /**
     * Waits until another task has been interrupted.
     *
     * @throws AssertionError if none is within 30 s
     */
    public Invocation awaitInterrupted() throws InterruptedException {
        return take(interrupted, "was interrupted");
    }

    private static Invocation take(BlockingQueue<Invocation> from, String what) throws InterruptedException {
        Invocation next = from.poll(RecordingSlaveService.PATIENCE_SECONDS, TimeUnit.SECONDS);
        if (next == null) {
            throw new AssertionError("no task " + what + " within " + RecordingSlaveService.PATIENCE_SECONDS + " s");
        }
        return next;
    }

    @Override
    public String method() {
        return "gated";
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
        return new Availability.Available("a gate", Isolation.NONE, Optional.empty());
    }

    @Override
    public Optional<String> objection(Invocation invocation) {
        return Optional.empty();
    }

    @Override
    public ExecutionOutcome execute(Invocation invocation, ExecutionListener listener) throws InterruptedException {
        started.incrementAndGet();
        begun.add(invocation);
        try {
            gate.acquire();
        } catch (InterruptedException e) {
            interrupted.add(invocation);
            throw e;
        }
        return new ExecutionOutcome(
                Termination.OK,
                output,
                Output.EMPTY,
                Optional.empty(),
                Duration.ZERO,
                Optional.empty(),
                new ExecutorInfo(false, List.of(), Optional.empty()),
                0);
    }
}
