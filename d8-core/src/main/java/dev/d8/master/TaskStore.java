package dev.d8.master;

import dev.d8.Task;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * What a master keeps of the tasks that it has accepted. Thread-safe. Every future completes when what was said is safe, and
 * fails with {@link dev.d8.NotRecordedException} if it is not.
 */
interface TaskStore extends AutoCloseable {

    /**
     * What is known of a task.
     *
     * @param number the order in which tasks were accepted
     * @param sentTo where it was sent; empty: it waits
     * @param without slaves that will not get it any more
     * @param losses how many slaves were lost under it
     * @param end what became of it; empty: it is not over
     */
    record Kept(
            long number,
            Task task,
            Instant acceptedAt,
            Optional<Attempt> sentTo,
            Set<String> without,
            int losses,
            Optional<Outcome> end) {}

    /**
     * Where a task was sent.
     *
     * @param bootId of the process that it was sent to; empty: one that keeps no tasks by their ids
     */
    record Attempt(String slave, Optional<String> bootId) {}

    /**
     * How a task ended.
     *
     * @param result there if and only if {@code error} is not
     */
    record Outcome(@Nullable TaskResult result, @Nullable Throwable error) {}

    /** Returns what an earlier master left and is not over, in the order in which it was accepted. Asked once. */
    List<Kept> unfinished();

    /** Returns a task that is over. */
    Optional<Kept> finished(TaskId id);

    /** Returns the number of the first task that will be accepted. */
    long firstNumber();

    /** Keeps tasks: all or none. */
    CompletableFuture<Void> accepted(List<Submission> tasks);

    /** Keeps where a task is about to be sent, or that it waits again, and what it has been through. */
    CompletableFuture<Void> sent(Submission task, @Nullable Attempt attempt);

    /** Keeps how a task ended. */
    CompletableFuture<Void> ended(Submission task, Outcome outcome);

    /** Writes what is left to write. Idempotent. */
    @Override
    void close();

    /** Keeps nothing: what is not over when the master ends is gone. */
    TaskStore NONE = new TaskStore() {
        @Override
        public List<Kept> unfinished() {
            return List.of();
        }

        @Override
        public Optional<Kept> finished(TaskId id) {
            return Optional.empty();
        }

        @Override
        public long firstNumber() {
            return 0;
        }

        @Override
        public CompletableFuture<Void> accepted(List<Submission> tasks) {
            return CompletableFuture.completedFuture(null);
        }

        @Override
        public CompletableFuture<Void> sent(Submission task, @Nullable Attempt attempt) {
            return CompletableFuture.completedFuture(null);
        }

        @Override
        public CompletableFuture<Void> ended(Submission task, Outcome outcome) {
            return CompletableFuture.completedFuture(null);
        }

        @Override
        public void close() {}
    };
}
