package dev.d8.master;

import dev.d8.D8Exception;
import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.SlaveUnreachableException;
import dev.d8.SlaveUpdate;
import dev.d8.TaskEvent;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.TaskState;
import dev.d8.UnknownOutcomeException;
import dev.d8.UnknownOutcomeException.Reason;
import dev.d8.VersionInfo;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * One slave's connection with a time-out over every whole answer, a second try where that is safe, and a circuit breaker.
 * Thread-safe; no method blocks.
 *
 * <p>A task is sent again only if it certainly did not leave ({@link SlaveUnreachableException}); health and version,
 * which change nothing, also after a lost answer.
 */
public final class RobustConnection implements SlaveClient {

    /** No time-out. */
    private static final Duration UNHURRIED = Duration.ZERO;

    /** A slave fetches over a network before it answers. */
    private static final Duration UPDATE_TIMEOUT = Duration.ofMinutes(5);

    private final SlaveClient client;
    private final String slave;
    private final ConnectionPolicy policy;
    private final TimeSource time;
    private final RandomGenerator random;
    private final CircuitBreaker breaker;
    private final Set<Attempts<?>> unanswered = ConcurrentHashMap.newKeySet();
    private volatile Runnable whenTrustChanged = () -> {};
    private volatile boolean suspected;
    private volatile long latencyNanos;
    private volatile boolean closed;

    /**
     * Creates a connection.
     *
     * @param client the transport's client; closed with this
     * @param slave the slave's name, for messages
     * @param random where the jitter comes from
     */
    public RobustConnection(
            SlaveClient client, String slave, ConnectionPolicy policy, TimeSource time, RandomGenerator random) {
        this.client = client;
        this.slave = slave;
        this.policy = policy;
        this.time = time;
        this.random = random;
        this.breaker = new CircuitBreaker(policy, time, random);
    }

    /** Returns whether calls are let through. */
    public CircuitState circuit() {
        return breaker.state();
    }

    /** Returns whether it has been closed. */
    boolean closed() {
        return closed;
    }

    /** Returns whether the last call failed in a way that speaks against the slave. */
    public boolean suspected() {
        return suspected;
    }

    /** Sets who hears that the slave is suspected now, or its circuit open, or no longer. */
    void onTrustChanged(Runnable listener) {
        whenTrustChanged = listener;
    }

    /** Returns how long a health check takes, smoothed over the last few; empty before the first answer. */
    Optional<Duration> latency() {
        long nanos = latencyNanos;
        return nanos == 0 ? Optional.empty() : Optional.of(Duration.ofNanos(nanos));
    }

    @Override
    public CompletableFuture<Health> health() {
        return new Attempts<>(() -> checkOnce(), policy.tries(), RobustConnection::gotNoAnswer).start();
    }

    @Override
    public CompletableFuture<VersionInfo> version() {
        return repeated(policy.versionTimeout(), client::version, "version");
    }

    @Override
    public CompletableFuture<TaskResult> execute(Invocation invocation, ExecutionListener listener) {
        return execute(invocation, listener, policy.tries());
    }

    /** Like {@link #execute(Invocation, ExecutionListener)}, with another number of tries. */
    CompletableFuture<TaskResult> execute(Invocation invocation, ExecutionListener listener, int tries) {
        return execute(invocation, listener, tries, invocation.timeout().plus(policy.executeMargin()));
    }

    /**
     * Like {@link #execute(Invocation, ExecutionListener)}, without a time-out: for whoever asks the slave how the task is, beside the
     * call.
     */
    CompletableFuture<TaskResult> executeUnhurried(Invocation invocation, ExecutionListener listener, int tries) {
        return execute(invocation, listener, tries, UNHURRIED);
    }

    private CompletableFuture<TaskResult> execute(
            Invocation invocation, ExecutionListener listener, int tries, Duration limit) {
        return new Attempts<>(
                        () -> executeOnce(invocation, listener, limit),
                        tries,
                        // While the circuit is open another try would only be turned away again.
                        error -> error instanceof SlaveUnreachableException && breaker.state() == CircuitState.CLOSED)
                .start();
    }

    /** Sent again after a lost answer, too: a slave that takes tasks this way knows them by their ids. */
    @Override
    public CompletableFuture<TaskState> submit(Invocation invocation) {
        return repeated(policy.healthTimeout(), () -> client.submit(invocation), "answer");
    }

    @Override
    public CompletableFuture<Optional<TaskState>> find(TaskId id, Duration wait) {
        return repeated(policy.healthTimeout().plus(wait), () -> client.find(id, wait), "state");
    }

    @Override
    public CompletableFuture<TaskState> cancel(TaskId id) {
        return repeated(policy.healthTimeout(), () -> client.cancel(id), "answer");
    }

    /** Made once: whoever asks sees by the slave's health what came of it. */
    @Override
    public CompletableFuture<SlaveUpdate> update(String commit) {
        return new Attempts<>(
                        () -> watched(breaker.pass(), UPDATE_TIMEOUT, () -> client.update(commit), "answer"),
                        1,
                        RobustConnection::gotNoAnswer)
                .start();
    }

    /** Not watched: a task may be silent for long. */
    @Override
    public CompletableFuture<Optional<TaskEvent>> follow(TaskId id, long from, Consumer<TaskEvent> listener) {
        return client.follow(id, from, listener);
    }

    private <T> CompletableFuture<T> repeated(Duration limit, Supplier<CompletableFuture<T>> call, String what) {
        return new Attempts<>(
                        () -> watched(breaker.pass(), limit, call, what), policy.tries(), RobustConnection::gotNoAnswer)
                .start();
    }

    private CompletableFuture<TaskResult> executeOnce(
            Invocation invocation, ExecutionListener listener, Duration limit) {
        long pass = breaker.pass();
        if (pass == CircuitBreaker.VOID) {
            Duration rest = breaker.turnedAwayFor();
            if (!rest.isZero() || breaker.state() == CircuitState.HALF_OPEN) {
                return CompletableFuture.failedFuture(circuitOpen(rest));
            }
            CompletableFuture<TaskResult> result = new CompletableFuture<>();
            CompletableFuture<Health> check = checkOnce();
            check.whenComplete((health, error) -> {
                if (error != null || breaker.pass() == CircuitBreaker.VOID) {
                    result.completeExceptionally(
                            error != null ? notSent(unwrap(error)) : circuitOpen(breaker.turnedAwayFor()));
                } else if (!result.isDone()) {
                    CompletableFuture<TaskResult> call = executeOnce(invocation, listener, limit);
                    call.whenComplete((answer, failure) -> complete(result, answer, failure));
                    cancelWith(result, call);
                }
            });
            cancelWith(result, check);
            return result;
        }
        return watched(pass, limit, () -> client.execute(invocation, listener), "result");
    }

    /** Asks once, and not again if that fails. */
    CompletableFuture<Health> checkOnce() {
        long asked = time.nanoTime();
        CompletableFuture<Health> check =
                watched(breaker.healthPass(), policy.healthTimeout(), client::health, "health");
        CompletableFuture<Health> result = new CompletableFuture<>();
        check.whenComplete((answer, error) -> {
            if (error == null) {
                long nanos = Math.max(1, time.nanoTime() - asked);
                latencyNanos = latencyNanos == 0 ? nanos : (7 * latencyNanos + 3 * nanos) / 10;
            }
            complete(result, answer, error);
        });
        cancelWith(result, check);
        return result;
    }

    /** The health check's outcome is not the task's: that was not sent. */
    private Throwable notSent(Throwable error) {
        return gotNoAnswer(error)
                ? new SlaveUnreachableException(
                        slave + ": not sent, since its health check failed: " + error.getMessage(), error)
                : error;
    }

    private SlaveUnreachableException circuitOpen(Duration rest) {
        return new SlaveUnreachableException(
                slave + ": not tried, after " + policy.failuresToOpen() + " failures in a row; next try "
                        + (rest.isZero() ? "after the health check under way" : "in " + (rest.toSeconds() + 1) + " s"),
                null);
    }

    /** Makes a call and gives it up if it takes too long. The breaker knows its outcome before the caller does. */
    private <T> CompletableFuture<T> watched(
            long pass, Duration limit, Supplier<CompletableFuture<T>> call, String what) {
        CompletableFuture<T> result = new CompletableFuture<>();
        AtomicBoolean over = new AtomicBoolean();
        CompletableFuture<T> inner = call.get();
        TimeSource.Scheduled timer = limit.equals(UNHURRIED)
                ? () -> {}
                : time.schedule(limit, () -> {
                    if (over.compareAndSet(false, true)) {
                        UnknownOutcomeException late = new UnknownOutcomeException(
                                Reason.TIMEOUT,
                                slave + ": no " + what + " within " + limit.toMillis() / 1000.0 + " s",
                                null);
                        settle(pass, late);
                        inner.cancel(true);
                        result.completeExceptionally(late);
                    }
                });
        inner.whenComplete((answer, error) -> {
            if (over.compareAndSet(false, true)) {
                timer.cancel();
                settle(pass, error == null ? null : unwrap(error));
                complete(result, answer, error);
            }
        });
        result.whenComplete((answer, error) -> {
            if (over.compareAndSet(false, true)) { // Given up by the caller.
                timer.cancel();
                breaker.givenUp(pass);
                inner.cancel(true);
            }
        });
        return result;
    }

    private void settle(long pass, @Nullable Throwable error) {
        boolean changed;
        synchronized (breaker) {
            boolean wasSuspected = suspected;
            CircuitState before = breaker.state();
            suspected = error != null && gotNoAnswer(error);
            if (suspected) {
                breaker.failed(pass);
            } else {
                breaker.succeeded(pass);
            }
            changed = wasSuspected != suspected || before != breaker.state();
        }
        if (changed) {
            whenTrustChanged.run();
        }
    }

    private static boolean gotNoAnswer(Throwable error) {
        return error instanceof SlaveUnreachableException || error instanceof UnknownOutcomeException;
    }

    static <T> void complete(CompletableFuture<T> future, T value, @Nullable Throwable error) {
        if (error != null) {
            future.completeExceptionally(unwrap(error));
        } else {
            future.complete(value);
        }
    }

    static void cancelWith(CompletableFuture<?> outer, CompletableFuture<?> inner) {
        outer.whenComplete((value, error) -> {
            if (!inner.isDone()) { // Cancelled, or timed out by the caller: either way nobody waits any more.
                inner.cancel(true);
            }
        });
    }

    static Throwable unwrap(Throwable error) {
        return error instanceof CompletionException && error.getCause() != null ? error.getCause() : error;
    }

    @Override
    public void close() {
        closed = true;
        client.close();
        // What waits for its next try has nothing under way. What is under way is the client's to fail: only it knows
        // what has left.
        unanswered.forEach(Attempts::closeBetweenTries);
    }

    private SlaveUnreachableException closedError() {
        return new SlaveUnreachableException(slave + ": the connection is closed", null);
    }

    /** One call and its repetitions. */
    private final class Attempts<T> {
        private final Supplier<CompletableFuture<T>> call;
        private final int tries;
        private final Predicate<Throwable> again;
        private final CompletableFuture<T> result = new CompletableFuture<>();
        private int made;
        private volatile @Nullable CompletableFuture<T> current;
        private volatile TimeSource.@Nullable Scheduled pause;

        Attempts(Supplier<CompletableFuture<T>> call, int tries, Predicate<Throwable> again) {
            this.call = call;
            this.tries = tries;
            this.again = again;
        }

        CompletableFuture<T> start() {
            unanswered.add(this);
            result.whenComplete((value, error) -> {
                unanswered.remove(this);
                CompletableFuture<T> under = current;
                TimeSource.Scheduled waiting = pause;
                if (under != null && !under.isDone()) {
                    under.cancel(true);
                }
                if (waiting != null) {
                    waiting.cancel();
                }
            });
            next();
            return result;
        }

        private void next() {
            if (closed) {
                result.completeExceptionally(closedError());
            }
            if (result.isDone()) {
                return;
            }
            made++;
            CompletableFuture<T> attempt = call.get();
            current = attempt;
            if (result.isDone()) {
                attempt.cancel(true);
            }
            attempt.whenComplete((value, error) -> {
                if (error == null) {
                    result.complete(value);
                } else if (made < tries && !closed && !result.isDone() && again.test(unwrap(error))) {
                    pause = time.schedule(backoff(), this::next);
                } else {
                    result.completeExceptionally(unwrap(error));
                }
            });
        }

        void closeBetweenTries() {
            CompletableFuture<T> under = current;
            if (under == null || under.isDone()) {
                result.completeExceptionally(closedError());
            }
        }

        private Duration backoff() {
            double nanos = policy.backoff().toNanos() * Math.pow(2, made - 1.0);
            return Duration.ofNanos((long) (nanos * (0.8 + 0.4 * random.nextDouble())));
        }
    }

    /** Says that something else than a {@link D8Exception} came out of a transport, which is its fault. */
    static D8Exception infrastructure(Throwable error) {
        Throwable cause = unwrap(error);
        return cause instanceof D8Exception known
                ? known
                : new UnknownOutcomeException(Reason.INVALID_ANSWER, "a plugin failed: " + cause, cause);
    }
}
