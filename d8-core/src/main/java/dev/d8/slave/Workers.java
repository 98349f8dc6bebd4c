package dev.d8.slave;

import java.time.Duration;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Threads that take what waits and do it, so many at one time. Thread-safe.
 *
 * <p>One that finds nothing looks again for a moment before it sleeps, since to send a thread to sleep and to wake it costs more than
 * the smallest task. As long as one looks, nobody else is woken; the one that takes something has the next one woken, if more waits.
 */
final class Workers {

    /** How often it looks again: some 20 µs on an idle machine; on a busy one others have their turn in between. */
    private static final int LOOKS = 40;

    private final Supplier<? extends @Nullable Runnable> next;
    private final BooleanSupplier moreWaits;
    private final ThreadPoolExecutor threads;
    private final AtomicInteger lookers = new AtomicInteger();
    private final Runnable work = this::work;

    /**
     * Creates them; a thread that had nothing to do for a minute ends.
     *
     * @param most how many at one time
     * @param next takes what waits; null if nothing does
     */
    Workers(int most, Supplier<? extends @Nullable Runnable> next, BooleanSupplier moreWaits) {
        this.next = next;
        this.moreWaits = moreWaits;
        AtomicInteger number = new AtomicInteger();
        threads = new ThreadPoolExecutor(most, most, 60, TimeUnit.SECONDS, new LinkedBlockingQueue<>(), task -> {
            Thread thread = new Thread(task, "d8-task-" + number.incrementAndGet());
            thread.setDaemon(true);
            return thread;
        });
        threads.allowCoreThreadTimeOut(true);
    }

    /**
     * Something waits now.
     *
     * @throws RejectedExecutionException if they have been stopped
     */
    void wake() {
        if (threads.isShutdown()) {
            throw new RejectedExecutionException("stopped");
        }
        if (lookers.get() == 0) {
            threads.execute(work);
        }
    }

    private void work() {
        for (Runnable task = next.get(); task != null || (task = look()) != null; task = next.get()) {
            task.run();
        }
    }

    @SuppressWarnings("ThreadPriorityCheck") // A hint that only speed depends on.
    private @Nullable Runnable look() {
        Runnable task = null;
        lookers.incrementAndGet();
        for (int i = 0; i < LOOKS && task == null; i++) {
            Thread.yield();
            task = next.get();
        }
        lookers.decrementAndGet();
        if (task == null) {
            return next.get(); // Who came at the last moment has seen a looker and woken nobody.
        }
        if (moreWaits.getAsBoolean() && !threads.isShutdown()) {
            threads.execute(work); // Who has come meanwhile has woken nobody, either.
        }
        return task;
    }

    /** Returns how many do something. */
    int busy() {
        return Math.max(0, threads.getActiveCount() - lookers.get());
    }

    int most() {
        return threads.getMaximumPoolSize();
    }

    /** Wakes nobody any more. */
    void stop() {
        threads.shutdown();
    }

    /** Returns whether all of them have ended in time. */
    boolean awaitEnd(Duration patience) throws InterruptedException {
        return threads.awaitTermination(patience.toNanos(), TimeUnit.NANOSECONDS);
    }
}
