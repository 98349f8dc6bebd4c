package dev.d8.slave;

import dev.d8.TaskId;
import dev.d8.TaskResult;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * One task of a {@link TaskLedger}. Guarded by the ledger.
 *
 * <p>Ten thousand of these are kept, and the collector copies each of them more than once. So what is kept of a task that
 * is over is few objects: this one, its fingerprint, and its result.
 */
final class TaskEntry {

    private static final byte[] NONE = {};

    /** The task's id. */
    final long high;

    final long low;

    /** Empty for one that was cancelled before it came. */
    byte[] fingerprint = NONE;

    /** Null once it is over. */
    TaskRunner.@Nullable Run run;

    /** Null once there is a result. */
    @Nullable
    CompletableFuture<TaskResult> ending = new CompletableFuture<>();

    /** Null for one that is over and wrote nothing: most are kept for long and followed by nobody. */
    @Nullable
    TaskEvents events;

    boolean started;

    /** Null until there is one. */
    @Nullable
    KeptResult result;

    /** What {@link KeptTasks} knows of it: its next in the table, its place among those that are over, what it takes. */
    @Nullable
    TaskEntry nextInBucket;

    KeptTasks.@Nullable Line line;

    @Nullable
    TaskEntry elder;

    @Nullable
    TaskEntry younger;

    long size;
    long overAt;

    TaskEntry(TaskId id) {
        high = id.value().getMostSignificantBits();
        low = id.value().getLeastSignificantBits();
    }

    TaskId id() {
        return new TaskId(new UUID(high, low));
    }

    boolean is(TaskId id) {
        return id.value().getMostSignificantBits() == high && id.value().getLeastSignificantBits() == low;
    }
}
