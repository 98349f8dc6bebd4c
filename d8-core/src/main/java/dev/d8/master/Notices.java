package dev.d8.master;

import dev.d8.ConfigurationException;
import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Has somebody told of slaves whose status changed, and of a master that is cut off: what changes within a short time is one notice, and a slave that is back
 * to what it was by then is left out. Thread-safe; nothing blocks but {@link #close}.
 *
 * <pre>{@code
 * try (Notices notices = Notices.builder(new WebhookNotifier(url, secret)).build();
 *         SlaveManager manager = SlaveManager.builder().listener(notices).build()) {
 *     manager.register("pi", URI.create("http://10.0.0.7:7600")).join();
 * }
 * }</pre>
 *
 * <p>Notices arrive in order. One that fails is tried 5 times in all, after pauses of 1, 2, 4 and 8 s, or longer ones if the
 * receiver asks for them, up to an hour. Meanwhile 100 wait; if there are more, the eldest are lost. The log says once that
 * notices are lost, and once that they arrive again.
 */
public final class Notices implements SlaveListener, AutoCloseable {

    /** How many characters of a reason are told: a peer may have chosen it. */
    private static final int LONGEST_REASON = 300;

    private final Duration window;
    private final Duration startGrace;
    private final long startedAt;
    private final TimeSource time;
    private final boolean ownTime;
    private final InstantSource clock;
    private final NoticeQueue queue;

    /** The changes since the last notice, by slave; one that came to nothing, too. */
    private final Map<String, Notice.Change> collected = new LinkedHashMap<>();

    private boolean closed;

    private Notices(Builder builder) {
        window = builder.window;
        ownTime = builder.time == null;
        time = builder.time != null ? builder.time : TimeSource.system();
        startGrace = builder.startGrace;
        startedAt = time.nanoTime();
        clock = builder.clock;
        queue = new NoticeQueue(builder.notifier, time, builder.patience);
    }

    /** Starts building notices to somebody. */
    public static Builder builder(Notifier notifier) {
        return new Builder(notifier);
    }

    @Override
    public synchronized void statusChanged(Slave before, Slave after) {
        Notice.Change earlier = collected.get(after.id());
        if (closed || (earlier == null && before.status() == after.status())) {
            return;
        }
        if (collected.isEmpty()) {
            Duration grace = startGrace.minus(time.since(startedAt));
            time.schedule(grace.compareTo(window) > 0 ? grace : window, this::flush);
        }
        collected.put(
                after.id(),
                new Notice.Change(
                        after.id(),
                        after.address(),
                        earlier != null ? earlier.from() : before.status(),
                        after.status(),
                        oneLine(after.reason())));
    }

    @Override
    public synchronized void masterCutOff(boolean cutOff, String why) {
        if (!closed) {
            String what = cutOff ? "this master seems to be cut off: " : "this master is no longer cut off: ";
            add(List.of(), Optional.of(what + oneLine(why)));
        }
    }

    private void add(List<Notice.Change> changes, Optional<String> alarm) {
        queue.add(new Notice(UUID.randomUUID(), clock.instant().truncatedTo(ChronoUnit.SECONDS), changes, alarm));
    }

    /** Nothing in a reason can pass for another line of a text. */
    private static String oneLine(String reason) {
        String line = reason.replaceAll("[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]+", " ");
        if (line.length() <= LONGEST_REASON) {
            return line;
        }
        int end = Character.isHighSurrogate(line.charAt(LONGEST_REASON - 1)) ? LONGEST_REASON - 1 : LONGEST_REASON;
        return line.substring(0, end) + "…";
    }

    private synchronized void flush() {
        List<Notice.Change> changes = collected.values().stream()
                .filter(change -> change.from() != change.to())
                .toList();
        collected.clear();
        if (!changes.isEmpty()) {
            add(changes, Optional.empty());
        }
    }

    /**
     * Sends what is collected or waits, without any further pause, and stops. What then fails, or has not arrived within the
     * {@linkplain Builder#patience patience}, is lost. Close the slave manager first. Idempotent.
     */
    @Override
    public void close() {
        synchronized (this) {
            flush();
            closed = true;
        }
        queue.close();
        if (ownTime) {
            time.close();
        }
    }

    /** Builds {@link Notices}; not thread-safe. */
    public static final class Builder {
        private final Notifier notifier;
        private Duration window = Duration.ofSeconds(5);
        private Duration startGrace = Duration.ofSeconds(30);
        private Duration patience = Duration.ofSeconds(10);
        private InstantSource clock = InstantSource.system();
        private @Nullable TimeSource time;

        private Builder(Notifier notifier) {
            this.notifier = notifier;
        }

        /** Sets how long changes are collected after the first, zero or more; default 5 s. */
        public Builder window(Duration value) {
            if (value.isNegative()) {
                throw new ConfigurationException("window: " + value + " (expected: >= 0)");
            }
            window = value;
            return this;
        }

        /**
         * Sets how long after the start, zero or more, nothing is told yet: slaves, or their network, may be starting, too, and all
         * of them turn up in one moment. Default 30 s.
         */
        public Builder startGrace(Duration value) {
            if (value.isNegative()) {
                throw new ConfigurationException("startGrace: " + value + " (expected: >= 0)");
            }
            startGrace = value;
            return this;
        }

        /** Sets how long {@link Notices#close} waits for the last notices to arrive, above zero; default 10 s. */
        public Builder patience(Duration value) {
            if (value.isNegative() || value.isZero()) {
                throw new ConfigurationException("patience: " + value + " (expected: > 0)");
            }
            patience = value;
            return this;
        }

        /** Sets where time comes from; default: the system's. The caller closes what it gives. */
        public Builder time(TimeSource value) {
            time = value;
            return this;
        }

        /** Sets the clock that notices are dated by; default: the system's. */
        public Builder clock(InstantSource value) {
            clock = value;
            return this;
        }

        /** Builds it, with a thread of its own. */
        public Notices build() {
            return new Notices(this);
        }
    }
}
