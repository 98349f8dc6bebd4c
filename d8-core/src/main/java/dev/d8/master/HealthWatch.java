package dev.d8.master;

import dev.d8.D8Exception;
import dev.d8.Health;
import dev.d8.SlaveRefusedException;
import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * Checks every slave again and again, each at its own phase, and never waits for tasks. Thread-safe.
 *
 * <p>Before a slave counts as dead, others are asked as well: if more than half of them have fallen silent, too, it is likelier
 * that the master is cut off than that they all died in one moment.
 */
final class HealthWatch {

    /** How many others are asked. */
    private static final int SAMPLE = 31;

    private final Fleet fleet;
    private final Duration interval;
    private final TimeSource time;
    private final RandomGenerator random;
    private final Transitions transitions;

    private boolean cutOff;
    private long believedUntil;
    private long backSince;
    private @Nullable CompletableFuture<Boolean> asking;

    HealthWatch(Fleet fleet, Duration interval, TimeSource time, RandomGenerator random, Transitions transitions) {
        this.fleet = fleet;
        this.interval = interval;
        this.time = time;
        this.random = random;
        this.transitions = transitions;
        this.backSince = time.nanoTime();
    }

    /** Checks a slave now. */
    CompletableFuture<SlaveStatus> check(Member member) {
        boolean outOfSight = member.cutOff();
        long asked = time.nanoTime();
        return member.check(error -> isMasterCutOff(member, asked, error)).thenApply(status -> {
            if (outOfSight && !member.cutOff() && status != SlaveStatus.DEAD) {
                reached(member);
            }
            return status;
        });
    }

    /** Checks it from now on, at a phase of its own. */
    void watch(Member member) {
        later(member, random.nextDouble());
    }

    private void later(Member member, double fraction) {
        time.schedule(Duration.ofNanos((long) (interval.toNanos() * fraction)), () -> {
            if (fleet.has(member)) {
                check(member).whenComplete((status, error) -> later(member, 0.9 + 0.2 * random.nextDouble()));
            }
        });
    }

    private CompletableFuture<Boolean> isMasterCutOff(Member silent, long asked, D8Exception error) {
        if (error instanceof SlaveRefusedException || !silent.wasAlive()) {
            return CompletableFuture.completedFuture(false);
        }
        List<Member> others;
        CompletableFuture<Boolean> verdict;
        synchronized (this) {
            if (asking != null) {
                return asking;
            }
            boolean askedMeanwhile = silent.cutOff() && asked - backSince < 0;
            if (askedMeanwhile || (cutOff && time.nanoTime() < believedUntil)) {
                return CompletableFuture.completedFuture(true);
            }
            others = others(silent);
            if (others.size() < 2) { // Of two that are silent nobody can tell whose fault it is.
                return CompletableFuture.completedFuture(false);
            }
            verdict = new CompletableFuture<>();
            asking = verdict;
        }
        ask(others, verdict);
        return verdict;
    }

    private List<Member> others(Member silent) {
        List<Member> others = new ArrayList<>();
        for (Member member : fleet.members()) {
            if (member != silent && member.wasAlive()) {
                others.add(member);
            }
        }
        Collections.shuffle(others, new Random(random.nextLong()));
        return others.size() > SAMPLE ? others.subList(0, SAMPLE) : others;
    }

    private void ask(List<Member> others, CompletableFuture<Boolean> verdict) {
        List<CompletableFuture<Health>> answers =
                others.stream().map(other -> other.connection.checkOnce()).toList();
        CompletableFuture.allOf(answers.toArray(CompletableFuture[]::new)).whenComplete((all, error) -> {
            long silent = 1
                    + answers.stream()
                            .filter(CompletableFuture::isCompletedExceptionally)
                            .count();
            boolean most = silent * 2 > others.size() + 1;
            boolean news;
            synchronized (this) {
                asking = null;
                news = most && !cutOff;
                cutOff = most;
                believedUntil = time.nanoTime() + 2 * interval.toNanos();
            }
            if (news) {
                transitions.masterCutOff(silent + " of " + (others.size() + 1)
                        + " slaves stopped answering at once: look at the master's own network first");
            }
            verdict.complete(most);
        });
    }

    /** One that was out of sight answers, so the others can, too. */
    private void reached(Member member) {
        boolean news;
        synchronized (this) {
            news = cutOff;
            cutOff = false;
            backSince = time.nanoTime();
        }
        if (news) {
            transitions.masterBack(member.id + " answers again");
        }
    }
}
