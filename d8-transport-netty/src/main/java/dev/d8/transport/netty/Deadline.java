package dev.d8.transport.netty;

import io.netty.util.concurrent.EventExecutor;
import io.netty.util.concurrent.ScheduledFuture;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * A connection's one time-out, moved on as the connection goes on. Its timer is touched only when the deadline comes
 * nearer, so a request that arrives whole schedules nothing. Used on the connection's event loop.
 */
final class Deadline {

    private static final long NEVER = Long.MAX_VALUE;

    private final EventExecutor loop;
    private final Runnable whenOver;
    private long at = NEVER;
    private long timerAt = NEVER;
    private @Nullable ScheduledFuture<?> timer;

    Deadline(EventExecutor loop, Runnable whenOver) {
        this.loop = loop;
        this.whenOver = whenOver;
    }

    /** Sets it, in place of the last. */
    void in(Duration time) {
        at = loop.ticker().nanoTime() + time.toNanos();
        if (at < timerAt) {
            cancelTimer();
            schedule(time.toNanos());
        }
    }

    /** Waits for nothing until it is set again. */
    void never() {
        at = NEVER;
    }

    /** Drops it for good. */
    void cancel() {
        at = NEVER;
        cancelTimer();
    }

    private void cancelTimer() {
        if (timer != null) {
            timer.cancel(false);
        }
    }

    private void schedule(long nanos) {
        timerAt = at;
        timer = loop.schedule(this::tick, nanos, TimeUnit.NANOSECONDS);
    }

    private void tick() {
        timer = null;
        timerAt = NEVER;
        if (at == NEVER) {
            return;
        }
        long left = at - loop.ticker().nanoTime();
        if (left > 0) {
            schedule(left);
        } else {
            at = NEVER;
            whenOver.run();
        }
    }
}
