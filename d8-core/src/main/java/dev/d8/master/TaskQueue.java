package dev.d8.master;

import dev.d8.D8Exception;
import dev.d8.Invocation;
import dev.d8.MasterClosedException;
import dev.d8.NotRecordedException;
import dev.d8.QueueFullException;
import dev.d8.Task;
import dev.d8.TaskId;
import dev.d8.TaskIdTakenException;
import dev.d8.UnknownOutcomeException;
import dev.d8.internal.TaskJson;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The tasks that a master has accepted, until each has ended. A task waits here until a slave that can run it has a free slot;
 * the highest {@linkplain Task#priority() priority} goes first, then the eldest. Thread-safe.
 *
 * <p>The queue has a bound. Where it is full, {@link #submit} fails, {@link #submitBlocking} waits and {@link #submitAsync}
 * tells when there is a place. With a state directory a task has been written down when it is accepted, which takes
 * {@code submit} some milliseconds; without one nothing but {@code submitBlocking} blocks.
 *
 * <p>A task that was accepted before, by its id, is that task: it is not run again. Without a state directory that holds as long as it
 * is not over.
 */
public final class TaskQueue {

    private static final Logger LOG = LoggerFactory.getLogger(SlaveManager.class);

    private final Function<Task, Invocation> prepare;
    private final TaskStore store;
    private final InstantSource clock;
    private final Executor callbacks;
    private final MasterMetrics metrics;
    private final int capacity;
    private final Gate gate;
    private final AtomicLong numbers;
    private final ConcurrentHashMap<TaskId, Submission> known = new ConcurrentHashMap<>();

    private final Dispatcher dispatcher;
    private volatile boolean closed;

    TaskQueue(
            Fleet fleet,
            Function<Task, Invocation> prepare,
            TaskStore store,
            ConnectionPolicy policy,
            TimeSource time,
            InstantSource clock,
            Executor callbacks,
            MasterMetrics metrics,
            int capacity) {
        this.prepare = prepare;
        this.store = store;
        this.clock = clock;
        this.callbacks = callbacks;
        this.metrics = metrics;
        this.capacity = capacity;
        gate = new Gate(capacity);
        numbers = new AtomicLong(store.firstNumber());
        dispatcher = new Dispatcher(fleet, store, policy, time, callbacks, metrics, gate::leave, this::over);
        metrics.watch(this);
        recover();
    }

    /**
     * Accepts a task.
     *
     * @throws QueueFullException if there is no place for it now
     * @throws NotRecordedException if it could not be written down
     * @throws dev.d8.InvalidTaskException if it is malformed
     * @throws TaskIdTakenException if its id is known from another task
     */
    public Submission submit(Task task) {
        return submit(task, ExecutionListener.NONE);
    }

    /**
     * Accepts a task, as {@link #submit(Task)}.
     *
     * @param listener hears the task while it runs, as far as the slave tells of it; on a thread of the transport's, so it must not
     *     block
     */
    public Submission submit(Task task, ExecutionListener listener) {
        Submission mine = prepared(task, listener);
        Submission first = claim(mine);
        if (first != mine) {
            return first;
        }
        if (!gate.tryEnter(1)) {
            throw refused(List.of(mine));
        }
        return now(accept(List.of(mine))).get(0);
    }

    /**
     * Accepts several tasks, all or none, in their order. Those that were accepted before are as they are.
     *
     * @throws QueueFullException if there are not places for all of them now
     */
    public List<Submission> submitAll(Collection<Task> tasks) {
        List<Submission> all = new ArrayList<>();
        List<Submission> fresh = new ArrayList<>();
        try {
            for (Task task : tasks) {
                Submission mine = prepared(task, ExecutionListener.NONE);
                Submission first = claim(mine);
                all.add(first);
                if (first == mine) {
                    fresh.add(mine);
                }
            }
        } catch (RuntimeException e) {
            fresh.forEach(one -> withdraw(one, e));
            throw e;
        }
        if (fresh.isEmpty()) {
            return all;
        }
        if (!gate.tryEnter(fresh.size())) {
            throw refused(fresh);
        }
        now(accept(fresh));
        return all;
    }

    /**
     * Accepts a task, and waits for a place if there is none. Not for callbacks: on the thread that is to give it a place it would
     * wait for ever.
     *
     * @throws InterruptedException if the thread was interrupted while it waited; the task is not accepted then
     */
    public Submission submitBlocking(Task task) throws InterruptedException {
        Submission mine = prepared(task, ExecutionListener.NONE);
        Submission first = claim(mine);
        if (first != mine) {
            return first;
        }
        CompletableFuture<Void> place = gate.enter();
        try {
            place.get();
        } catch (InterruptedException e) {
            if (place.cancel(true)) {
                withdraw(mine, new CancellationException("its caller no longer waits for a place"));
                throw e;
            }
            Thread.currentThread().interrupt(); // There was a place after all.
        } catch (ExecutionException e) {
            D8Exception why = RobustConnection.infrastructure(e.getCause() == null ? e : e.getCause());
            withdraw(mine, why);
            throw why;
        }
        return now(accept(List.of(mine))).get(0);
    }

    /**
     * Accepts a task as soon as there is a place.
     *
     * @return the task once it is accepted: who waits for that before the next one never holds more than one beside the queue.
     *     Cancelling it before gives up the wait
     */
    public CompletableFuture<Submission> submitAsync(Task task) {
        Submission mine;
        Submission first;
        try {
            mine = prepared(task, ExecutionListener.NONE);
            first = claim(mine);
        } catch (D8Exception e) {
            return CompletableFuture.failedFuture(e);
        }
        if (first != mine) {
            return CompletableFuture.completedFuture(first);
        }
        CompletableFuture<Void> place = gate.enter();
        CompletableFuture<Submission> accepted = new CompletableFuture<>();
        accepted.whenComplete((value, error) -> {
            if (accepted.isCancelled() && place.cancel(true)) {
                withdraw(mine, new CancellationException("its caller no longer waits for a place"));
            }
        });
        place.thenCompose(entered -> accept(List.of(mine)))
                .whenComplete((all, error) -> tell(() -> {
                    if (error != null) {
                        withdraw(mine, RobustConnection.unwrap(error));
                        accepted.completeExceptionally(RobustConnection.unwrap(error));
                    } else if (!accepted.complete(mine)) {
                        mine.cancel();
                    }
                }));
        return accepted;
    }

    /** Returns a task that is not over or, with a state directory, whose end is kept: 10,000 of them, for 24 hours. */
    public Optional<Submission> find(TaskId id) {
        Submission here = known.get(id);
        return here != null ? Optional.of(here) : store.finished(id).map(this::finished);
    }

    /** Returns the tasks that are not over, those of an earlier master on the same state directory, too, the eldest first. */
    public List<Submission> unfinished() {
        return known.values().stream()
                .sorted(Comparator.comparingLong(one -> one.number))
                .toList();
    }

    /** Returns how many tasks wait for a slave. */
    public int waiting() {
        return dispatcher.waiting();
    }

    /** Returns how many places there are for tasks that wait. */
    public int capacity() {
        return capacity;
    }

    private Submission prepared(Task task, ExecutionListener listener) {
        if (closed) {
            throw new MasterClosedException(true, "the slave manager is closed");
        }
        return new Submission(numbers.getAndIncrement(), task, prepare.apply(task), listener, dispatcher::cancel);
    }

    /** Returns the task of this id that was there first, which may be this one. */
    private Submission claim(Submission mine) {
        Submission first = known.putIfAbsent(mine.id(), mine);
        if (first == null) {
            try {
                first = store.finished(mine.id()).map(this::finished).orElse(null);
            } catch (RuntimeException e) {
                withdraw(mine, e);
                throw e;
            }
            if (first == null) {
                return mine;
            }
            Submission over = first;
            over.end.whenComplete((result, error) -> RobustConnection.complete(mine.end, result, error));
            known.remove(mine.id(), mine);
        }
        if (!Arrays.equals(TaskJson.canonical(first.task), TaskJson.canonical(mine.task))) {
            throw new TaskIdTakenException(mine.id());
        }
        return first;
    }

    /** It is not accepted after all; whoever submitted the same task meanwhile hears why. */
    private void withdraw(Submission mine, Throwable why) {
        known.remove(mine.id(), mine);
        mine.phase = Submission.Phase.DONE;
        mine.end.completeExceptionally(why);
    }

    private Submission finished(TaskStore.Kept kept) {
        Submission done = new Submission(
                kept.number(), kept.task(), Invocation.python("").build(), ExecutionListener.NONE, one -> {});
        done.phase = Submission.Phase.DONE;
        done.slave = kept.sentTo().map(TaskStore.Attempt::slave).orElse(null);
        complete(done, kept.end().orElseThrow());
        return done;
    }

    private QueueFullException refused(List<Submission> tasks) {
        metrics.queueFull();
        QueueFullException full = new QueueFullException("the queue is full: " + capacity + " tasks wait for a slave"
                + (tasks.size() > 1 ? ", and these are " + tasks.size() + " more" : "")
                + "; wait for results, or use submitBlocking or submitAsync");
        tasks.forEach(one -> withdraw(one, full));
        return full;
    }

    private CompletableFuture<List<Submission>> accept(List<Submission> tasks) {
        CompletableFuture<Void> written;
        try {
            written = store.accepted(tasks);
        } catch (RuntimeException e) { // It could not be read again.
            written = CompletableFuture.failedFuture(e);
        }
        return written.handle((kept, error) -> {
            if (error != null) {
                tasks.forEach(one -> {
                    withdraw(one, RobustConnection.unwrap(error));
                    gate.leave();
                });
                throw new CompletionException(RobustConnection.unwrap(error));
            }
            dispatcher.add(tasks);
            if (closed) {
                abandon();
            }
            return tasks;
        });
    }

    private static <T> T now(CompletableFuture<T> future) {
        try {
            return future.join();
        } catch (CompletionException e) {
            throw RobustConnection.infrastructure(e);
        }
    }

    private void recover() {
        for (TaskStore.Kept kept : store.unfinished()) {
            Invocation invocation;
            try {
                invocation = prepare.apply(kept.task());
            } catch (D8Exception e) { // A task type that is no longer there, say; it may come back.
                LOG.error("{} stays in the state directory: {}", kept.task(), e.getMessage());
                continue;
            }
            Submission task =
                    new Submission(kept.number(), kept.task(), invocation, ExecutionListener.NONE, dispatcher::cancel);
            if (kept.losses() > 0) {
                task.lost = new UnknownOutcomeException(
                        UnknownOutcomeException.Reason.CONNECTION_LOST,
                        "a slave was lost under task " + task.id() + " before the master was restarted: "
                                + kept.without(),
                        null);
            }
            kept.without().forEach(slave -> task.turnedAway.put(slave, "it turned the task away before"));
            task.losses = kept.losses();
            known.put(task.id(), task);
            Duration passed = Duration.between(kept.acceptedAt(), clock.instant());
            Duration left = kept.task()
                    .deadline()
                    .map(deadline -> deadline.minus(passed.isNegative() ? Duration.ZERO : passed))
                    .orElse(null);
            dispatcher.takeOver(
                    task,
                    left != null && left.isNegative() ? Duration.ZERO : left,
                    kept.sentTo().orElse(null));
        }
    }

    private void over(Submission task, TaskStore.Outcome outcome) {
        known.remove(task.id(), task);
        if (!task.endUnwatched(() -> complete(task, outcome))) {
            tell(() -> complete(task, outcome));
        }
    }

    private static void complete(Submission task, TaskStore.Outcome outcome) {
        if (outcome.result() != null) {
            task.end.complete(outcome.result());
        } else {
            task.end.completeExceptionally(outcome.error() != null ? outcome.error() : new CancellationException());
        }
    }

    private void tell(Runnable news) {
        try {
            callbacks.execute(news);
        } catch (RejectedExecutionException e) {
            news.run(); // Closed meanwhile: who waits is told all the same.
        }
    }

    /** Takes no more tasks and lets go of those that are not over: with a state directory the next master goes on with them. */
    void close() {
        closed = true;
        dispatcher.close();
        gate.close(new MasterClosedException(true, "the slave manager is closed"));
    }

    /** Tells who waits for a task that the master is gone. The slaves have been let go. */
    void abandon() {
        store.close();
        boolean kept = store != TaskStore.NONE;
        for (Submission task : unfinished()) {
            boolean waits = task.phase == Submission.Phase.QUEUED;
            task.end.completeExceptionally(new MasterClosedException(
                    waits && !kept && task.losses == 0,
                    "the master was closed before " + task.task + " was over"
                            + (kept ? "; the next one on its state directory goes on with it" : "")));
        }
    }
}
