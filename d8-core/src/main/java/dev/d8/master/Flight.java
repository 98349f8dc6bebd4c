package dev.d8.master;

import dev.d8.D8Exception;
import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.ProtocolException;
import dev.d8.SlaveUnreachableException;
import dev.d8.TaskResult;
import dev.d8.TaskState;
import dev.d8.TaskWithdrawnException;
import dev.d8.Termination;
import dev.d8.UnknownOutcomeException;
import dev.d8.UnknownOutcomeException.Reason;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * One task on one slave that knows tasks by their ids, until it is certain what became of it, or that nobody will know.
 * Thread-safe; no method blocks.
 *
 * <p>Beside the call whose answer is the result it asks the slave how the task is: seldom while the call is open, which finds
 * out that the slave has stopped moving, and at once when the answer was lost. A task that the slave has never heard of
 * may be sent to it again, since it is the same task by its id; one that the slave was restarted under is lost.
 */
final class Flight {

    /** How long one question waits for the task's end once the answer was lost, at the most. */
    private static final Duration LONG_POLL = Duration.ofSeconds(20);

    /** How soon it is asked again where it could not be reached, or answered without waiting. */
    private static final Duration PAUSE = Duration.ofSeconds(1);

    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(15);

    /** How often in a row a slave says that it has never heard of the task, before one no longer waits for an open call to arrive. */
    private static final int ABSENCES = 2;

    private static final int MOST_SENDINGS = 5;

    final CompletableFuture<TaskResult> result = new CompletableFuture<>();

    private final String slave;
    private final RobustConnection connection;
    private final Invocation invocation;
    private final ExecutionListener listener;
    private final String bootId;
    private final TimeSource time;
    private final Duration patience;
    private final Duration lookEvery;
    private final Duration longPoll;
    private final List<CompletableFuture<TaskResult>> calls = new ArrayList<>();

    private int open;
    private int lookings;
    private boolean looking;

    /** Whether the end has been decided on, so that nothing may leave any more. */
    private boolean decided;

    private int sendings;
    private int absences;
    private long lastContact;
    private int missedInARow;
    private @Nullable D8Exception lost;
    private @Nullable D8Exception withdrawn;
    private TimeSource.@Nullable Scheduled timer;

    /**
     * Prepares one.
     *
     * @param bootId of the process that the task is sent to
     * @param patience how long the slave may be out of reach before the outcome counts as unknown
     * @param lookEvery how often it is asked while a call is open
     */
    Flight(
            String slave,
            RobustConnection connection,
            Invocation invocation,
            ExecutionListener listener,
            String bootId,
            TimeSource time,
            Duration patience,
            Duration lookEvery) {
        this.slave = slave;
        this.connection = connection;
        this.invocation = invocation;
        this.listener = listener == ExecutionListener.NONE ? listener : new Heard(listener);
        this.bootId = bootId;
        this.time = time;
        this.patience = patience;
        this.lookEvery = lookEvery;
        this.longPoll = lookEvery.compareTo(LONG_POLL) < 0 ? lookEvery : LONG_POLL;
        this.lastContact = time.nanoTime();
    }

    /** Sends the task. */
    CompletableFuture<TaskResult> start(int tries) {
        result.whenComplete((value, error) -> over());
        send(tries);
        lookAfter(lookEvery);
        return result;
    }

    /** Goes on with a task that was sent by a master that is no more. */
    CompletableFuture<TaskResult> resume() {
        synchronized (this) {
            sendings = 1; // What that one sent may still be on its way.
            lost = new UnknownOutcomeException(Reason.CONNECTION_LOST, "the master was restarted", null);
        }
        result.whenComplete((value, error) -> over());
        look();
        return result;
    }

    private void send(int tries) {
        // A slave tells a task from its beginning: who has heard something would hear it twice.
        ExecutionListener hears =
                listener instanceof Heard heard && heard.something ? ExecutionListener.NONE : listener;
        synchronized (this) {
            if (decided || result.isDone()) {
                return;
            }
            open++; // Before it leaves: whoever decides meanwhile must know of it.
            sendings++;
        }
        CompletableFuture<TaskResult> call = connection.executeUnhurried(invocation, hears, tries);
        synchronized (this) {
            calls.add(call);
        }
        call.whenComplete((value, error) -> {
            synchronized (this) {
                open--;
            }
            if (error == null) {
                result.complete(value);
            } else {
                failed(RobustConnection.infrastructure(error));
            }
        });
        if (result.isDone()) {
            call.cancel(true); // It was over before this call could be let go of with the others.
        }
    }

    private void failed(D8Exception error) {
        boolean only;
        boolean others;
        synchronized (this) {
            only = sendings == 1;
            decided = decided || (only && !(error instanceof UnknownOutcomeException));
            others = open > 0;
            lost = lost == null || !(error instanceof SlaveUnreachableException) ? error : lost;
        }
        if (!(error instanceof UnknownOutcomeException) && only) {
            result.completeExceptionally(error); // It certainly did not start.
        } else if (error instanceof UnknownOutcomeException || others) {
            look();
        } else {
            forget(error);
        }
    }

    /** A second sending was turned away. What was sent first may still be on its way, so the slave is told to ignore it. */
    private void forget(D8Exception refusal) {
        if (result.isDone()) {
            return;
        }
        synchronized (this) {
            withdrawn = refusal;
        }
        connection.cancel(invocation.taskId()).whenComplete((state, error) -> {
            if (error == null && state.result().isPresent()) {
                ended(state.result().get());
            } else {
                lookAfter(PAUSE);
            }
        });
    }

    /** It is over; what was withdrawn has not failed, it has never run. */
    private void ended(TaskResult end) {
        D8Exception refusal;
        synchronized (this) {
            refusal = withdrawn;
        }
        if (refusal == null || end.termination().status() != Termination.Status.CANCELLED) {
            result.complete(end);
        } else if (end.timing().isEmpty()) {
            result.completeExceptionally(new TaskWithdrawnException(
                    slave + " has promised to ignore task " + invocation.taskId() + ", since: " + refusal.getMessage(),
                    refusal));
        } else {
            unknown("it came after all, and was ended");
        }
    }

    private void lookAfter(Duration pause) {
        synchronized (this) {
            if (result.isDone()) {
                return;
            }
            if (timer != null) {
                timer.cancel();
            }
            timer = time.schedule(pause, this::look);
        }
    }

    /** Asks how the task is. */
    private void look() {
        Duration wait;
        long asked;
        synchronized (this) {
            if (result.isDone() || looking) {
                return;
            }
            looking = true;
            lookings++;
            asked = time.nanoTime();
            wait = open > 0 || lookings == 1 ? Duration.ZERO : longPoll;
        }
        connection.find(invocation.taskId(), wait).whenComplete((state, error) -> {
            synchronized (this) {
                looking = false;
            }
            if (error != null) {
                missed(RobustConnection.infrastructure(error));
            } else {
                seen(state, asked);
            }
        });
    }

    private void seen(Optional<TaskState> state, long asked) {
        heard();
        if (state.isEmpty()) {
            neverCame();
            return;
        }
        synchronized (this) {
            absences = 0;
        }
        switch (state.get().phase()) {
            case DONE -> ended(state.get().result().orElseThrow());
            case FORGOTTEN -> unknown("it has run there, and its result is no longer kept");
            default -> {
                boolean waits;
                synchronized (this) {
                    waits = open > 0;
                }
                // Who answers a question that waits at once has not understood it.
                lookAfter(waits ? lookEvery : time.since(asked).compareTo(PAUSE) < 0 ? PAUSE : Duration.ZERO);
            }
        }
    }

    /** Whether that is so for good depends on whether it is the same process that was to get it. */
    private void neverCame() {
        connection.health().whenComplete((health, error) -> {
            if (error != null) {
                missed(RobustConnection.infrastructure(error));
                return;
            }
            heard();
            if (!health.bootId().equals(Optional.of(bootId))) {
                unknown(restarted(health));
                return;
            }
            boolean underWay;
            boolean enough;
            synchronized (this) {
                underWay = open > 0 && ++absences < ABSENCES;
                enough = sendings >= MOST_SENDINGS;
                absences = underWay ? absences : 0;
            }
            if (underWay) {
                lookAfter(lookEvery);
            } else if (enough) {
                forget(new SlaveUnreachableException(
                        slave + ": task " + invocation.taskId() + " was sent " + MOST_SENDINGS
                                + " times and does not arrive",
                        null));
            } else {
                send(1); // The calls before stay open: to give one up would end the task.
                lookAfter(lookEvery);
            }
        });
    }

    private static String restarted(Health health) {
        return "it was restarted" + (health.bootId().isEmpty() ? " with another version" : "")
                + " since the task was sent to it";
    }

    private synchronized void heard() {
        lastContact = time.nanoTime();
        missedInARow = 0;
    }

    private void missed(D8Exception error) {
        if (error instanceof ProtocolException || connection.closed()) {
            unknown(connection.closed() ? "the master let go of it" : "it cannot be asked for tasks");
            return;
        }
        Duration pause;
        Duration silent;
        synchronized (this) {
            missedInARow++;
            silent = time.since(lastContact);
            pause = PAUSE.multipliedBy(1L << Math.min(missedInARow, 4));
        }
        if (silent.compareTo(patience) >= 0) {
            unknown("it cannot be reached since " + silent.toSeconds() + " s: " + error.getMessage());
        } else {
            lookAfter(pause.compareTo(LONGEST_PAUSE) < 0 ? pause : LONGEST_PAUSE);
        }
    }

    private void unknown(String why) {
        D8Exception first;
        synchronized (this) {
            first = lost;
        }
        Reason reason = first instanceof UnknownOutcomeException seen ? seen.reason() : Reason.TIMEOUT;
        result.completeExceptionally(new UnknownOutcomeException(
                reason,
                "slave " + slave + " had task " + invocation.taskId() + " and nobody knows what became of it: "
                        + (first == null ? "" : first.getMessage() + "; ") + why,
                first));
    }

    /** Knows whether its listener has heard anything yet. */
    private static final class Heard implements ExecutionListener {
        private final ExecutionListener listener;
        volatile boolean something;

        Heard(ExecutionListener listener) {
            this.listener = listener;
        }

        @Override
        public void started() {
            something = true;
            listener.started();
        }

        @Override
        public void output(Stream stream, byte[] chunk) {
            something = true;
            listener.output(stream, chunk);
        }

        @Override
        public void progress(double percent, String message) {
            something = true;
            listener.progress(percent, message);
        }
    }

    /** Lets go of everything. What is still open is given up, and the slave told so by that. */
    private void over() {
        List<CompletableFuture<TaskResult>> left;
        TimeSource.Scheduled waits;
        boolean tell;
        synchronized (this) {
            left = calls.stream().filter(call -> !call.isDone()).toList();
            waits = timer;
            tell = left.isEmpty() && result.isCancelled();
        }
        if (waits != null) {
            waits.cancel();
        }
        if (connection.closed()) {
            return; // The slave was let go, not the task: nobody tells it to end that.
        }
        left.forEach(call -> call.cancel(true));
        if (tell) {
            connection.cancel(invocation.taskId());
        }
    }
}
