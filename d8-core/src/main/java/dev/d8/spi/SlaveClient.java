package dev.d8.spi;

import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.ProtocolException;
import dev.d8.SlaveUpdate;
import dev.d8.TaskEvent;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.TaskState;
import dev.d8.VersionInfo;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/**
 * The master's end of a {@link SlaveService}. Thread-safe; no method blocks.
 *
 * <p>Every future fails with a {@link dev.d8.D8Exception}, never with anything else. Cancelling one gives up the call:
 * what the transport holds for it is freed and the slave ends the task. There is no time-out here beyond connecting:
 * {@link dev.d8.master.RobustConnection} sets one over the whole call.
 */
public interface SlaveClient extends AutoCloseable {

    /** Asks how the slave is. */
    CompletableFuture<Health> health();

    /** Asks which code the slave runs. */
    CompletableFuture<VersionInfo> version();

    /** Runs a task on the slave. The listener hears what the transport can carry, on a thread of the transport's. */
    CompletableFuture<TaskResult> execute(Invocation invocation, ExecutionListener listener);

    /**
     * Hands a task over, to be asked for by its id; sent twice, it is one task. Fails like {@link #execute}.
     *
     * @return how it is then; default: fails, since the transport carries no such thing
     */
    default CompletableFuture<TaskState> submit(Invocation invocation) {
        return CompletableFuture.failedFuture(new ProtocolException("this transport runs tasks only while one waits"));
    }

    /**
     * Asks how a task is.
     *
     * @param wait for its end, zero to 60 s
     * @return nothing if the slave has never heard of it; fails with {@link ProtocolException} if it keeps no tasks, as one
     *     of the original protocol, which is the default
     */
    default CompletableFuture<Optional<TaskState>> find(TaskId id, Duration wait) {
        return CompletableFuture.failedFuture(new ProtocolException("this transport cannot ask for tasks"));
    }

    /**
     * Ends a task and everything that it started, or has it not start when it comes.
     *
     * @return how it was when it was told; fails with {@link ProtocolException} if the slave keeps no tasks, which is the
     *     default
     */
    default CompletableFuture<TaskState> cancel(TaskId id) {
        return CompletableFuture.failedFuture(new ProtocolException("this transport cannot end tasks"));
    }

    /**
     * Follows what happens to a task, until it is over. Cancelling the future leaves the task alone.
     *
     * @param from the offset to begin at, zero or more
     * @param listener told on a thread of the transport's, in order; it may take its time
     * @return the last event; nothing if the slave has never heard of the task, which is the default
     */
    default CompletableFuture<Optional<TaskEvent>> follow(TaskId id, long from, Consumer<TaskEvent> listener) {
        return CompletableFuture.completedFuture(Optional.empty());
    }

    /**
     * Asks the slave to bring its own code to a commit and to start anew on it. Giving the call up does not stop that.
     *
     * @param commit the full hash, 40 hexadecimal digits
     * @return what came of it. Fails like {@link SlaveService#update}, and with {@link ProtocolException} if the transport or
     *     the slave knows no such thing, which is the default
     */
    default CompletableFuture<SlaveUpdate> update(String commit) {
        return CompletableFuture.failedFuture(new ProtocolException("this transport updates no slaves"));
    }

    /** Fails what is under way and closes the connections. Idempotent. */
    @Override
    void close();
}
