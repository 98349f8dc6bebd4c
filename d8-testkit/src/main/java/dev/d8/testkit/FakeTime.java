package dev.d8.testkit;

import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.util.Comparator;
import java.util.NavigableSet;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Time that passes only when a test says so. Thread-safe; scheduled actions run on the thread that lets time pass, in
 * the order of their moments, those of one moment in the order in which they were scheduled.
 */
public final class FakeTime implements TimeSource {

    private final NavigableSet<Event> events =
            new TreeSet<>(Comparator.comparingLong(Event::at).thenComparingLong(Event::number));
    private long now;
    private long scheduled;

    private record Event(long at, long number, Runnable action) {}

    /** Creates a time source that stands at zero. */
    public FakeTime() {}

    @Override
    public synchronized long nanoTime() {
        return now;
    }

    @Override
    public synchronized Scheduled schedule(Duration delay, Runnable action) {
        if (delay.isNegative()) {
            throw new IllegalArgumentException("delay: " + delay + " (expected: >= 0)");
        }
        Event event = new Event(now + delay.toNanos(), scheduled++, action);
        events.add(event);
        return () -> {
            synchronized (this) {
                events.remove(event);
            }
        };
    }

    /** Lets time pass and runs what falls due, including what that schedules in turn. */
    public void advance(Duration duration) {
        long until;
        synchronized (this) {
            until = now + duration.toNanos();
        }
        for (Event event = due(until); event != null; event = due(until)) {
            event.action().run();
        }
        synchronized (this) {
            now = Math.max(now, until);
        }
    }

    private synchronized @Nullable Event due(long until) {
        if (events.isEmpty() || events.first().at() > until) {
            return null;
        }
        Event next = events.first();
        events.remove(next);
        now = Math.max(now, next.at());
        return next;
    }

    /** Returns how many actions wait for their moment. */
    public synchronized int pending() {
        return events.size();
    }

    /** Forgets what is scheduled. */
    @Override
    public synchronized void close() {
        events.clear();
    }
}
