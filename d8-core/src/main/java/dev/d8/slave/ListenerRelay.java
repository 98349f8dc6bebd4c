package dev.d8.slave;

import dev.d8.TaskId;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Stands between a task's executor and whoever listens to the task: takes progress out of the output, and tells the
 * listener on another thread, so that a slow one slows the task's output down, but one that hangs does not hold the task
 * and its slot for ever: it is left behind.
 */
final class ListenerRelay implements ExecutionListener {

    private static final Logger LOG = LoggerFactory.getLogger(ListenerRelay.class);

    /** How long a task waits for a listener that does not come along. */
    static final Duration PATIENCE = Duration.ofSeconds(10);

    /** How much output may wait for the listener, in bytes. */
    private static final int BACKLOG = 1 << 20;

    private final TaskId task;
    private final ExecutionListener listener;
    private final Executor threads;
    private final TimeSource time;
    private final Duration patience;
    private final ProgressFilter filter;
    private final Queue<Notice> waiting = new ArrayDeque<>();
    private int waitingBytes;
    private boolean telling;
    private boolean leftBehind;
    private @Nullable Thread teller;

    /** Something to tell, and how much room it takes. */
    private record Notice(Consumer<ExecutionListener> what, int bytes) {}

    ListenerRelay(TaskId task, ExecutionListener listener, Executor threads, TimeSource time, Duration patience) {
        this.task = task;
        this.listener = listener;
        this.threads = threads;
        this.time = time;
        this.patience = patience;
        this.filter = new ProgressFilter(new ProgressFilter.Sink() {
            @Override
            public void output(byte[] bytes) {
                add(new Notice(to -> to.output(Stream.STDOUT, bytes), bytes.length));
            }

            @Override
            public void progress(double percent, String message) {
                add(new Notice(to -> to.progress(percent, message), message.length()));
            }
        });
    }

    @Override
    public void started() {
        add(new Notice(ExecutionListener::started, 0));
    }

    @Override
    public void output(Stream stream, byte[] chunk) {
        if (stream == Stream.STDOUT) {
            filter.accept(chunk);
        } else {
            add(new Notice(to -> to.output(stream, chunk), chunk.length));
        }
    }

    @Override
    public void progress(double percent, String message) {
        add(new Notice(to -> to.progress(percent, message), message.length()));
    }

    /** Waits until the listener has heard everything, or is left behind. */
    void finish() throws InterruptedException {
        filter.end();
        synchronized (waiting) {
            awaitRoom(0);
        }
    }

    private void add(Notice notice) {
        synchronized (waiting) {
            try {
                awaitRoom(Math.max(0, BACKLOG - notice.bytes()));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt(); // The task is cancelled; its executor finds out at once.
                return;
            }
            if (leftBehind) {
                return;
            }
            waiting.add(notice);
            waitingBytes += notice.bytes();
            if (!telling) {
                telling = true;
                threads.execute(this::tell);
            }
        }
    }

    /** Waits until no more than so many bytes wait; for nothing at all if that is zero. Holds the lock. */
    private void awaitRoom(int most) throws InterruptedException {
        long until = time.nanoTime() + patience.toNanos();
        int before = waiting.size();
        while (!leftBehind && (most == 0 ? telling : waitingBytes > most)) {
            long left = until - time.nanoTime();
            if (left <= 0) {
                leaveBehind();
                return;
            }
            waiting.wait(left / 1_000_000 + 1);
            if (waiting.size() < before) {
                before = waiting.size(); // It comes along, however slowly.
                until = time.nanoTime() + patience.toNanos();
            }
        }
    }

    private void leaveBehind() {
        leftBehind = true;
        waiting.clear();
        LOG.warn(
                "task {}: its listener takes longer than {} ms for one notice and hears no more",
                task,
                patience.toMillis());
        if (teller != null) {
            teller.interrupt();
        }
    }

    private void tell() {
        synchronized (waiting) {
            teller = Thread.currentThread();
        }
        while (true) {
            Notice notice;
            synchronized (waiting) {
                notice = waiting.poll();
                if (notice == null) {
                    telling = false;
                    teller = null;
                    waiting.notifyAll();
                    Thread.interrupted(); // Meant for the listener, not for whoever borrows this thread next.
                    return;
                }
            }
            try {
                notice.what().accept(listener);
            } catch (RuntimeException e) {
                LOG.warn("task {}: its listener failed and hears no more", task, e);
                synchronized (waiting) {
                    leftBehind = true;
                    waiting.clear();
                }
            }
            synchronized (waiting) {
                waitingBytes -= notice.bytes();
                waiting.notifyAll();
            }
        }
    }
}
