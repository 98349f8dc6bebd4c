package dev.d8.master;

import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.util.random.RandomGenerator;

/**
 * Keeps calls away from a slave that fails again and again, so that they fail at once instead of waiting. One a slave.
 * Thread-safe.
 *
 * <p>A call takes a pass when it starts and hands it back with its outcome. Each change of state makes the passes from
 * before it void: a call that was under way when the circuit opened says nothing about the slave of later.
 */
final class CircuitBreaker {

    /** The pass of a call whose outcome does not count. */
    static final long VOID = -1;

    private final ConnectionPolicy policy;
    private final TimeSource time;
    private final RandomGenerator random;

    private CircuitState state = CircuitState.CLOSED;
    private long generation;
    private int failures;
    private long openUntil;

    CircuitBreaker(ConnectionPolicy policy, TimeSource time, RandomGenerator random) {
        this.policy = policy;
        this.time = time;
        this.random = random;
    }

    synchronized CircuitState state() {
        return state;
    }

    /** Returns the pass for a call if the circuit is closed, else {@link #VOID}. */
    synchronized long pass() {
        return state == CircuitState.CLOSED ? generation : VOID;
    }

    /** Returns the pass for a health check: it is always made, and decides if the circuit has been open long enough. */
    synchronized long healthPass() {
        if (state == CircuitState.OPEN && time.nanoTime() - openUntil >= 0) {
            moveTo(CircuitState.HALF_OPEN);
            return generation;
        }
        return pass();
    }

    /** Returns how long calls are still turned away; zero when a health check may decide. */
    synchronized Duration turnedAwayFor() {
        return state == CircuitState.OPEN ? Duration.ofNanos(Math.max(0, openUntil - time.nanoTime())) : Duration.ZERO;
    }

    synchronized void succeeded(long pass) {
        if (pass == generation) {
            failures = 0;
            if (state == CircuitState.HALF_OPEN) {
                moveTo(CircuitState.CLOSED);
            }
        }
    }

    synchronized void failed(long pass) {
        if (pass == generation) {
            failures++;
            if (state == CircuitState.HALF_OPEN || failures >= policy.failuresToOpen()) {
                open((long) (policy.openFor().toNanos() * (0.8 + 0.4 * random.nextDouble())));
            }
        }
    }

    /** Takes a pass back whose call was given up: it says nothing, and a half-open circuit waits for the next check. */
    synchronized void givenUp(long pass) {
        if (pass == generation && state == CircuitState.HALF_OPEN) {
            open(0);
        }
    }

    private void open(long nanos) {
        openUntil = time.nanoTime() + nanos;
        moveTo(CircuitState.OPEN);
    }

    private void moveTo(CircuitState next) {
        state = next;
        failures = 0;
        generation++;
    }
}
