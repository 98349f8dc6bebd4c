package dev.d8.spi;

import dev.d8.TaskEvent;
import org.jspecify.annotations.Nullable;

/**
 * What happens to one task, for one follower, who takes it at its own pace. One thread at a time; no method blocks.
 *
 * <p>A follower holds its task up for two seconds at the most, and one more for each MiB that it takes; then it misses
 * what it was too slow for, which {@link TaskEvent.Skipped} tells.
 */
public interface TaskFeed extends AutoCloseable {

    /** Takes the next event; nothing if there is none at this moment, and the follower is told when there is. */
    @Nullable
    TaskEvent next();

    /** Follows no longer. Idempotent. */
    @Override
    void close();
}
