package dev.d8.spi;

import dev.d8.TaskResult;
import dev.d8.TaskState;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;

/** One task that a slave keeps. Thread-safe; no method blocks. */
public interface TaskHandle {

    /** Returns how it is now. */
    TaskState state();

    /** Returns whether the slave knew it before it was submitted this time. */
    boolean replayed();

    /** Returns its result when it is there; fails like {@link SlaveService#execute}. Cancelling this leaves the task alone. */
    CompletableFuture<TaskResult> result();

    /**
     * Returns {@link #result} as {@link WireFormat#json} writes it: the same bytes for whoever asks, however often. They are
     * shared, so they must not be changed.
     */
    default CompletableFuture<byte[]> answer() {
        return result().thenApply(WireFormat.json()::encode);
    }

    /**
     * Waits for its end.
     *
     * @param patience how long at the most, zero or more
     * @return how it is then; fails like {@link SlaveService#execute}. Cancelling it leaves the task alone
     */
    CompletableFuture<TaskState> await(Duration patience);

    /**
     * Follows what happens to it from an offset on, see {@link dev.d8.TaskEvent}.
     *
     * @param from zero or more; zero is its beginning
     * @param available told, on any thread and only to look again, when there is something after {@link TaskFeed#next} had
     *     nothing
     * @throws dev.d8.TaskForgottenException if its result is no longer kept
     */
    TaskFeed follow(long from, Runnable available);

    /** Tells that its caller has its result, which need not be kept for long then. */
    void delivered();
}
