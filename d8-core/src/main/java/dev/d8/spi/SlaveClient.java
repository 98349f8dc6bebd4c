package dev.d8.spi;

import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.TaskResult;
import dev.d8.VersionInfo;
import java.util.concurrent.CompletableFuture;

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

    /** Fails what is under way and closes the connections. Idempotent. */
    @Override
    void close();
}
