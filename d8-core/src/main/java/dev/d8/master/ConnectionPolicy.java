package dev.d8.master;

import dev.d8.ConfigurationException;
import java.time.Duration;

/**
 * How patient a {@link RobustConnection} is. The defaults are the original protocol's.
 *
 * @param tries how often a call is made that certainly did nothing yet, 1 to 10; default 3
 * @param backoff the pause before the second try, above zero; doubled for every further one, ± 20 %; default 2 s
 * @param healthTimeout for the whole answer to a health check, above zero; default 10 s
 * @param versionTimeout for the whole answer to a version check, above zero; default 5 s
 * @param executeMargin how much longer than the task's own time-out its answer is waited for, above zero; default 10 s
 * @param failuresToOpen failures in a row that open the circuit, 1 to 1000; default 5
 * @param openFor how long it stays open before a health check decides, above zero; ± 20 %; default 60 s
 * @param reconcileFor how long a slave that has a task may be out of reach before the task's outcome counts as unknown, zero
 *     or more; default 5 min. An idempotent task goes elsewhere at once
 * @param lookEvery how often a slave is asked for a task beside a call that is still open, since a connection can be dead for
 *     long without anybody noticing, above zero; default 30 s
 */
public record ConnectionPolicy(
        int tries,
        Duration backoff,
        Duration healthTimeout,
        Duration versionTimeout,
        Duration executeMargin,
        int failuresToOpen,
        Duration openFor,
        Duration reconcileFor,
        Duration lookEvery) {

    /** The original's patience. */
    public static final ConnectionPolicy DEFAULT = new ConnectionPolicy(
            3,
            Duration.ofSeconds(2),
            Duration.ofSeconds(10),
            Duration.ofSeconds(5),
            Duration.ofSeconds(10),
            5,
            Duration.ofSeconds(60),
            Duration.ofMinutes(5),
            Duration.ofSeconds(30));

    /** Checks the ranges. */
    public ConnectionPolicy {
        requireWithin("tries", tries, 10);
        requireWithin("failuresToOpen", failuresToOpen, 1000);
        requirePositive("backoff", backoff);
        requirePositive("healthTimeout", healthTimeout);
        requirePositive("versionTimeout", versionTimeout);
        requirePositive("executeMargin", executeMargin);
        requirePositive("openFor", openFor);
        requirePositive("lookEvery", lookEvery);
        if (reconcileFor.isNegative()) {
            throw new ConfigurationException("reconcileFor: " + reconcileFor + " (expected: 0 or more)");
        }
    }

    /** Returns a copy that makes {@code value} tries. */
    public ConnectionPolicy withTries(int value) {
        return new ConnectionPolicy(
                value,
                backoff,
                healthTimeout,
                versionTimeout,
                executeMargin,
                failuresToOpen,
                openFor,
                reconcileFor,
                lookEvery);
    }

    /** Returns a copy that waits {@code value} for a slave that has a task and is out of reach. */
    public ConnectionPolicy withReconcileFor(Duration value) {
        return new ConnectionPolicy(
                tries,
                backoff,
                healthTimeout,
                versionTimeout,
                executeMargin,
                failuresToOpen,
                openFor,
                value,
                lookEvery);
    }

    private static void requireWithin(String name, int value, int most) {
        if (value < 1 || value > most) {
            throw new ConfigurationException(name + ": " + value + " (expected: 1 to " + most + ")");
        }
    }

    private static void requirePositive(String name, Duration value) {
        if (value.isNegative() || value.isZero()) {
            throw new ConfigurationException(name + ": " + value + " (expected: > 0)");
        }
    }
}
