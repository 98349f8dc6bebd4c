package dev.d8.slave;

import dev.d8.ConfigurationException;
import dev.d8.Invocation;
import dev.d8.NoExecutorException;
import dev.d8.Rejection;
import dev.d8.internal.PluginRegistry;
import dev.d8.spi.Availability;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.Availability.Unavailable;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.RejectedExecutionException;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A slave's executors, best first: which of them runs a task, and why the better ones do not. Thread-safe.
 */
public final class ExecutorRanking implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(ExecutorRanking.class);

    private final List<Ranked> ranked;
    private final java.util.concurrent.Executor threads;

    /** An executor that was chosen for a task, and the better ones that were not, best first. */
    record Choice(String method, Executor executor, List<Rejection> rejected) {}

    /** An executor, its name, and what its last probe found. */
    private static final class Ranked {
        final String method;
        final Executor executor;
        volatile Availability availability = new Unavailable("not looked at yet");

        Ranked(String method, Executor executor) {
            this.method = method;
            this.executor = executor;
        }
    }

    private ExecutorRanking(List<Ranked> ranked, java.util.concurrent.Executor threads) {
        this.ranked = List.copyOf(ranked);
        this.threads = threads;
    }

    /**
     * Makes the executors; {@link #probe} then looks at each.
     *
     * @param wanted the names to use; empty: all
     * @param threads where probes run, never on a task's own thread: an interruption is meant for the task
     * @throws ConfigurationException if a wanted name is unknown or an option is malformed
     */
    static ExecutorRanking create(
            PluginRegistry plugins, List<String> wanted, Options options, java.util.concurrent.Executor threads) {
        List<ExecutorProvider> providers = plugins.executors();
        Set<String> unknown = new TreeSet<>(wanted);
        providers.forEach(provider -> unknown.remove(provider.method()));
        if (!unknown.isEmpty()) {
            throw new ConfigurationException("executors: unknown " + String.join(", ", unknown) + " (known: "
                    + providers.stream().map(ExecutorProvider::method).collect(Collectors.joining(", ")) + ")");
        }
        List<Ranked> ranked = new ArrayList<>();
        for (ExecutorProvider provider : providers) {
            if (wanted.isEmpty() || wanted.contains(provider.method())) {
                ranked.add(new Ranked(provider.method(), create(provider, options)));
            }
        }
        for (PluginRegistry.Broken broken : plugins.broken()) {
            LOG.warn("a {} cannot be used: {}", broken.kind().getSimpleName(), broken.reason());
        }
        return new ExecutorRanking(ranked, threads);
    }

    private static Executor create(ExecutorProvider provider, Options options) {
        try {
            return provider.create(options.under(provider.method()));
        } catch (ConfigurationException e) {
            throw e; // The user's to mend.
        } catch (RuntimeException | LinkageError e) {
            LOG.warn("executor {} cannot be made", provider.method(), e);
            return new BrokenExecutor("cannot be made: " + e);
        }
    }

    /** Registers what the executors count. */
    void bindTo(MeterRegistry registry) {
        ranked.forEach(one -> one.executor.bindTo(registry));
    }

    /** Looks at every executor again, all at once, and logs what changed. Blocks for as long as the slowest takes. */
    void probe() {
        List<CompletableFuture<Void>> probes = new ArrayList<>();
        for (Ranked one : ranked) {
            probes.add(CompletableFuture.runAsync(() -> probe(one), threads));
        }
        probes.forEach(CompletableFuture::join);
    }

    private static void probe(Ranked one) {
        Availability before = one.availability;
        Availability now;
        try {
            now = one.executor.probe();
        } catch (RuntimeException | LinkageError e) {
            LOG.warn("executor {}: its probe failed, which it must not", one.method, e);
            now = new Unavailable("its probe failed: " + e);
        }
        one.availability = now;
        if (!now.equals(before)) {
            LOG.info("executor {}: {}", one.method, describe(now));
        }
    }

    /**
     * Returns the best executor that can run this.
     *
     * @throws NoExecutorException if none can; the message says why of each
     */
    Choice choose(Invocation invocation) {
        return choose(invocation, Map.of());
    }

    /**
     * Returns the next best executor after some have been tried.
     *
     * @param tried the executors that turned out to be of no use, and why
     */
    Choice choose(Invocation invocation, Map<String, String> tried) {
        List<Rejection> rejected = new ArrayList<>();
        for (Ranked one : ranked) {
            Optional<String> objection =
                    Optional.ofNullable(tried.get(one.method)).or(() -> objection(one, invocation));
            if (objection.isEmpty()) {
                return new Choice(one.method, one.executor, rejected);
            }
            rejected.add(new Rejection(one.method, objection.get()));
        }
        throw new NoExecutorException("no executor of this slave can run it: "
                + (rejected.isEmpty()
                        ? "it has none"
                        : rejected.stream().map(Rejection::toString).collect(Collectors.joining("; "))));
    }

    private static Optional<String> objection(Ranked one, Invocation invocation) {
        if (invocation.method().isPresent() && !invocation.method().get().equals(one.method)) {
            return Optional.of("the task asks for " + invocation.method().get());
        }
        if (one.availability instanceof Unavailable unavailable) {
            return Optional.of(unavailable.reason());
        }
        Available available = (Available) one.availability;
        if (!available.isolation().atLeast(invocation.minIsolation())) {
            return Optional.of("its isolation is " + available.isolation().wireName() + ", the task asks for "
                    + invocation.minIsolation().wireName());
        }
        return one.executor.objection(invocation);
    }

    /** Looks at one executor again after it failed to start a task: a reason if it cannot run anything any more. */
    Optional<String> recheck(String method) throws InterruptedException {
        for (Ranked one : ranked) {
            if (one.method.equals(method)) {
                try {
                    CompletableFuture.runAsync(() -> probe(one), threads).get();
                } catch (ExecutionException | RejectedExecutionException e) {
                    return Optional.empty(); // The slave is stopping.
                }
                return one.availability instanceof Unavailable gone ? Optional.of(gone.reason()) : Optional.empty();
            }
        }
        return Optional.empty();
    }

    /** Returns every executor's name, best first, and what its last probe found. */
    public Map<String, Availability> availability() {
        Map<String, Availability> all = new LinkedHashMap<>();
        ranked.forEach(one -> all.put(one.method, one.availability));
        return all;
    }

    /** Returns a line for people: {@code available (/usr/bin/python3, Python 3.11.2)}. */
    public static String describe(Availability availability) {
        return availability instanceof Available available
                ? "available (" + available.detail() + ")"
                : "unavailable: " + ((Unavailable) availability).reason();
    }

    @Override
    public void close() {
        for (Ranked one : ranked) {
            try {
                one.executor.close();
            } catch (RuntimeException e) {
                LOG.warn("executor {}: closing it failed", one.method, e);
            }
        }
    }

    /** Stands in for an executor that could not be made, so that the ranking still names it and says why. */
    private record BrokenExecutor(String reason) implements Executor {
        @Override
        public Availability probe() {
            return new Unavailable(reason);
        }

        @Override
        public Optional<String> objection(Invocation invocation) {
            return Optional.of(reason);
        }

        @Override
        public ExecutionOutcome execute(Invocation invocation, ExecutionListener listener) {
            throw new IllegalStateException(reason);
        }
    }
}
