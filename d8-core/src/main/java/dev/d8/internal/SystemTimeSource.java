package dev.d8.internal;

import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The computer's own clock, and one daemon thread that starts when something is first scheduled. */
public final class SystemTimeSource implements TimeSource {

    private static final Logger LOG = LoggerFactory.getLogger(SystemTimeSource.class);

    private final ScheduledThreadPoolExecutor scheduler;

    /** Creates a time source with a scheduler of its own. */
    public SystemTimeSource() {
        scheduler = new ScheduledThreadPoolExecutor(1, task -> {
            Thread thread = new Thread(task, "d8-timer");
            thread.setDaemon(true);
            return thread;
        });
        scheduler.setRemoveOnCancelPolicy(true);
    }

    @Override
    public long nanoTime() {
        return System.nanoTime();
    }

    @Override
    public Scheduled schedule(Duration delay, Runnable action) {
        try {
            ScheduledFuture<?> future =
                    scheduler.schedule(() -> runLogged(action), delay.toNanos(), TimeUnit.NANOSECONDS);
            return () -> future.cancel(false);
        } catch (RejectedExecutionException e) {
            return () -> {}; // Closed: nothing runs any more.
        }
    }

    private static void runLogged(Runnable action) {
        try {
            action.run();
        } catch (RuntimeException e) {
            // The scheduler would keep it in a future that nobody reads.
            LOG.error("a scheduled action failed", e);
        }
    }

    @Override
    public void close() {
        scheduler.shutdownNow();
    }
}
