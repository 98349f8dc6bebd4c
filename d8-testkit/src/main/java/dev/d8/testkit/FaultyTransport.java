package dev.d8.testkit;

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
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.SlaveService;
import dev.d8.spi.TimeSource;
import dev.d8.spi.Transport;
import io.micrometer.core.instrument.MeterRegistry;
import java.net.URI;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * A transport that harms the calls of another one, at random from a seed: the same seed and the same calls in the same
 * order give the same faults. Thread-safe.
 */
public final class FaultyTransport implements Transport {

    /** What can happen to a call. */
    public enum Fault {
        /** The slave cannot be reached; the call certainly did nothing. */
        UNREACHABLE,
        /** The request is lost on its way, and the caller sees the connection end. */
        DROP_BEFORE,
        /** The request is carried out, its answer is lost, and the caller sees the connection end. */
        DROP_AFTER,
        /** The request is carried out, and its answer arrives cut off. */
        TRUNCATE,
        /** The request arrives twice; the caller gets the first answer. */
        DUPLICATE,
        /** The request is carried out late. */
        DELAY,
        /** The request is lost, and the caller sees nothing at all. */
        SILENCE
    }

    private final Transport transport;
    private final TimeSource time;
    private final Map<Fault, Double> odds;
    private final Duration delay;
    private final Random random;

    private FaultyTransport(Builder builder) {
        transport = builder.transport;
        time = builder.time;
        odds = new EnumMap<>(builder.odds);
        delay = builder.delay;
        random = new Random(builder.seed);
    }

    /** Starts building a transport that harms the calls of {@code transport}. */
    public static Builder around(Transport transport, TimeSource time) {
        return new Builder(transport, time);
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        transport.bindTo(registry);
    }

    @Override
    public Binding serve(SlaveService service, URI bind, ServerSecurity security) {
        return transport.serve(service, bind, security);
    }

    @Override
    public SlaveClient connect(URI slave, Credentials credentials) {
        return new Client(slave, transport.connect(slave, credentials));
    }

    @Override
    public void close() {
        transport.close();
    }

    private final class Client implements SlaveClient {
        private final URI address;
        private final SlaveClient client;

        Client(URI address, SlaveClient client) {
            this.address = address;
            this.client = client;
        }

        @Override
        public CompletableFuture<Health> health() {
            return harm(client::health);
        }

        @Override
        public CompletableFuture<VersionInfo> version() {
            return harm(client::version);
        }

        @Override
        public CompletableFuture<TaskResult> execute(Invocation invocation, ExecutionListener listener) {
            return harm(() -> client.execute(invocation, listener));
        }

        @Override
        public CompletableFuture<TaskState> submit(Invocation invocation) {
            return harm(() -> client.submit(invocation));
        }

        @Override
        public CompletableFuture<Optional<TaskState>> find(TaskId id, Duration wait) {
            return harm(() -> client.find(id, wait));
        }

        @Override
        public CompletableFuture<TaskState> cancel(TaskId id) {
            return harm(() -> client.cancel(id));
        }

        @Override
        public CompletableFuture<Optional<TaskEvent>> follow(TaskId id, long from, Consumer<TaskEvent> listener) {
            return harm(() -> client.follow(id, from, listener));
        }

        @Override
        public CompletableFuture<SlaveUpdate> update(String commit) {
            return harm(() -> client.update(commit));
        }

        private <T> CompletableFuture<T> harm(Supplier<CompletableFuture<T>> call) {
            for (Fault fault : Fault.values()) {
                if (hits(fault)) {
                    return harm(fault, call);
                }
            }
            return call.get();
        }

        private <T> CompletableFuture<T> harm(Fault fault, Supplier<CompletableFuture<T>> call) {
            return switch (fault) {
                case UNREACHABLE ->
                    CompletableFuture.failedFuture(
                            new SlaveUnreachableException("cannot reach " + address + ": fault injected", null));
                case DROP_BEFORE -> CompletableFuture.failedFuture(lost(Reason.CONNECTION_LOST));
                case DROP_AFTER -> answerLost(call.get(), Reason.CONNECTION_LOST);
                case TRUNCATE -> answerLost(call.get(), Reason.INVALID_ANSWER);
                case DUPLICATE -> {
                    CompletableFuture<T> first = call.get();
                    CompletableFuture<T> second = call.get();
                    first.whenComplete((value, error) -> {
                        if (first.isCancelled()) {
                            second.cancel(true);
                        }
                    });
                    yield first;
                }
                case DELAY -> later(call);
                case SILENCE -> new CompletableFuture<>();
            };
        }

        private <T> CompletableFuture<T> answerLost(CompletableFuture<T> call, Reason reason) {
            CompletableFuture<T> result = new CompletableFuture<>();
            call.whenComplete((value, error) -> result.completeExceptionally(lost(reason)));
            result.whenComplete((value, error) -> call.cancel(true));
            return result;
        }

        private <T> CompletableFuture<T> later(Supplier<CompletableFuture<T>> call) {
            CompletableFuture<T> result = new CompletableFuture<>();
            TimeSource.Scheduled start = time.schedule(delay, () -> {
                CompletableFuture<T> inner = call.get();
                inner.whenComplete((value, error) -> {
                    if (error == null) {
                        result.complete(value);
                    } else {
                        result.completeExceptionally(error);
                    }
                });
                result.whenComplete((value, error) -> inner.cancel(true));
            });
            result.whenComplete((value, error) -> start.cancel());
            return result;
        }

        private UnknownOutcomeException lost(Reason reason) {
            return new UnknownOutcomeException(reason, address + ": fault injected", null);
        }

        @Override
        public void close() {
            client.close();
        }
    }

    private boolean hits(Fault fault) {
        double chance = odds.getOrDefault(fault, 0.0);
        synchronized (random) {
            return chance > 0 && random.nextDouble() < chance;
        }
    }

    /** Builds a {@link FaultyTransport}; not thread-safe. */
    public static final class Builder {
        private final Transport transport;
        private final TimeSource time;
        private final Map<Fault, Double> odds = new EnumMap<>(Fault.class);
        private Duration delay = Duration.ofSeconds(1);
        private long seed;

        private Builder(Transport transport, TimeSource time) {
            this.transport = transport;
            this.time = time;
        }

        /** Sets how likely a fault is, 0 to 1; default 0. Faults are tried in the order of {@link Fault}. */
        public Builder chance(Fault fault, double chance) {
            if (!(chance >= 0 && chance <= 1)) {
                throw new IllegalArgumentException(fault + ": " + chance + " (expected: 0 to 1)");
            }
            odds.put(fault, chance);
            return this;
        }

        /** Sets how late {@link Fault#DELAY} makes a call; default 1 s. */
        public Builder delay(Duration value) {
            delay = value;
            return this;
        }

        /** Sets the seed; default 0. Print it where it is drawn at random. */
        public Builder seed(long value) {
            seed = value;
            return this;
        }

        /** Builds the transport. */
        public FaultyTransport build() {
            return new FaultyTransport(this);
        }
    }
}
