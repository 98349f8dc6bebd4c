package dev.d8.slave;

import dev.d8.D8Exception;
import dev.d8.InvalidTaskException;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveUpdate;
import dev.d8.UpdateRefusedException;
import dev.d8.spi.Caller;
import dev.d8.version.Checkout;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Brings the slave's own checkout to a commit that a caller names, while no task is there, and has it start anew. Thread-safe. */
final class SelfUpdate {

    private static final Logger LOG = LoggerFactory.getLogger(SelfUpdate.class);

    private static final Pattern COMMIT = Pattern.compile("[0-9a-fA-F]{40}");

    /** When tasks may be over; nobody can know. */
    private static final Duration RETRY_AFTER = Duration.ofSeconds(30);

    private final @Nullable Allowed allowed;
    private final TaskRunner runner;
    private final String running;
    private final AuditLog audit;
    private final Executor threads;
    private final AtomicBoolean underWay = new AtomicBoolean();

    /**
     * What a slave needs that may update itself.
     *
     * @param restart ends the process so that it is started again
     */
    record Allowed(Checkout checkout, Runnable restart) {}

    /**
     * Creates one.
     *
     * @param running the commit that the process was started from
     * @param threads where it may block
     */
    SelfUpdate(@Nullable Allowed allowed, TaskRunner runner, String running, AuditLog audit, Executor threads) {
        this.allowed = allowed;
        this.runner = runner;
        this.running = running;
        this.audit = audit;
        this.threads = threads;
    }

    /** See {@link dev.d8.spi.SlaveService#update}. */
    CompletableFuture<SlaveUpdate> update(Caller caller, String asked) {
        CompletableFuture<SlaveUpdate> result = new CompletableFuture<>();
        try {
            Allowed may = objection(asked);
            String commit = asked.toLowerCase(Locale.ROOT);
            if (commit.equalsIgnoreCase(running)) {
                result.complete(new SlaveUpdate(running, running));
            } else if (underWay.compareAndSet(false, true)) {
                try {
                    threads.execute(() -> update(may, caller, commit, result));
                } catch (RejectedExecutionException e) {
                    underWay.set(false);
                    throw TaskRunner.draining();
                }
            } else {
                throw busy("another update is under way");
            }
        } catch (D8Exception e) {
            refused(caller, asked, e, result);
        }
        return result.copy(); // Whoever goes stops nothing.
    }

    private Allowed objection(String commit) {
        if (allowed == null) {
            throw new UpdateRefusedException(
                    UpdateRefusedException.Reason.OFF, "this slave does not update itself (./d8 slave --allow-update)");
        }
        if (!COMMIT.matcher(commit).matches()) {
            throw new InvalidTaskException("commit", "no full hash (expected: 40 hexadecimal digits)");
        }
        if (runner.isDraining()) {
            throw TaskRunner.draining();
        }
        requireIdle();
        return allowed;
    }

    private void requireIdle() {
        if (runner.unfinished() > 0) {
            throw busy(runner.unfinished() + " tasks run or wait");
        }
    }

    private static SlaveRefusedException busy(String why) {
        return new SlaveRefusedException(SlaveRefusedException.Reason.QUEUE_FULL, RETRY_AFTER, "busy: " + why);
    }

    private void update(Allowed may, Caller caller, String commit, CompletableFuture<SlaveUpdate> result) {
        try {
            may.checkout().fetch(commit); // Tasks may come meanwhile: a network takes its time.
            bring(may.checkout(), commit);
        } catch (D8Exception e) {
            underWay.set(false);
            refused(caller, commit, e, result);
            return;
        } catch (RuntimeException | Error e) {
            underWay.set(false);
            result.completeExceptionally(e);
            return;
        }
        LOG.info("updated from {} to {}, for {}; starts anew", running, commit, caller);
        audit.update(caller, commit, null);
        result.complete(new SlaveUpdate(running, commit));
        may.restart().run();
    }

    /** From here on no task comes in, unless it fails. */
    private void bring(Checkout checkout, String commit) {
        if (!runner.pauseIfIdle()) {
            requireIdle();
            throw busy("a task has just been here"); // Or the slave is stopping.
        }
        boolean done = false;
        try {
            checkout.fastForward(commit);
            done = true;
        } finally {
            if (!done) {
                runner.resume();
            }
        }
    }

    private void refused(Caller caller, String commit, D8Exception why, CompletableFuture<SlaveUpdate> result) {
        LOG.info("not updated, though {} asked for it: {}", caller, why.getMessage());
        audit.update(caller, commit, why);
        result.completeExceptionally(why);
    }
}
