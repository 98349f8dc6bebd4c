package dev.d8.master;

import dev.d8.Capabilities;
import dev.d8.D8Exception;
import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveUnreachableException;
import dev.d8.Slots;
import dev.d8.TaskResult;
import dev.d8.VersionInfo;
import dev.d8.VersionMismatchException;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.TimeSource;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** One registered slave: its connection, what the last health check made of it, and how many tasks are on it. Thread-safe. */
final class Member {

    /** A slave that dies more often than once within this time has to prove itself before it is alive again. */
    private static final Duration FLAPPING = Duration.ofMinutes(10);

    /** How many good answers in a row that takes at the most. */
    private static final int MOST_PROOFS = 8;

    final String id;
    final URI address;
    final RobustConnection connection;

    private final Set<String> labels;

    /** Those that it was registered with, and those that it has itself. */
    private Set<String> allLabels;

    private final Rules rules;
    private final AtomicInteger inFlight = new AtomicInteger();

    private SlaveStatus status = SlaveStatus.UNKNOWN;
    private String reason = "not checked yet";
    private @Nullable Health health;
    private volatile int slots;
    private volatile boolean paused;
    private int pauses;
    private boolean cutOff;
    private boolean removed;
    private final Deque<Long> deaths = new ArrayDeque<>(1);
    private int proofs;
    private @Nullable CompletableFuture<SlaveStatus> check;

    /**
     * What holds for every slave of a master.
     *
     * @param own which code the master runs
     * @param updates has slaves update themselves, where the policy says so
     * @param defaultSlots how many tasks at one time a slave gets that does not say how many it can run
     * @param onChange hears how a slave was and how it is
     */
    record Rules(
            VersionInfo own,
            VersionPolicy policy,
            FleetUpdate updates,
            ConnectionPolicy connections,
            int defaultSlots,
            TimeSource time,
            Fleet fleet,
            BiConsumer<Slave, Slave> onChange) {}

    Member(String id, URI address, Set<String> labels, RobustConnection connection, Rules rules) {
        this.id = id;
        this.address = address;
        this.labels = Set.copyOf(labels);
        allLabels = this.labels;
        this.connection = connection;
        this.rules = rules;
        slots = rules.defaultSlots();
        connection.onTrustChanged(rules.fleet()::changed);
    }

    synchronized Slave snapshot() {
        return new Slave(
                id,
                address,
                allLabels,
                status,
                reason,
                Optional.ofNullable(health),
                connection.circuit(),
                connection.suspected(),
                inFlight.get(),
                slots,
                connection.latency());
    }

    /** Asks the slave how it is; a check that is under way serves every caller. */
    CompletableFuture<SlaveStatus> check(Function<D8Exception, CompletableFuture<Boolean>> isMasterCutOff) {
        CompletableFuture<SlaveStatus> mine;
        synchronized (this) {
            if (check != null) {
                return check.copy();
            }
            mine = new CompletableFuture<>();
            check = mine;
        }
        Consumer<SlaveStatus> checked = result -> {
            synchronized (this) {
                check = null;
            }
            mine.complete(result);
        };
        connection.health().whenComplete((answer, error) -> {
            if (error == null) {
                checked.accept(answered(answer));
            } else {
                D8Exception why = RobustConnection.infrastructure(error);
                isMasterCutOff.apply(why).whenComplete((verdict, trouble) -> checked.accept(failed(why, verdict)));
            }
        });
        return mine.copy();
    }

    private SlaveStatus answered(Health answer) {
        int before = slots;
        slots = answer.slots().map(Slots::total).orElse(rules.defaultSlots());
        if (slots > before) {
            rules.fleet().room(this);
        }
        Optional<String> doubt = doubt();
        if (doubt.isPresent()) {
            return become(SlaveStatus.DEAD, doubt.get(), answer);
        }
        VersionInfo own = rules.own();
        if (answer.draining()) {
            return become(SlaveStatus.DRAINING, "it is about to stop", answer);
        }
        boolean same = answer.version().sameCommit(own);
        if (same) {
            rules.updates().same(this);
        }
        if (same || rules.policy() == VersionPolicy.IGNORE) {
            return become(SlaveStatus.ALIVE, "it answers", answer);
        }
        String difference = "it runs " + describe(answer.version()) + ", the master " + describe(own);
        if (rules.policy() == VersionPolicy.UPDATE) {
            difference += "; " + rules.updates().differs(this, answer);
        }
        return become(
                rules.policy() == VersionPolicy.WARN ? SlaveStatus.ALIVE : SlaveStatus.VERSION_MISMATCH,
                difference,
                answer);
    }

    /** What a slave that comes and goes has to do before it is believed: answer 2, 4, 8 times in a row. */
    private synchronized Optional<String> doubt() {
        long now = rules.time().nanoTime();
        deaths.removeIf(death -> now - death > FLAPPING.toNanos());
        if (status != SlaveStatus.DEAD || deaths.size() < 2) {
            return Optional.empty();
        }
        int needed = Math.min(MOST_PROOFS, 1 << (deaths.size() - 1));
        proofs++;
        return proofs >= needed
                ? Optional.empty()
                : Optional.of("it answers again, but was lost " + deaths.size() + " times within "
                        + FLAPPING.toMinutes() + " min: alive after " + (needed - proofs) + " more good answers");
    }

    private static String describe(VersionInfo version) {
        return "commit " + version.shortCommit() + (version.dirty() ? " (with uncommitted changes)" : "");
    }

    private SlaveStatus failed(D8Exception error, boolean masterCutOff) {
        if (error instanceof SlaveRefusedException) {
            return status(); // It answers, if only to say that it is busy: no news of its health.
        }
        synchronized (this) {
            proofs = 0;
            if (!masterCutOff && status != SlaveStatus.DEAD && health != null) {
                deaths.add(rules.time().nanoTime());
            }
        }
        if (!masterCutOff) {
            return become(SlaveStatus.DEAD, error.getMessage() + rules.updates().lost(this), null);
        }
        SlaveStatus now = become(
                SlaveStatus.UNKNOWN,
                "it does not answer, nor do most of the others: the master itself may be cut off",
                null);
        synchronized (this) {
            cutOff = true;
        }
        return now;
    }

    /** Whether it was alive when it, or the master, was last heard of. */
    synchronized boolean wasAlive() {
        return status == SlaveStatus.ALIVE || cutOff;
    }

    /** Whether it is out of sight because the master is. */
    synchronized boolean cutOff() {
        return cutOff;
    }

    private SlaveStatus become(SlaveStatus next, String why, @Nullable Health answer) {
        Slave before;
        Slave after = null;
        boolean otherUse;
        synchronized (this) {
            if (removed) {
                return status;
            }
            before = snapshot();
            otherUse = status != next || otherAbilities(answer);
            status = next;
            reason = why;
            cutOff = false;
            health = answer != null ? answer : health;
            if (otherUse) {
                allLabels = withOwn(labels, health);
            }
            // A dead slave's last words may vary; that it is dead is said once.
            boolean otherReason = next != SlaveStatus.DEAD && !before.reason().equals(why);
            if (before.status() != next || otherReason) {
                after = snapshot();
            }
        }
        if (after != null) { // Outside the lock: a listener may ask anything.
            rules.onChange().accept(before, after);
        }
        if (otherUse) {
            rules.fleet().changed();
        }
        return next;
    }

    private boolean otherAbilities(@Nullable Health answer) {
        return answer != null
                && (health == null
                        || !health.executionMethods().equals(answer.executionMethods())
                        || !own(health).equals(own(answer))
                        || !isolation(health).equals(isolation(answer)));
    }

    private static Set<String> own(Health health) {
        return health.capabilities().map(Capabilities::labels).orElse(Set.of());
    }

    private static Optional<Isolation> isolation(Health health) {
        return health.capabilities().map(Capabilities::isolation);
    }

    private static Set<String> withOwn(Set<String> labels, @Nullable Health health) {
        Set<String> all = new HashSet<>(labels);
        if (health != null) {
            all.addAll(own(health));
        }
        return Set.copyOf(all);
    }

    synchronized SlaveStatus status() {
        return status;
    }

    int inFlight() {
        return inFlight.get();
    }

    /** Counts a task on it, whether it has room or not. */
    void enter() {
        inFlight.incrementAndGet();
    }

    /** Counts a task on it if it has room for one. */
    boolean tryEnter() {
        while (true) {
            int now = inFlight.get();
            if (paused || now >= slots) {
                return false;
            }
            if (inFlight.compareAndSet(now, now + 1)) {
                return true;
            }
        }
    }

    /** Gives the place back. */
    void leave() {
        inFlight.decrementAndGet();
        rules.fleet().room(this);
    }

    /** Takes no task that can wait for so long: it has said itself that it cannot. */
    void pause(Duration howLong) {
        int mine;
        synchronized (this) {
            paused = true;
            mine = ++pauses;
        }
        rules.time().schedule(howLong, () -> {
            synchronized (this) {
                if (mine != pauses) {
                    return; // It has said so again meanwhile.
                }
                paused = false;
            }
            rules.fleet().room(this);
        });
    }

    /**
     * Runs a task here, and nowhere else. A slave that knows tasks by their ids is asked what became of it. Who calls has
     * {@linkplain #enter entered}; the place is given back before the caller hears of the end.
     */
    CompletableFuture<TaskResult> execute(
            Invocation invocation, ExecutionListener listener, int tries, boolean idempotent) {
        Slave now = snapshot();
        CompletableFuture<TaskResult> call;
        if (now.status() == SlaveStatus.VERSION_MISMATCH) {
            call = CompletableFuture.failedFuture(new VersionMismatchException(id + ": " + now.reason()
                    + ". Bring both to one commit, or choose the version policy warn or ignore"));
        } else if (now.status() == SlaveStatus.DEAD) {
            call = CompletableFuture.failedFuture(
                    new SlaveUnreachableException(id + " is dead: " + now.reason(), null));
        } else {
            Optional<String> bootId = now.health().flatMap(Health::bootId);
            call = bootId.isEmpty()
                    ? connection.execute(invocation, listener, tries)
                    : flight(invocation, listener, bootId.get(), idempotent).start(tries);
        }
        return leaving(call);
    }

    /** Goes on with a task that was sent here before, by a master that is no more. Who calls has entered. */
    CompletableFuture<TaskResult> resume(Invocation invocation, String bootId, boolean idempotent) {
        return leaving(
                flight(invocation, ExecutionListener.NONE, bootId, idempotent).resume());
    }

    private Flight flight(Invocation invocation, ExecutionListener listener, String bootId, boolean idempotent) {
        return new Flight(
                id,
                connection,
                invocation,
                listener,
                bootId,
                rules.time(),
                idempotent ? Duration.ZERO : rules.connections().reconcileFor(),
                rules.connections().lookEvery());
    }

    private CompletableFuture<TaskResult> leaving(CompletableFuture<TaskResult> call) {
        CompletableFuture<TaskResult> result = new CompletableFuture<>();
        call.whenComplete((value, error) -> {
            if (error != null
                    && RobustConnection.unwrap(error) instanceof SlaveRefusedException refused
                    && refused.reason() == SlaveRefusedException.Reason.DRAINING) {
                become(SlaveStatus.DRAINING, "it is about to stop", null); // Else all that follow would go there first.
            }
            leave();
            RobustConnection.complete(result, value, error);
        });
        RobustConnection.cancelWith(result, call);
        return result;
    }

    /** Returns what tells the process that has it now from one before; empty if it keeps no tasks by their ids. */
    synchronized Optional<String> bootId() {
        return Optional.ofNullable(health).flatMap(Health::bootId);
    }

    /** Lets go of the slave. No change is told any more. */
    void remove() {
        synchronized (this) {
            removed = true;
        }
        connection.close();
    }
}
