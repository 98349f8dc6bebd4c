package dev.d8.executor.python.engine;

import java.io.IOException;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * A way to one agent that waits for one task: a process, a container. Used by one thread at a time, apart from
 * {@link #close}.
 */
public interface AgentLink extends AutoCloseable {

    /**
     * Sends bytes to the agent.
     *
     * @throws IOException if it is gone
     */
    void send(byte[] bytes) throws IOException;

    /**
     * Waits for the next frame.
     *
     * @return the frame, or {@code null} if the agent is gone
     * @throws java.util.concurrent.TimeoutException if none came in time
     * @throws InterruptedException if the thread was interrupted
     */
    @Nullable
    Frame receive(Duration timeout) throws InterruptedException, java.util.concurrent.TimeoutException;

    /** Returns what is known about an agent that is gone, on one line: what it wrote to its own standard error. */
    String diagnosis();

    /** Ends the agent, and with it the task if one is left. Idempotent; blocks only for moments. */
    @Override
    void close();
}
