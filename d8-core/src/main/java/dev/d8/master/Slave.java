package dev.d8.master;

import dev.d8.Health;
import java.net.URI;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;

/**
 * A slave as the master saw it at one moment.
 *
 * @param id its name
 * @param address where it listens
 * @param labels what it was registered with, and what it says of itself
 * @param status how it is
 * @param reason why the status is what it is, in words
 * @param health its last good answer
 * @param circuit whether calls to it are let through
 * @param suspected whether its last call failed, so that others are preferred
 * @param inFlight tasks that this master waits for
 * @param slots how many tasks it runs at one time, as far as this master knows
 * @param latency how long it takes to answer a health check, smoothed over the last few; empty before the first answer
 */
public record Slave(
        String id,
        URI address,
        Set<String> labels,
        SlaveStatus status,
        String reason,
        Optional<Health> health,
        CircuitState circuit,
        boolean suspected,
        int inFlight,
        int slots,
        Optional<Duration> latency) {

    /** Copies the labels. */
    public Slave {
        labels = Set.copyOf(labels);
    }

    /** Returns whether it may be given tasks. */
    public boolean available() {
        return status == SlaveStatus.ALIVE && circuit == CircuitState.CLOSED;
    }

    /** Returns how much of it this master uses: 1 is all of its slots, more means that tasks wait there. */
    public double load() {
        return (double) inFlight / slots;
    }
}
