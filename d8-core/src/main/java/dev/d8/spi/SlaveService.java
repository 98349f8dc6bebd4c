package dev.d8.spi;

import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.SlaveUpdate;
import dev.d8.TaskResult;
import dev.d8.UpdateRefusedException;
import dev.d8.VersionInfo;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/** What a slave offers, whatever carries it. Thread-safe; no method blocks, so a transport may call from its event loop. */
public interface SlaveService {

    /** Returns how the slave is. */
    Health health();

    /** Returns the code that the slave runs. */
    VersionInfo version();

    /**
     * Runs a task.
     *
     * <p>Cancelling the future cancels the task; a transport does so when the caller is gone. The future fails with
     * {@link dev.d8.SlaveRefusedException}, {@link dev.d8.NoExecutorException} or {@link dev.d8.InvalidTaskException} if
     * the task was turned away, and certainly did not start then.
     */
    CompletableFuture<TaskResult> execute(Caller caller, Invocation invocation, ExecutionListener listener);

    /**
     * Hears that the transport turned somebody away before a task came into sight.
     *
     * @param caller who, with an empty name where nobody is known
     * @param reason a word for the metrics, such as {@code unauthorized}
     */
    default void turnedAway(Caller caller, String reason) {}

    /** Returns what has been counted, in Prometheus's text format; default: nothing is shown. May take milliseconds. */
    default Optional<String> metrics() {
        return Optional.empty();
    }

    /**
     * Brings the slave's own code to a commit, and starts it anew on it once this has been answered.
     *
     * @param commit the full hash, 40 hexadecimal digits
     * @return what came of it. Fails with {@link UpdateRefusedException} if it cannot be done, which is the default, with
     *     {@link dev.d8.SlaveRefusedException} while tasks run or wait, and with {@link dev.d8.InvalidTaskException} if the
     *     commit is no hash; the slave goes on as before then
     */
    default CompletableFuture<SlaveUpdate> update(Caller caller, String commit) {
        return CompletableFuture.failedFuture(new UpdateRefusedException(
                UpdateRefusedException.Reason.OFF, "this slave does not update itself (./d8 slave --allow-update)"));
    }

    /** Returns the tasks that are kept by their ids; default: none are. */
    default Optional<SlaveTasks> tasks() {
        return Optional.empty();
    }
}
