package dev.d8.master;

import dev.d8.Invocation;
import dev.d8.NoExecutorException;
import dev.d8.NoSlaveException;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveUnreachableException;
import dev.d8.Task;
import dev.d8.TaskResult;
import dev.d8.TaskWithdrawnException;
import dev.d8.UnknownOutcomeException;
import dev.d8.VersionMismatchException;
import dev.d8.spi.ExecutionListener;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** One task that does not wait, on its way from slave to slave until one of them has taken it. */
final class Delivery {

    /** A task under which so many slaves were lost is likely to be the reason, and gets no other one. */
    static final int MOST_LOSSES = 2;

    private final CompletableFuture<TaskResult> result = new CompletableFuture<>();
    private final Fleet fleet;
    private final Task task;
    private final Invocation invocation;
    private final ExecutionListener listener;
    private final int tries;
    private final Map<String, String> turnedAway = new LinkedHashMap<>();
    private @Nullable UnknownOutcomeException lost;
    private int losses;

    /**
     * Prepares one.
     *
     * @param tries how often the last slave that is left is tried
     */
    Delivery(Fleet fleet, Task task, Invocation invocation, ExecutionListener listener, int tries) {
        this.fleet = fleet;
        this.task = task;
        this.invocation = invocation;
        this.listener = listener;
        this.tries = tries;
    }

    CompletableFuture<TaskResult> start() {
        next();
        return result;
    }

    private void next() {
        try {
            goOn();
        } catch (RuntimeException e) { // A selector's fault, say: it must not pass unheard in a callback.
            result.completeExceptionally(RobustConnection.infrastructure(e));
        }
    }

    private void goOn() {
        Needs needs = Needs.of(task, invocation, turnedAway.keySet());
        Member member = fleet.choose(needs, task);
        if (member == null) {
            result.completeExceptionally(lost != null ? lost : nobody(fleet, needs, task, turnedAway));
            return;
        }
        // With another slave at hand, moving on beats waiting for this one.
        boolean alone = fleet.size() - turnedAway.size() == 1;
        member.enter();
        CompletableFuture<TaskResult> attempt =
                member.execute(invocation, listener, alone ? tries : 1, task.idempotent());
        attempt.whenComplete((answer, error) -> {
            if (error == null) {
                result.complete(answer);
                return;
            }
            Throwable why = RobustConnection.unwrap(error);
            if (result.isDone() || !mayGoElsewhere(why, task, losses)) {
                result.completeExceptionally(why);
                return;
            }
            if (why instanceof UnknownOutcomeException unknown) {
                lost = lost == null ? unknown : lost;
                losses++;
            }
            turnedAway.put(member.id, String.valueOf(why.getMessage()));
            next();
        });
        RobustConnection.cancelWith(result, attempt);
    }

    /**
     * Returns whether a task may be sent to another slave after this.
     *
     * @param losses how many slaves were lost under it before
     */
    static boolean mayGoElsewhere(Throwable error, Task task, int losses) {
        return error instanceof SlaveUnreachableException
                || error instanceof SlaveRefusedException
                || error instanceof VersionMismatchException
                || error instanceof NoExecutorException
                || error instanceof TaskWithdrawnException
                || (error instanceof UnknownOutcomeException && task.idempotent() && losses + 1 < MOST_LOSSES);
    }

    /** Says of each slave why it is not the one. */
    static NoSlaveException nobody(Fleet fleet, Needs needs, Task task, Map<String, String> turnedAway) {
        Map<String, String> objections = fleet.objections(needs, turnedAway);
        return new NoSlaveException("no slave could take " + task + ": "
                + (objections.isEmpty()
                        ? "none is registered"
                        : objections.entrySet().stream()
                                .map(one -> one.getKey() + ": " + one.getValue())
                                .collect(Collectors.joining("; "))));
    }
}
