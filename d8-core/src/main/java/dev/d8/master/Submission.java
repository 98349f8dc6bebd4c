package dev.d8.master;

import dev.d8.Invocation;
import dev.d8.Task;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.UnknownOutcomeException;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.TimeSource;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** A task that a master has accepted. Thread-safe; nothing blocks. */
public final class Submission {

    /** How far a task has come. */
    public enum Phase {
        /** It waits for a slave. */
        QUEUED,
        /** It was sent to a slave. */
        RUNNING,
        /** It has its result, or failed, or was cancelled. */
        DONE
    }

    /** The order in which tasks were accepted. */
    final long number;

    final Task task;
    final Invocation invocation;
    final ExecutionListener listener;
    final CompletableFuture<TaskResult> end = new CompletableFuture<>();
    private final Consumer<Submission> canceller;
    private boolean watched;

    // Touched by the queue's own actions only, one at a time.
    final Map<String, String> turnedAway = new LinkedHashMap<>();
    Needs needs;
    int losses;
    boolean holdsPlace;
    boolean cancelled;
    boolean givenUp;
    boolean takenOver;

    @Nullable
    UnknownOutcomeException lost;

    @Nullable
    CompletableFuture<TaskResult> attempt;

    TimeSource.@Nullable Scheduled expiry;
    long acceptedAt;
    long expiresAt;

    @Nullable
    String resumesAt;

    volatile Phase phase = Phase.QUEUED;
    volatile @Nullable String slave;

    Submission(
            long number, Task task, Invocation invocation, ExecutionListener listener, Consumer<Submission> canceller) {
        this.number = number;
        this.task = task;
        this.invocation = invocation;
        this.listener = listener;
        this.canceller = canceller;
        needs = Needs.of(task, invocation, turnedAway.keySet());
    }

    /** Returns the task's identity. */
    public TaskId id() {
        return task.id();
    }

    /** Returns the task. */
    public Task task() {
        return task;
    }

    /** Returns how far it has come. */
    public Phase phase() {
        return phase;
    }

    /** Returns the slave that it was sent to, by its id; the last one if it is over. Empty as long as it waits. */
    public Optional<String> slave() {
        return Optional.ofNullable(slave);
    }

    /**
     * Returns what becomes of it: the result, of a task that failed, too. Fails with a {@link dev.d8.D8Exception} if there is none,
     * and with {@link java.util.concurrent.CancellationException} if it was {@linkplain #cancel cancelled}. Cancelling the
     * future leaves the task alone.
     */
    public CompletableFuture<TaskResult> result() {
        synchronized (end) {
            watched = true;
        }
        CompletableFuture<TaskResult> copy = new CompletableFuture<>();
        end.whenComplete((result, error) -> RobustConnection.complete(copy, result, error));
        return copy;
    }

    /** Has it not start, or ends it with everything that it started. Does nothing to a task that is over. */
    public void cancel() {
        canceller.accept(this);
    }

    /** Ends it here and now if nobody listens: to change the thread for nobody's sake costs more than all the rest. */
    boolean endUnwatched(Runnable ending) {
        synchronized (end) {
            if (!watched) {
                ending.run();
            }
            return !watched;
        }
    }

    /** Names the task and how far it has come, never its data. */
    @Override
    public String toString() {
        return task + " " + phase + slave().map(id -> " on " + id).orElse("");
    }
}
