package dev.d8.master;

import dev.d8.D8Exception;
import dev.d8.DeadlineExceededException;
import dev.d8.Invocation;
import dev.d8.NoExecutorException;
import dev.d8.NoSlaveException;
import dev.d8.SlaveRefusedException;
import dev.d8.TaskResult;
import dev.d8.TaskWithdrawnException;
import dev.d8.UnknownOutcomeException;
import dev.d8.internal.SerialExecutor;
import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings the tasks that wait to slaves that have room, until each of them is over. Thread-safe.
 *
 * <p>All that changes is changed by actions that run one at a time, so what only they touch needs no lock, and an answer that comes
 * within a call never finds anything half done.
 *
 * <p>A slave has room or a task waits, never both: a task that comes looks for a slave unless others like it wait already, and a slave
 * that gets room looks for a task.
 */
final class Dispatcher {

    private static final Logger LOG = LoggerFactory.getLogger(SlaveManager.class);

    private final Fleet fleet;
    private final TaskStore store;
    private final ConnectionPolicy policy;
    private final TimeSource time;
    private final MasterMetrics metrics;
    private final Runnable whenPlaceFree;
    private final BiConsumer<Submission, TaskStore.Outcome> whenOver;
    private final SerialExecutor actions;
    private final Lanes lanes = new Lanes();

    /** Tasks of an earlier master whose slaves are not registered yet. */
    private final List<Submission> orphans = new ArrayList<>();

    private final long began;
    private boolean sweeping;
    private boolean stalled;
    private volatile boolean closed;

    /**
     * Prepares one.
     *
     * @param whenPlaceFree hears that a task that held a place waits no more
     * @param whenOver hears how a task ended, once that is written down
     */
    Dispatcher(
            Fleet fleet,
            TaskStore store,
            ConnectionPolicy policy,
            TimeSource time,
            Executor threads,
            MasterMetrics metrics,
            Runnable whenPlaceFree,
            BiConsumer<Submission, TaskStore.Outcome> whenOver) {
        this.fleet = fleet;
        this.store = store;
        this.policy = policy;
        this.time = time;
        this.metrics = metrics;
        this.whenPlaceFree = whenPlaceFree;
        this.whenOver = whenOver;
        began = time.nanoTime();
        actions = new SerialExecutor(threads);
        fleet.listen(this::fleetChanged, member -> actions.execute(() -> fill(member)));
    }

    /** Takes tasks that hold a place each. */
    void add(List<Submission> tasks) {
        actions.execute(() -> tasks.forEach(task -> {
            task.holdsPlace = true;
            task.acceptedAt = time.nanoTime();
            task.task.deadline().ifPresent(deadline -> expireAfter(task, deadline));
            enqueue(task);
        }));
    }

    /**
     * Takes a task of a master that is no more.
     *
     * @param left how long its result is still of use; null: as long as it takes
     * @param attempt where it was sent; null: it waited
     */
    void takeOver(Submission task, @Nullable Duration left, TaskStore.@Nullable Attempt attempt) {
        actions.execute(() -> {
            task.takenOver = true;
            if (left != null) {
                expireAfter(task, left);
            }
            if (!task.turnedAway.isEmpty()) {
                time.schedule(
                        policy.reconcileFor(),
                        () -> actions.execute(() -> {
                            if (lanes.remove(task)) {
                                enqueue(task);
                            }
                        }));
            }
            if (attempt != null) {
                await(task, attempt);
            } else {
                enqueue(task);
            }
        });
    }

    /** Has a task not start, or ends it. */
    void cancel(Submission task) {
        actions.execute(() -> cancelNow(task));
    }

    int waiting() {
        return lanes.size();
    }

    /** Changes nothing any more. */
    void close() {
        closed = true;
    }

    /** It was sent to a slave by a master that is no more: nobody but that slave knows what became of it. */
    private void await(Submission task, TaskStore.Attempt attempt) {
        task.phase = Submission.Phase.RUNNING;
        task.slave = attempt.slave();
        String what = "slave " + attempt.slave() + " had task " + task.id() + " when the master was ended, and ";
        if (attempt.bootId().isEmpty()) {
            lose(task, what + "cannot be asked what became of it");
            return;
        }
        task.resumesAt = attempt.bootId().get();
        orphans.add(task);
        adopt();
        time.schedule(
                policy.reconcileFor(),
                () -> actions.execute(() -> {
                    if (orphans.remove(task)) {
                        lose(
                                task,
                                what + "is not registered since "
                                        + policy.reconcileFor().toSeconds() + " s");
                    }
                }));
    }

    /** Goes on with tasks whose slaves are known by now. */
    private void adopt() {
        orphans.removeIf(task -> {
            Member member = task.slave == null ? null : fleet.get(task.slave);
            if (member != null) {
                member.enter();
                String bootId = task.resumesAt;
                attempt(
                        task,
                        member,
                        member.resume(task.invocation, bootId == null ? "" : bootId, task.task.idempotent()));
            }
            return member != null;
        });
    }

    private void giveUp(Submission task) {
        if (task.attempt != null) {
            task.givenUp = true;
            task.attempt.cancel(true);
        }
    }

    private void lose(Submission task, String why) {
        String slave = String.valueOf(task.slave);
        failed(task, slave, new UnknownOutcomeException(UnknownOutcomeException.Reason.CONNECTION_LOST, why, null));
    }

    private void enqueue(Submission task) {
        if (closed) {
            return;
        }
        if (task.cancelled) {
            finish(task, new TaskStore.Outcome(null, new CancellationException("cancelled")));
            return;
        }
        task.phase = Submission.Phase.QUEUED;
        task.needs = Needs.of(task.task, task.invocation, task.turnedAway.keySet());
        D8Exception over = overdue(task) ? late(task) : turnedAwayByAll(task) ? nobody(task) : null;
        if (over != null) {
            // One that may have run never ends as one that has not.
            finish(task, new TaskStore.Outcome(null, task.lost != null ? task.lost : over));
            return;
        }
        // Where others wait already, no slave has room.
        if (!lanes.add(task)) {
            sendFrom(task.needs);
            if (lanes.first(task.needs) != null && fleet.candidates(task.needs).isEmpty()) {
                LOG.warn("tasks wait for a slave: {}", nobody(task).getMessage());
            }
        }
    }

    private boolean overdue(Submission task) {
        return task.expiry != null && task.expiresAt - time.nanoTime() <= 0;
    }

    private static DeadlineExceededException late(Submission task) {
        return new DeadlineExceededException("no slave had room for " + task.task + " within "
                + task.task.deadline().map(Duration::toMillis).orElse(0L) / 1000.0 + " s");
    }

    /** A master that has just begun does not know all of its slaves yet. */
    private boolean turnedAwayByAll(Submission task) {
        return !task.turnedAway.isEmpty()
                && task.turnedAway.keySet().containsAll(fleet.ids())
                && (!task.takenOver || time.since(began).compareTo(policy.reconcileFor()) >= 0);
    }

    private NoSlaveException nobody(Submission task) {
        return Delivery.nobody(fleet, task.needs, task.task, task.turnedAway);
    }

    /** Other slaves than before can take tasks. */
    private void fleetChanged() {
        actions.execute(() -> {
            if (!orphans.isEmpty()) {
                adopt();
            }
            if (!sweeping && lanes.size() > 0) {
                sweeping = true; // Many changes in one moment are looked at once.
                actions.execute(() -> {
                    sweeping = false;
                    lanes.needs().forEach(this::sendFrom);
                });
            }
        });
    }

    /** Sends what waits with these needs, as long as a slave has room. */
    private void sendFrom(Needs needs) {
        while (!closed && !stalled) {
            Submission first = lanes.first(needs);
            if (first == null) {
                return;
            }
            Member member;
            try {
                member = fleet.enter(needs, first.task);
            } catch (RuntimeException e) { // A selector's fault.
                lanes.remove(first);
                finish(first, new TaskStore.Outcome(null, RobustConnection.infrastructure(e)));
                continue;
            }
            if (member == null) {
                return;
            }
            lanes.remove(first);
            send(first, member);
        }
    }

    /** Gives a slave that has room what waits for one like it. */
    private void fill(Member member) {
        while (lanes.size() > 0 && !closed && !stalled) {
            Submission next = lanes.first(needs -> fleet.suits(member, needs));
            if (next == null || !member.tryEnter()) {
                return;
            }
            lanes.remove(next);
            send(next, member);
        }
    }

    /** Writes down where it goes, then sends it: a master that dies in between asks there first. */
    private void send(Submission task, Member member) {
        if (task.holdsPlace) {
            metrics.sent(time.since(task.acceptedAt));
            leavePlace(task);
        }
        task.phase = Submission.Phase.RUNNING;
        task.slave = member.id;
        CompletableFuture<Void> kept = store.sent(task, new TaskStore.Attempt(member.id, member.bootId()));
        if (kept.isDone()) {
            sent(task, member, kept);
        } else {
            kept.whenComplete((value, error) -> actions.execute(() -> sent(task, member, kept)));
        }
    }

    private void sent(Submission task, Member member, CompletableFuture<Void> kept) {
        if (closed || task.cancelled || kept.isCompletedExceptionally()) {
            if (kept.isCompletedExceptionally()) {
                stall(); // Nothing leaves that is not written down.
            }
            enqueue(task);
            member.leave();
            return;
        }
        if (overdue(task)) {
            enqueue(task);
            member.leave();
            return;
        }
        Invocation invocation = task.invocation;
        if (task.expiry != null) {
            Duration left = Duration.ofNanos(Math.max(1_000_000, task.expiresAt - time.nanoTime()));
            if (left.compareTo(invocation.timeout()) < 0) {
                invocation = invocation.toBuilder().timeout(left).build();
            }
        }
        boolean alone = fleet.candidates(task.needs).size() == 1;
        attempt(
                task,
                member,
                member.execute(invocation, task.listener, alone ? policy.tries() : 1, task.task.idempotent()));
    }

    /** Nothing can be written down: it is tried again in a moment. */
    private void stall() {
        if (!stalled) {
            stalled = true;
            time.schedule(
                    Duration.ofSeconds(1),
                    () -> actions.execute(() -> {
                        stalled = false;
                        lanes.needs().forEach(this::sendFrom);
                    }));
        }
    }

    private void attempt(Submission task, Member member, CompletableFuture<TaskResult> attempt) {
        task.attempt = attempt;
        attempt.whenComplete((result, error) -> actions.execute(() -> {
            task.attempt = null;
            if (closed) {
                return; // Its slave was let go, which says nothing about the task.
            }
            if (error == null) {
                finish(task, new TaskStore.Outcome(result, null));
            } else if (task.cancelled) {
                finish(task, new TaskStore.Outcome(null, new CancellationException("cancelled")));
            } else if (task.givenUp) {
                lose(
                        task,
                        "slave " + member.id + " had task " + task.id()
                                + " and did not say what became of it by the task's deadline; it was told to end it");
            } else {
                if (error instanceof SlaveRefusedException refusal) {
                    member.pause(refusal.retryAfter().isZero() ? Duration.ofSeconds(1) : refusal.retryAfter());
                }
                failed(task, member.id, RobustConnection.infrastructure(error));
            }
        }));
    }

    private void failed(Submission task, String slave, D8Exception why) {
        if (!Delivery.mayGoElsewhere(why, task.task, task.losses)) {
            finish(task, new TaskStore.Outcome(null, why));
            return;
        }
        if (why instanceof UnknownOutcomeException unknown) {
            task.lost = task.lost == null ? unknown : task.lost;
            task.losses++;
        }
        if (why instanceof UnknownOutcomeException
                || why instanceof NoExecutorException
                || why instanceof TaskWithdrawnException) {
            task.turnedAway.put(slave, String.valueOf(why.getMessage()));
        }
        metrics.requeued();
        store.sent(task, null); // Not waited for: to ask there first would do no harm.
        enqueue(task);
    }

    private void cancelNow(Submission task) {
        if (task.phase == Submission.Phase.DONE || task.cancelled) {
            return;
        }
        task.cancelled = true;
        if (lanes.remove(task) || orphans.remove(task)) {
            finish(task, new TaskStore.Outcome(null, new CancellationException("cancelled")));
        } else if (task.attempt != null) {
            task.attempt.cancel(true);
        }
    }

    private void expireAfter(Submission task, Duration left) {
        task.expiresAt = time.nanoTime() + left.toNanos();
        task.expiry = time.schedule(
                left,
                () -> actions.execute(() -> {
                    if (task.phase == Submission.Phase.RUNNING) {
                        // It has the deadline for its time-out; who does not answer by then, with a margin, is not
                        // waited for.
                        time.schedule(policy.executeMargin(), () -> actions.execute(() -> giveUp(task)));
                    } else if (lanes.remove(task)) {
                        enqueue(task);
                    }
                }));
    }

    /** Writes down how it ended, then tells. */
    private void finish(Submission task, TaskStore.Outcome outcome) {
        if (task.phase == Submission.Phase.DONE) {
            return;
        }
        task.phase = Submission.Phase.DONE;
        leavePlace(task);
        if (task.expiry != null) {
            task.expiry.cancel();
        }
        metrics.ended(outcome);
        store.ended(task, outcome).whenComplete((kept, trouble) -> whenOver.accept(task, outcome));
    }

    private void leavePlace(Submission task) {
        if (task.holdsPlace) {
            task.holdsPlace = false;
            whenPlaceFree.run();
        }
    }
}
