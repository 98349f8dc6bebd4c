package dev.d8.master;

import dev.d8.Health;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveUnreachableException;
import dev.d8.SlaveUpdate;
import dev.d8.UnknownOutcomeException;
import dev.d8.VersionInfo;
import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Has slaves that run another commit update themselves, some at a time, and sees whether they come back with it. A slave that
 * does not stops the others from trying the same. Thread-safe.
 *
 * <p>What it returns is for a slave's reason, so it stays the same for as long as nothing happens.
 */
final class FleetUpdate {

    private static final Logger LOG = LoggerFactory.getLogger(FleetUpdate.class);

    /** How long a slave may take, from being asked to being back. */
    static final Duration PATIENCE = Duration.ofMinutes(10);

    /** The time between two attempts of a slave from one commit. */
    static final Duration BACK_OFF = Duration.ofHours(1);

    /** The time until a slave is asked again that was busy or out of reach, and so has not tried; at the least. */
    static final Duration SOON = Duration.ofMinutes(1);

    /** The time between two looks at a slave that starts anew. */
    static final Duration LOOK = Duration.ofSeconds(5);

    private static final String FULL_HASH = "[0-9a-fA-F]{40}";

    private final VersionInfo own;
    private final TimeSource time;
    private final int atOnce;
    private final Function<Member, CompletableFuture<SlaveStatus>> check;
    private final Map<Member, Attempt> underWay = new HashMap<>();
    private final Map<Member, Outcome> outcomes = new HashMap<>();
    private @Nullable Brake brake;

    /** A slave that was asked, and is not back yet. */
    private static final class Attempt {
        final String from;
        final String bootId;
        TimeSource.Scheduled limit = () -> {};
        TimeSource.Scheduled look = () -> {};

        Attempt(String from, String bootId) {
            this.from = from;
            this.bootId = bootId;
        }

        void stop() {
            limit.cancel();
            look.cancel();
        }
    }

    /**
     * What came of the last attempt.
     *
     * @param from the commit that the slave ran
     * @param until before this moment it is not asked again
     */
    private record Outcome(String from, String text, long until, boolean lost) {}

    /** A slave that did not come back, and until when no other one tries. */
    private record Brake(Member slave, long until) {}

    /**
     * Creates one.
     *
     * @param own what the master runs
     * @param atOnce how many slaves update themselves at one time
     * @param check looks at a slave's health, apart from its turn
     */
    FleetUpdate(VersionInfo own, TimeSource time, int atOnce, Function<Member, CompletableFuture<SlaveStatus>> check) {
        this.own = own;
        this.time = time;
        this.atOnce = atOnce;
        this.check = check;
    }

    /** Hears that a slave runs another commit, and asks it to update itself if it is its turn; returns how that stands. */
    String differs(Member slave, Health answer) {
        Optional<String> never = never(answer);
        if (never.isPresent()) {
            return never.get();
        }
        Attempt next;
        synchronized (this) {
            String from = answer.version().commit();
            String bootId = answer.bootId().orElseThrow();
            Attempt current = underWay.get(slave);
            if (current != null && !current.bootId.equals(bootId)) {
                over(slave, current, from, "it was asked to update itself, and came back without it", true);
            }
            Optional<String> standing = standing(slave, from);
            if (standing.isPresent()) {
                return standing.get();
            }
            next = new Attempt(from, bootId);
            underWay.put(slave, next);
            outcomes.remove(slave);
            next.limit = time.schedule(PATIENCE, () -> tooLate(slave, next));
        }
        slave.connection.update(own.commit()).whenComplete((update, error) -> answered(slave, next, update, error));
        synchronized (this) {
            return standing(slave, next.from).orElse("it is asked to update itself");
        }
    }

    /** Why nobody is asked, or not this slave. */
    private Optional<String> never(Health answer) {
        if (!own.commit().matches(FULL_HASH)) {
            return Optional.of("it is not asked to update itself, since the master's own commit is no full hash");
        }
        if (own.dirty()) {
            return Optional.of("it is not asked to update itself, since the master has uncommitted changes");
        }
        return answer.bootId().isPresent()
                ? Optional.empty()
                : Optional.of("it cannot update itself: it speaks the original protocol");
    }

    /** Returns how it stands with a slave that is not to be asked now. */
    private Optional<String> standing(Member slave, String from) {
        if (underWay.containsKey(slave)) {
            return Optional.of("it is asked to update itself");
        }
        Outcome last = outcomes.get(slave);
        if (last != null && last.from.equals(from) && time.nanoTime() - last.until < 0) {
            return Optional.of(last.text);
        }
        Brake pulled = brake;
        if (pulled != null && time.nanoTime() - pulled.until < 0) {
            return Optional.of(
                    "it is not asked to update itself yet, since " + pulled.slave.id + " did not come back from it");
        }
        return underWay.size() >= atOnce
                ? Optional.of("it will be asked to update itself in its turn")
                : Optional.empty();
    }

    private void answered(Member slave, Attempt attempt, @Nullable SlaveUpdate update, @Nullable Throwable error) {
        synchronized (this) {
            if (underWay.get(slave) != attempt) {
                return;
            }
            Throwable why = error == null ? null : RobustConnection.unwrap(error);
            if (why instanceof SlaveRefusedException busy) {
                Duration wait = busy.retryAfter().compareTo(SOON) > 0 ? busy.retryAfter() : SOON;
                over(slave, attempt, attempt.from, "it is asked to update itself again once it is idle", wait, false);
            } else if (why instanceof SlaveUnreachableException) {
                over(slave, attempt, attempt.from, "it could not be reached to be asked to update itself", SOON, false);
            } else if (why != null && !(why instanceof UnknownOutcomeException)) {
                over(slave, attempt, attempt.from, "it does not update itself: " + why.getMessage(), false);
            } else if (update != null && !update.restarts()) {
                over(slave, attempt, attempt.from, "it says that it is up to date", false);
            } else { // It starts anew, or may.
                lookLater(slave, attempt);
                return;
            }
        }
        var unused = check.apply(slave); // Its reason is another one now.
    }

    private void lookLater(Member slave, Attempt attempt) {
        attempt.look = time.schedule(LOOK, () -> {
            var unused = check.apply(slave).whenComplete((status, error) -> {
                synchronized (this) {
                    if (underWay.get(slave) == attempt) {
                        lookLater(slave, attempt);
                    }
                }
            });
        });
    }

    private void tooLate(Member slave, Attempt attempt) {
        synchronized (this) {
            if (underWay.get(slave) != attempt) {
                return;
            }
            over(
                    slave,
                    attempt,
                    attempt.from,
                    "it was asked to update itself, and did not come back with it within " + PATIENCE.toMinutes()
                            + " min",
                    true);
        }
        var unused = check.apply(slave);
    }

    private void over(Member slave, Attempt attempt, String runs, String text, boolean lost) {
        over(slave, attempt, runs, text, BACK_OFF, lost);
    }

    private void over(Member slave, Attempt attempt, String runs, String text, Duration pause, boolean lost) {
        attempt.stop();
        underWay.remove(slave);
        long until = time.nanoTime() + pause.toNanos();
        outcomes.put(slave, new Outcome(runs, text, until, lost));
        if (lost) {
            brake = new Brake(slave, until);
            LOG.warn(
                    "slave {} did not come back from its update from {} to {}; no other one is asked for {} min",
                    slave.id,
                    attempt.from,
                    own.commit(),
                    pause.toMinutes());
        }
    }

    /** Hears that a slave runs the master's commit. */
    synchronized void same(Member slave) {
        Attempt attempt = underWay.remove(slave);
        if (attempt != null) {
            attempt.stop();
            LOG.info("slave {}: updated itself from {} to {}", slave.id, attempt.from, own.commit());
        }
        forget(slave);
    }

    /** Returns what a slave that does not answer was asked before, to follow its reason. */
    synchronized String lost(Member slave) {
        Outcome last = outcomes.get(slave);
        return last != null && last.lost ? "; " + last.text : "";
    }

    /** Hears that a slave is gone, or well: nothing speaks against it any more. */
    synchronized void forget(Member slave) {
        Attempt attempt = underWay.remove(slave);
        if (attempt != null) {
            attempt.stop();
        }
        outcomes.remove(slave);
        if (brake != null && brake.slave == slave) {
            brake = null;
        }
    }
}
