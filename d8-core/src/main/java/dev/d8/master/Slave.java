package dev.d8.master;

import dev.d8.Health;
import java.net.URI;
import java.util.Optional;
import java.util.Set;

/**
 * A slave as the master saw it at one moment.
 *
 * @param id its name
 * @param address where it listens
 * @param labels what it was registered with
 * @param status how it is
 * @param reason why the status is what it is, in words
 * @param health its last good answer
 * @param circuit whether calls to it are let through
 * @param suspected whether its last call failed, so that others are preferred
 * @param inFlight tasks that this master waits for
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
        int inFlight) {

    /** Copies the labels. */
    public Slave {
        labels = Set.copyOf(labels);
    }

    /** Returns whether it may be given tasks. */
    public boolean available() {
        return status == SlaveStatus.ALIVE && circuit == CircuitState.CLOSED;
    }
}
