package dev.d8.slave;

import dev.d8.D8Exception;
import dev.d8.ExecutorInfo;
import dev.d8.InvalidTaskException;
import dev.d8.Invocation;
import dev.d8.NoExecutorException;
import dev.d8.Output;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveRefusedException.Reason;
import dev.d8.Slots;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.Timing;
import dev.d8.spi.Caller;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionListener.Stream;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Runs a slave's tasks: so many at a time, so many waiting, each on the best executor. Thread-safe. */
final class TaskRunner {

    private static final Logger LOG = LoggerFactory.getLogger(TaskRunner.class);

    /** How long a caller that was turned away should wait; a slot may be free sooner, but nobody can know. */
    private static final Duration RETRY_AFTER = Duration.ofSeconds(1);

    /** How long no task has come when a stop goes on: who has sent one lately may have sent the next one already. */
    private static final Duration CALM = Duration.ofMillis(500);

    /** How often that is waited for: a caller that does not listen must not hold up a stop. */
    private static final int MOST_CALMS = 10;

    /** How long the end of a cancelled task may take: the executor's grace and sweep. */
    private static final Duration CANCEL_TIME = Duration.ofSeconds(20);

    private final ExecutorRanking ranking;
    private final SlaveMetrics metrics;
    private final AuditLog audit;
    private final TimeSource time;
    private final String commit;
    private final Duration maxTimeout;
    private final long maxOutputBytes;
    private final Workers workers;
    private final ExecutorService listenerThreads;
    private final FairQueue<Caller, Run> queue = new FairQueue<>();
    private final Set<Run> runs = ConcurrentHashMap.newKeySet();

    /** How many tasks may run and wait, and do. Not the pool's to count: a thread that is done with one is not free at once. */
    private final int capacity;

    private final AtomicInteger taken = new AtomicInteger();
    private final CompletableFuture<Void> idle = new CompletableFuture<>();
    private volatile boolean draining;
    private volatile boolean paused;
    private volatile long lastArrival;

    TaskRunner(
            ExecutorRanking ranking,
            SlaveMetrics metrics,
            AuditLog audit,
            TimeSource time,
            String commit,
            Duration maxTimeout,
            long maxOutputBytes,
            int maxConcurrent,
            int queueCapacity) {
        this.ranking = ranking;
        this.metrics = metrics;
        this.audit = audit;
        this.time = time;
        this.commit = commit;
        this.maxTimeout = maxTimeout;
        this.maxOutputBytes = maxOutputBytes;
        this.capacity = maxConcurrent + queueCapacity;
        this.lastArrival = time.nanoTime() - CALM.toNanos();
        workers = new Workers(maxConcurrent, queue::poll, () -> queue.size() > 0);
        metrics.watch(workers::busy, queue::size);
        listenerThreads = Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task, "d8-listener");
            thread.setDaemon(true);
            return thread;
        });
    }

    /** Runs a task; see {@link dev.d8.spi.SlaveService#execute}. */
    CompletableFuture<TaskResult> execute(Caller caller, Invocation invocation, ExecutionListener listener) {
        Run run = accept(caller, invocation, listener);
        begin(run);
        return run.result;
    }

    /** Takes a task, which waits for {@link #begin}; its result fails at once if it is turned away. */
    Run accept(Caller caller, Invocation invocation, ExecutionListener listener) {
        Run run = new Run(caller, invocation, listener);
        Optional<D8Exception> objection = objection(invocation);
        if (objection.isPresent()) {
            return refused(run, objection.get());
        }
        if (taken.getAndIncrement() >= capacity) {
            taken.decrementAndGet();
            return refused(
                    run,
                    new SlaveRefusedException(
                            Reason.QUEUE_FULL, RETRY_AFTER, "queue full: " + runs.size() + " tasks run or wait"));
        }
        runs.add(run);
        run.result.whenComplete((result, error) -> {
            forget(run);
            if (run.result.isCancelled()) {
                run.cancel();
            }
            count(run, result, error);
        });
        audit.accepted(caller, invocation);
        return run;
    }

    /** Lets a task that has been taken run as soon as there is a slot, unless it is over already. */
    void begin(Run run) {
        if (run.result.isDone()) {
            return;
        }
        try {
            queue.add(run.caller, run);
            workers.wake();
        } catch (RejectedExecutionException e) {
            queue.remove(run.caller, run);
            run.result.completeExceptionally(draining());
        }
    }

    private Run refused(Run run, D8Exception why) {
        refused(run.caller, run.invocation.taskId(), why);
        run.result.completeExceptionally(why);
        return run;
    }

    /** Notes that a task is turned away. */
    void refused(Caller caller, TaskId id, D8Exception why) {
        metrics.refused(why);
        audit.refused(caller, id, why);
    }

    private void count(Run run, @Nullable TaskResult result, @Nullable Throwable error) {
        if (result != null) {
            metrics.over(result);
            audit.finished(result);
        } else if (error instanceof D8Exception why) {
            refused(run.caller, run.invocation.taskId(), why);
        } else if (error != null) {
            audit.finished(run.invocation.taskId(), error);
        }
    }

    private Optional<D8Exception> objection(Invocation invocation) {
        lastArrival = time.nanoTime();
        if (isDraining()) {
            return Optional.of(draining());
        }
        if (invocation.timeout().compareTo(maxTimeout) > 0) {
            return Optional.of(new InvalidTaskException(
                    "timeout",
                    invocation.timeout().toMillis() / 1000.0 + " (expected: at most " + maxTimeout.toSeconds()
                            + " s on this slave)"));
        }
        long output = invocation.limits().outputBytes().orElse(0);
        if (output > maxOutputBytes) {
            return Optional.of(new InvalidTaskException(
                    "limits.output_bytes", output + " (expected: at most " + maxOutputBytes + " on this slave)"));
        }
        try {
            // Told at once: what no executor can run should not wait for a slot first.
            ranking.choose(invocation);
        } catch (NoExecutorException e) {
            return Optional.of(e);
        }
        return Optional.empty();
    }

    static SlaveRefusedException draining() {
        return new SlaveRefusedException(Reason.DRAINING, RETRY_AFTER, "the slave is stopping");
    }

    /** Returns how many tasks wait for a slot. */
    int queued() {
        return queue.size();
    }

    /** Returns how many tasks can run at one time, and how many more could start now. */
    Slots slots() {
        int total = workers.most();
        return new Slots(total, Math.max(0, total - runs.size()));
    }

    boolean isDraining() {
        return draining || paused;
    }

    /**
     * Takes nothing new and waits for what runs and waits, and then for callers to stay away: a task that is on its way
     * when the connection closes is one of which nobody knows whether it started.
     *
     * @return whether all of it was over in time
     */
    boolean drain(Duration patience) throws InterruptedException {
        draining = true;
        tellIfIdle();
        long began = time.nanoTime();
        try {
            idle.get(patience.toNanos(), TimeUnit.NANOSECONDS);
            awaitCalm(patience.minus(time.since(began)));
            return true;
        } catch (TimeoutException e) {
            return runs.isEmpty();
        } catch (ExecutionException e) {
            throw new IllegalStateException(e); // It never fails.
        }
    }

    /**
     * Takes nothing new from now on, if nothing runs or waits.
     *
     * @return whether that is so
     */
    boolean pauseIfIdle() {
        if (isDraining() || !taken.compareAndSet(0, capacity)) { // Every place is taken, so nothing slips in.
            return false;
        }
        paused = true;
        return true;
    }

    /** Takes tasks again, after a pause. */
    void resume() {
        paused = false;
        taken.addAndGet(-capacity);
    }

    private void awaitCalm(Duration patience) throws InterruptedException, ExecutionException, TimeoutException {
        for (int i = 0; i < MOST_CALMS; i++) {
            Duration rest = CALM.minus(time.since(lastArrival));
            if (rest.isNegative() || rest.isZero()) {
                return;
            }
            CompletableFuture<Void> calm = new CompletableFuture<>();
            time.schedule(rest, () -> calm.complete(null));
            calm.get(patience.toNanos(), TimeUnit.NANOSECONDS);
        }
    }

    private void forget(Run run) {
        if (runs.remove(run)) {
            taken.decrementAndGet();
        }
        tellIfIdle();
    }

    private void tellIfIdle() {
        if (draining && runs.isEmpty()) {
            idle.complete(null);
        }
    }

    /** Returns how many tasks run or wait. */
    int unfinished() {
        return runs.size();
    }

    /** Takes nothing new, ends what runs and answers it as cancelled. Blocks until all of it has ended. */
    void close() {
        draining = true;
        workers.stop();
        // Who waits first: else one would start in the place of one that was ended.
        runs.stream().filter(Run::waiting).forEach(Run::stop);
        runs.forEach(Run::stop);
        try {
            if (!workers.awaitEnd(CANCEL_TIME)) {
                LOG.warn("{} tasks do not end; leaving them behind", runs.size());
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        listenerThreads.shutdownNow();
    }

    private enum State {
        QUEUED,
        RUNNING,
        OVER
    }

    /** One task, from its arrival to its end. */
    final class Run implements Runnable {
        final CompletableFuture<TaskResult> result = new CompletableFuture<>();
        private final Caller caller;
        private final Invocation invocation;
        private final ExecutionListener listener;
        private final long arrived = time.nanoTime();
        private final Object lock = new Object();
        private State state = State.QUEUED;
        private @Nullable Thread thread;
        private String why = "cancelled: the slave is stopping";

        Run(Caller caller, Invocation invocation, ExecutionListener listener) {
            this.caller = caller;
            this.invocation = invocation;
            this.listener = listener;
        }

        /** The caller is gone: nobody waits for an answer. */
        void cancel() {
            synchronized (lock) {
                if (state == State.QUEUED) {
                    state = State.OVER;
                    queue.remove(caller, this);
                } else if (thread != null) {
                    thread.interrupt();
                }
            }
        }

        /** The slave is stopping: the caller still gets an answer, once the task has ended. */
        void stop() {
            boolean waiting;
            synchronized (lock) {
                waiting = state == State.QUEUED;
                cancel();
            }
            if (waiting) {
                result.completeExceptionally(draining());
            }
        }

        /** Ends the task for a reason that its result tells. */
        void end(String reason) {
            boolean waiting;
            synchronized (lock) {
                why = reason;
                waiting = state == State.QUEUED;
                cancel();
            }
            if (waiting) {
                result.complete(cancelled(time.since(arrived)));
            }
        }

        /** Returns whether it waits for a slot. */
        boolean waiting() {
            synchronized (lock) {
                return state == State.QUEUED;
            }
        }

        /** Runs it, unless it is over already. */
        @Override
        public void run() {
            synchronized (lock) {
                if (state == State.OVER) {
                    return;
                }
                state = State.RUNNING;
                thread = Thread.currentThread();
            }
            TaskResult outcome = null;
            Throwable failure = null;
            try {
                outcome = attempt(time.since(arrived));
            } catch (InterruptedException e) {
                outcome = cancelled(time.since(arrived));
            } catch (D8Exception e) {
                failure = e;
            } catch (RuntimeException | Error e) {
                LOG.error("task {}: its executor failed", invocation.taskId(), e);
                failure = e;
            } finally {
                synchronized (lock) {
                    state = State.OVER;
                    thread = null;
                    // A cancel that came at the last moment is meant for this task, not for the next on this thread.
                    Thread.interrupted();
                }
            }
            // Before the caller hears of it: whoever asks for free slots then finds this one free.
            forget(this);
            if (outcome != null) {
                result.complete(outcome);
            } else {
                result.completeExceptionally(failure);
            }
        }

        private TaskResult attempt(Duration queued) throws InterruptedException {
            Map<String, String> tried = new HashMap<>();
            while (true) {
                ExecutorRanking.Choice choice = ranking.choose(invocation, tried);
                long began = time.nanoTime();
                ExecutionOutcome outcome = execute(choice.executor());
                if (outcome.termination().status() == Status.START_FAILED) {
                    // Not a line of it ran. Where the executor itself has broken down, the next best one may take it.
                    Optional<String> gone = ranking.recheck(choice.method());
                    if (gone.isPresent()) {
                        LOG.warn(
                                "task {}: {} could not start it: {}", invocation.taskId(), choice.method(), gone.get());
                        tried.put(choice.method(), gone.get());
                        continue;
                    }
                }
                return result(choice, outcome, queued, time.since(began));
            }
        }

        private ExecutionOutcome execute(Executor executor) throws InterruptedException {
            if (listener == ExecutionListener.NONE) {
                return executor.execute(invocation, listener);
            }
            if (listener instanceof TaskEvents events) { // Which never blocks, so nothing has to stand between.
                ExecutionOutcome outcome = executor.execute(invocation, events);
                lastLine(outcome).ifPresent(line -> events.output(Stream.STDERR, line));
                events.outputEnds();
                return outcome;
            }
            ListenerRelay relay =
                    new ListenerRelay(invocation.taskId(), listener, listenerThreads, time, ListenerRelay.PATIENCE);
            ExecutionOutcome outcome = executor.execute(invocation, relay);
            lastLine(outcome).ifPresent(line -> relay.output(Stream.STDERR, line));
            relay.finish();
            return outcome;
        }

        private TaskResult result(
                ExecutorRanking.Choice choice, ExecutionOutcome outcome, Duration queued, Duration total) {
            Duration run = total.minus(outcome.startup());
            return new TaskResult(
                    invocation.taskId(),
                    choice.method(),
                    outcome.termination(),
                    ProgressFilter.without(outcome.stdout()),
                    stderr(outcome),
                    Optional.of(commit),
                    outcome.usage(),
                    Optional.of(new Timing(queued, outcome.startup(), run)),
                    Optional.of(outcome.executor()),
                    choice.rejected(),
                    outcome.leftoverProcessesKilled());
        }

        /** What the task wrote, and where D8 had to step in, why. */
        private Output stderr(ExecutionOutcome outcome) {
            return outcome.message()
                    .map(message -> outcome.stderr().withLine("d8: " + message))
                    .orElse(outcome.stderr());
        }

        private Optional<byte[]> lastLine(ExecutionOutcome outcome) {
            byte[] all = stderr(outcome).bytes();
            int begin = outcome.stderr().bytes().length;
            return all.length == begin ? Optional.empty() : Optional.of(Arrays.copyOfRange(all, begin, all.length));
        }

        private TaskResult cancelled(Duration queued) {
            return new TaskResult(
                    invocation.taskId(),
                    "",
                    Termination.of(Status.CANCELLED),
                    Output.EMPTY,
                    Output.of("d8: " + why + "\n"),
                    Optional.of(commit),
                    Optional.empty(),
                    Optional.of(new Timing(queued, Duration.ZERO, Duration.ZERO)),
                    Optional.of(new ExecutorInfo(false, List.of(), Optional.empty())),
                    List.of(),
                    0);
        }
    }
}
