package dev.d8.master;

import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Queue;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Notices on their way to one receiver, in order, and the thread that takes them there. Thread-safe. */
final class NoticeQueue implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(Notices.class);

    private static final int CAPACITY = 100;
    private static final int TRIES = 5;
    private static final Duration FIRST_PAUSE = Duration.ofSeconds(1);

    /** A receiver that names a longer pause, by mistake perhaps, would silence the master for good. */
    private static final Duration LONGEST_PAUSE = Duration.ofHours(1);

    private final Notifier notifier;
    private final TimeSource time;
    private final Duration patience;
    private final Thread worker = new Thread(this::work, "d8-notices");
    private final Queue<Notice> waiting = new ArrayDeque<>();
    private boolean closing;

    /** How many were lost since all was well, and what the log was told of it. */
    private int lost;

    private boolean full;
    private @Nullable String trouble;

    NoticeQueue(Notifier notifier, TimeSource time, Duration patience) {
        this.notifier = notifier;
        this.time = time;
        this.patience = patience;
        worker.setDaemon(true);
        worker.start();
    }

    synchronized void add(Notice notice) {
        if (!closing) {
            waiting.add(notice);
            if (waiting.size() > CAPACITY) {
                waiting.remove();
                lost++;
                if (!full) {
                    full = true;
                    LOG.warn("more than {} notices to {} wait; the eldest are lost", CAPACITY, notifier.name());
                }
            }
            notifyAll();
        }
    }

    private void work() {
        try {
            for (Notice notice = take(); notice != null; notice = take()) {
                send(notice);
            }
        } catch (InterruptedException e) {
            // Closed: whoever did that tells what is left.
        }
    }

    private synchronized @Nullable Notice take() throws InterruptedException {
        while (waiting.isEmpty() && !closing) {
            wait();
        }
        return waiting.poll();
    }

    private void send(Notice notice) throws InterruptedException {
        Duration pause = FIRST_PAUSE;
        for (int tries = 1; ; tries++) {
            Notifier.Outcome outcome = tryOnce(notice);
            if (outcome instanceof Notifier.Failed failed) {
                if (tries < TRIES && pause(longer(pause, failed.pause()))) {
                    pause = pause.multipliedBy(2);
                    continue;
                }
                lose(failed.reason());
            } else if (outcome instanceof Notifier.Refused refused) {
                lose(refused.reason());
            } else {
                arrived();
            }
            return;
        }
    }

    private Notifier.Outcome tryOnce(Notice notice) throws InterruptedException {
        try {
            return notifier.deliver(notice);
        } catch (RuntimeException e) {
            return new Notifier.Refused("it failed with " + e.getClass().getName());
        }
    }

    private static Duration longer(Duration own, Duration asked) {
        Duration bounded = asked.compareTo(LONGEST_PAUSE) < 0 ? asked : LONGEST_PAUSE;
        return own.compareTo(bounded) > 0 ? own : bounded;
    }

    /** Waits, unless it is closed; then those that wait are lost with the one that failed. */
    private synchronized boolean pause(Duration pause) throws InterruptedException {
        if (closing) {
            lost += waiting.size();
            waiting.clear();
            return false;
        }
        Pause over = new Pause();
        TimeSource.Scheduled timer = time.schedule(pause, () -> end(over));
        while (!over.ended && !closing) {
            wait();
        }
        timer.cancel();
        return true;
    }

    private static final class Pause {
        boolean ended;
    }

    private synchronized void end(Pause pause) {
        pause.ended = true;
        notifyAll();
    }

    private synchronized void lose(String why) {
        lost++;
        if (!why.equals(trouble)) {
            trouble = why;
            LOG.warn("notices to {} are lost: {}", notifier.name(), why);
        }
    }

    private synchronized void arrived() {
        if (lost > 0 && waiting.isEmpty()) {
            LOG.info("notices to {} arrive again; lost meanwhile: {}", notifier.name(), lost);
            lost = 0;
            full = false;
            trouble = null;
        }
    }

    @Override
    public void close() {
        synchronized (this) {
            closing = true;
            notifyAll();
        }
        try {
            worker.join(Math.max(1, patience.toMillis()));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        synchronized (this) {
            if (worker.isAlive()) {
                worker.interrupt();
                lost += waiting.size() + 1;
                waiting.clear();
            }
            if (lost > 0) {
                LOG.warn("stopped; notices to {} that were lost: {}", notifier.name(), lost);
                lost = 0;
            }
        }
    }
}
