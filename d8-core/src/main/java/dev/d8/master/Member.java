package dev.d8.master;

import dev.d8.D8Exception;
import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveUnreachableException;
import dev.d8.TaskResult;
import dev.d8.VersionInfo;
import dev.d8.VersionMismatchException;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.TimeSource;
import java.net.URI;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/** One registered slave: its connection and what the last health check made of it. Thread-safe. */
final class Member {

    final String id;
    final URI address;
    final RobustConnection connection;

    private final Set<String> labels;
    private final VersionInfo own;
    private final VersionPolicy policy;
    private final ConnectionPolicy connections;
    private final TimeSource time;
    private final BiConsumer<Slave, Slave> onChange;
    private final AtomicInteger inFlight = new AtomicInteger();

    private SlaveStatus status = SlaveStatus.UNKNOWN;
    private String reason = "not checked yet";
    private @Nullable Health health;
    private boolean removed;
    private @Nullable CompletableFuture<SlaveStatus> check;

    Member(
            String id,
            URI address,
            Set<String> labels,
            RobustConnection connection,
            VersionInfo own,
            VersionPolicy policy,
            ConnectionPolicy connections,
            TimeSource time,
            BiConsumer<Slave, Slave> onChange) {
        this.id = id;
        this.address = address;
        this.labels = labels;
        this.connection = connection;
        this.own = own;
        this.policy = policy;
        this.connections = connections;
        this.time = time;
        this.onChange = onChange;
    }

    synchronized Slave snapshot() {
        return new Slave(
                id,
                address,
                labels,
                status,
                reason,
                Optional.ofNullable(health),
                connection.circuit(),
                connection.suspected(),
                inFlight.get());
    }

    /** Asks the slave how it is; a check that is under way serves every caller. */
    CompletableFuture<SlaveStatus> check() {
        CompletableFuture<SlaveStatus> mine;
        synchronized (this) {
            if (check != null) {
                return check.copy();
            }
            mine = new CompletableFuture<>();
            check = mine;
        }
        connection.health().whenComplete((answer, error) -> {
            SlaveStatus result;
            try {
                result = error == null ? answered(answer) : failed(RobustConnection.infrastructure(error));
            } finally {
                synchronized (this) {
                    check = null;
                }
            }
            mine.complete(result);
        });
        return mine.copy();
    }

    private SlaveStatus answered(Health answer) {
        boolean same = answer.version().sameCommit(own);
        if (answer.draining()) {
            return become(SlaveStatus.DRAINING, "it is about to stop", answer);
        }
        if (same || policy == VersionPolicy.IGNORE) {
            return become(SlaveStatus.ALIVE, "it answers", answer);
        }
        String difference = "it runs " + describe(answer.version()) + ", the master " + describe(own);
        return become(
                policy == VersionPolicy.WARN ? SlaveStatus.ALIVE : SlaveStatus.VERSION_MISMATCH, difference, answer);
    }

    private static String describe(VersionInfo version) {
        return "commit " + version.shortCommit() + (version.dirty() ? " (with uncommitted changes)" : "");
    }

    private SlaveStatus failed(D8Exception error) {
        if (error instanceof SlaveRefusedException) {
            return snapshot().status(); // It answers, if only to say that it is busy: no news of its health.
        }
        return become(SlaveStatus.DEAD, String.valueOf(error.getMessage()), null);
    }

    private SlaveStatus become(SlaveStatus next, String why, @Nullable Health answer) {
        Slave before;
        synchronized (this) {
            if (removed) {
                return status;
            }
            before = snapshot();
            status = next;
            reason = why;
            health = answer != null ? answer : health;
            // A dead slave's last words may vary; that it is dead is said once.
            boolean otherReason = next != SlaveStatus.DEAD && !before.reason().equals(why);
            if (before.status() != next || otherReason) {
                onChange.accept(before, snapshot());
            }
        }
        return next;
    }

    /** Runs a task here, and nowhere else. A slave that knows tasks by their ids is asked what became of it. */
    CompletableFuture<TaskResult> execute(
            Invocation invocation, ExecutionListener listener, int tries, boolean idempotent) {
        Slave now = snapshot();
        if (now.status() == SlaveStatus.VERSION_MISMATCH) {
            return CompletableFuture.failedFuture(new VersionMismatchException(id + ": " + now.reason()
                    + ". Bring both to one commit, or choose the version policy warn or ignore"));
        }
        if (now.status() == SlaveStatus.DEAD) {
            return CompletableFuture.failedFuture(
                    new SlaveUnreachableException(id + " is dead: " + now.reason(), null));
        }
        Optional<String> bootId = now.health().flatMap(Health::bootId);
        CompletableFuture<TaskResult> call = bootId.isEmpty()
                ? connection.execute(invocation, listener, tries)
                : new Flight(
                                id,
                                connection,
                                invocation,
                                listener,
                                bootId.get(),
                                time,
                                idempotent ? Duration.ZERO : connections.reconcileFor())
                        .start(tries);
        inFlight.incrementAndGet();
        CompletableFuture<TaskResult> result = new CompletableFuture<>();
        call.whenComplete((value, error) -> {
            inFlight.decrementAndGet(); // Before the caller hears of it and perhaps sends the next one.
            RobustConnection.complete(result, value, error);
        });
        RobustConnection.cancelWith(result, call);
        return result;
    }

    /** Lets go of the slave. No change is told any more. */
    void remove() {
        synchronized (this) {
            removed = true;
        }
        connection.close();
    }

    /** Why this slave cannot take a task with these needs; empty: it can. */
    static Optional<String> objection(Slave slave, Set<String> labels, Invocation invocation) {
        if (!slave.available()) {
            return Optional.of(slave.status() == SlaveStatus.ALIVE ? "its circuit is open" : slave.reason());
        }
        if (!slave.labels().containsAll(labels)) {
            return Optional.of("it lacks one of the labels " + labels);
        }
        Optional<Boolean> hasMethod = slave.health()
                .flatMap(answer -> invocation
                        .method()
                        .map(method -> answer.executionMethods().getOrDefault(method, false)));
        if (hasMethod.isPresent() && !hasMethod.get()) {
            return Optional.of("it has no executor " + invocation.method().orElseThrow());
        }
        return Optional.empty();
    }
}
