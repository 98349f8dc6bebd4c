package dev.d8.slave;

import dev.d8.Capabilities;
import dev.d8.ConfigurationException;
import dev.d8.Grant;
import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.SlaveUpdate;
import dev.d8.TaskResult;
import dev.d8.Token;
import dev.d8.VersionInfo;
import dev.d8.internal.PluginRegistry;
import dev.d8.spi.Availability;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.Caller;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.SlaveService;
import dev.d8.spi.SlaveTasks;
import dev.d8.spi.TimeSource;
import dev.d8.spi.Transport;
import dev.d8.version.Checkout;
import dev.d8.version.VersionProvider;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.composite.CompositeMeterRegistry;
import java.net.InetAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The process on a slave: executors behind a transport. Thread-safe.
 *
 * <pre>{@code
 * try (SlaveServer slave = SlaveServer.builder().token(token).start()) {
 *     System.out.println("listening on " + slave.uri());
 * }
 * }</pre>
 */
public final class SlaveServer implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(SlaveServer.class);

    /** The port of the original protocol: 7600. */
    public static final int DEFAULT_PORT = 7600;

    private static final Duration FIRST_PROBE = Duration.ofSeconds(1);
    private static final Duration ANSWERS_OUT = Duration.ofSeconds(5);

    private final ExecutorRanking ranking;
    private final TaskRunner runner;
    private final Transport transport;
    private final boolean ownTransport;
    private final Transport.Binding binding;
    private final TimeSource time;
    private final VersionInfo version;
    private final AuditLog audit;
    private final String bootId = UUID.randomUUID().toString();
    private final Duration probeInterval;
    private final Machine machine;
    private volatile Capabilities capabilities;
    private final ExecutorService probes = Executors.newCachedThreadPool(task -> {
        Thread thread = new Thread(task, "d8-probe");
        thread.setDaemon(true);
        return thread;
    });
    private final AtomicBoolean closed = new AtomicBoolean();

    private SlaveServer(Builder builder) {
        List<Grant> grants = builder.grants.get();
        if (grants.isEmpty()) {
            throw new ConfigurationException("token: none (expected: one that may execute)");
        }
        grants.forEach(grant -> requireStrongTokenBeyondLoopback(builder.bind, grant.token()));
        boolean clear = builder.bind.getScheme().equalsIgnoreCase("http") && beyondLoopback(builder.bind);
        if (clear && !builder.insecureHttp) {
            throw new ConfigurationException("refusing to listen on " + builder.bind.getHost()
                    + ", which other machines can reach, without TLS: the token and the tasks could be read on the way. "
                    + "Use --tls-cert FILE --tls-key FILE (./d8 keygen makes both), --insecure-http where you trust "
                    + "the network, or listen on 127.0.0.1");
        }
        PluginRegistry plugins =
                PluginRegistry.discover(Optional.ofNullable(builder.plugins)).with(List.of(), builder.executors);
        builder.options.rejectUnknownUnder(plugins.prefixes());
        time = builder.time != null ? builder.time : TimeSource.system();
        probeInterval = builder.probeInterval;
        ownTransport = builder.transport == null;
        ranking = ExecutorRanking.create(plugins, builder.wanted, builder.options, probes);
        machine = new Machine(builder.labels);
        capabilities = machine.look(List.of());
        ranking.bindTo(builder.meterRegistry);
        try {
            // The slow parts of a start know nothing of each other: git, the executors, the transport.
            CompletableFuture<VersionInfo> lookup = CompletableFuture.supplyAsync(builder.version::version, probes);
            CompletableFuture<Void> looks = CompletableFuture.runAsync(ranking::probe, probes);
            transport = builder.transport != null
                    ? builder.transport
                    : plugins.transport(builder.bind.getScheme(), builder.options);
            version = lookup.join();
            looks.join();
            look();
            audit = new AuditLog(builder.audit, builder.clock, time);
            SlaveMetrics counts = new SlaveMetrics(builder.meterRegistry);
            runner = new TaskRunner(
                    ranking,
                    counts,
                    audit,
                    time,
                    version.commit(),
                    builder.maxTimeout,
                    builder.maxOutputBytes,
                    builder.maxConcurrent,
                    builder.queueCapacity);
            transport.bindTo(builder.meterRegistry);
            binding = transport.serve(
                    new Service(
                            runner,
                            new TaskLedger(runner, audit, time, builder.window),
                            new SelfUpdate(builder.update, runner, version.commit(), audit, probes),
                            audit,
                            counts,
                            ranking,
                            version,
                            bootId,
                            builder.endAbandoned,
                            builder.metrics,
                            () -> capabilities),
                    builder.bind,
                    new ServerSecurity(builder.grants));
        } catch (RuntimeException e) {
            release();
            throw e instanceof CompletionException && e.getCause() instanceof RuntimeException cause ? cause : e;
        }
        if (grants.stream().anyMatch(grant -> grant.token().equals(Token.DEVELOPMENT))) {
            LOG.warn("no token is set: anybody on this machine can run code with the well-known development token; "
                    + "set SLAVE_TOKEN");
        }
        if (clear) {
            LOG.warn(
                    "no TLS: whoever can listen on the way to {} reads the token, and the tasks with their results; "
                            + "use --tls-cert and --tls-key",
                    uri());
        }
        audit.started(bootId, version);
        probeAfter(FIRST_PROBE);
    }

    /** Starts building a slave server. */
    public static Builder builder() {
        return new Builder();
    }

    private static boolean beyondLoopback(URI bind) {
        try {
            return bind.getHost() != null
                    && !InetAddress.getByName(bind.getHost()).isLoopbackAddress();
        } catch (UnknownHostException e) {
            throw new ConfigurationException("host: " + bind.getHost() + " is unknown on this machine", e);
        }
    }

    private static void requireStrongTokenBeyondLoopback(URI bind, Token token) {
        if (token.strong() || !beyondLoopback(bind)) {
            return;
        }
        throw new ConfigurationException("refusing to listen on " + bind.getHost()
                + ", which other machines can reach, "
                + (token.equals(Token.DEVELOPMENT)
                        ? "with the well-known development token"
                        : "with a token of fewer than " + Token.MIN_LENGTH_BEYOND_LOOPBACK + " characters")
                + ": whoever has the token runs code here. Set SLAVE_TOKEN to at least "
                + Token.MIN_LENGTH_BEYOND_LOOPBACK
                + " random characters (openssl rand -hex 32), or listen on 127.0.0.1");
    }

    private void look() {
        capabilities = machine.look(ranking.availability().values());
    }

    /** Looks at the executors again: soon after the start, since some need a moment, then ever more seldom. */
    private void probeAfter(Duration delay) {
        time.schedule(delay, () -> {
            try {
                probes.execute(() -> {
                    try {
                        ranking.probe();
                        look();
                    } finally {
                        if (!closed.get()) {
                            Duration next = delay.multipliedBy(2);
                            probeAfter(next.compareTo(probeInterval) < 0 ? next : probeInterval);
                        }
                    }
                });
            } catch (RejectedExecutionException e) {
                // Closed meanwhile.
            }
        });
    }

    /** Returns the address at which it listens, with the real port. */
    public URI uri() {
        return binding.uri();
    }

    /** Returns the code that it runs. */
    public VersionInfo version() {
        return version;
    }

    /** Returns its executors. */
    public ExecutorRanking executors() {
        return ranking;
    }

    /** Returns how many tasks run or wait. */
    public int unfinished() {
        return runner.unfinished();
    }

    /**
     * Prepares a stop: takes no new tasks (503, and health says so), goes on answering everything else, and waits for the
     * tasks that run and wait, and then until none has come for half a second, for at most 5 s. {@link #close} then ends what
     * is left.
     *
     * @param patience how long at the most, zero or more
     * @return whether nothing is left
     * @throws InterruptedException if the thread was interrupted
     */
    public boolean drain(Duration patience) throws InterruptedException {
        return runner.drain(patience);
    }

    /**
     * Stops: takes no new tasks, ends those that run and answers them as cancelled, then lets go of the address. Blocks
     * for at most some 20 s. Idempotent.
     */
    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            runner.close();
            try {
                // Every task has been answered; whoever does not take its answer must not hold up the stop.
                binding.closeAsync().get(ANSWERS_OUT.toMillis(), TimeUnit.MILLISECONDS);
            } catch (TimeoutException | ExecutionException e) {
                LOG.warn("stopping, though a caller has not taken its answer");
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            audit.stopped(bootId);
            release();
        }
    }

    private void release() {
        if (ownTransport && transport != null) {
            transport.close();
        }
        ranking.close();
        probes.shutdownNow();
        time.close();
    }

    /** What the transport offers: the runner's tasks, and answers that are made without waiting for anything. */
    private static final class Service implements SlaveService {
        private final TaskRunner runner;
        private final TaskLedger ledger;
        private final SelfUpdate updates;
        private final AuditLog audit;
        private final SlaveMetrics counts;
        private final ExecutorRanking ranking;
        private final VersionInfo version;
        private final String bootId;
        private final boolean endAbandoned;
        private final Optional<Supplier<String>> metrics;
        private final Supplier<Capabilities> capabilities;

        Service(
                TaskRunner runner,
                TaskLedger ledger,
                SelfUpdate updates,
                AuditLog audit,
                SlaveMetrics counts,
                ExecutorRanking ranking,
                VersionInfo version,
                String bootId,
                boolean endAbandoned,
                Optional<Supplier<String>> metrics,
                Supplier<Capabilities> capabilities) {
            this.runner = runner;
            this.ledger = ledger;
            this.updates = updates;
            this.audit = audit;
            this.counts = counts;
            this.ranking = ranking;
            this.version = version;
            this.bootId = bootId;
            this.endAbandoned = endAbandoned;
            this.metrics = metrics;
            this.capabilities = capabilities;
        }

        @Override
        public Health health() {
            Map<String, Boolean> methods = new LinkedHashMap<>();
            String python = "";
            for (Map.Entry<String, Availability> one : ranking.availability().entrySet()) {
                methods.put(one.getKey(), one.getValue() instanceof Available);
                if (python.isEmpty() && one.getValue() instanceof Available available) {
                    python = available.pythonVersion().orElse("");
                }
            }
            return new Health(
                    Health.HEALTHY,
                    python,
                    methods,
                    version,
                    Optional.of(bootId),
                    runner.isDraining(),
                    Optional.of(runner.slots()),
                    Optional.of(capabilities.get()));
        }

        @Override
        public VersionInfo version() {
            return version;
        }

        @Override
        public CompletableFuture<TaskResult> execute(Caller caller, Invocation invocation, ExecutionListener listener) {
            CompletableFuture<TaskResult> result = runner.execute(caller, invocation, listener);
            return endAbandoned ? result : result.copy(); // Cancelling a copy leaves the task alone.
        }

        @Override
        public CompletableFuture<SlaveUpdate> update(Caller caller, String commit) {
            return updates.update(caller, commit);
        }

        @Override
        public void turnedAway(Caller caller, String reason) {
            counts.turnedAway(reason);
            audit.turnedAway(caller, reason);
        }

        @Override
        public Optional<String> metrics() {
            return metrics.map(Supplier::get);
        }

        @Override
        public Optional<SlaveTasks> tasks() {
            return Optional.of(ledger);
        }
    }

    /** Builds a {@link SlaveServer}; not thread-safe. */
    public static final class Builder {
        private URI bind = URI.create("http://127.0.0.1:" + DEFAULT_PORT);
        private Supplier<List<Grant>> grants = only(Token.DEVELOPMENT);
        private List<String> wanted = List.of();
        private Set<String> labels = Set.of();
        private Options options = Options.NONE;
        private @Nullable Path plugins;
        private int maxConcurrent = Math.max(4, 2 * Runtime.getRuntime().availableProcessors());
        private int queueCapacity = 256;
        private Duration maxTimeout = Duration.ofSeconds(3600);
        private long maxOutputBytes = 32L << 20;
        private Duration probeInterval = Duration.ofSeconds(30);
        private VersionProvider version = Optional::empty;
        private boolean endAbandoned = true;
        private TaskLedger.Window window = TaskLedger.Window.DEFAULT;
        private boolean insecureHttp;
        private final List<ExecutorProvider> executors = new ArrayList<>();
        private @Nullable Transport transport;
        private @Nullable TimeSource time;
        private MeterRegistry meterRegistry = new CompositeMeterRegistry(); // Counts nothing.
        private Optional<Supplier<String>> metrics = Optional.empty();
        private @Nullable Consumer<String> audit;
        private SelfUpdate.@Nullable Allowed update;
        private InstantSource clock = InstantSource.system();

        private Builder() {}

        /** Sets where to listen; default {@code http://127.0.0.1:7600}. Port 0 takes a free one. */
        public Builder bind(URI value) {
            if (value.getScheme() == null) {
                throw new ConfigurationException("bind: " + value + " (expected: such as http://127.0.0.1:7600)");
            }
            bind = value;
            return this;
        }

        /** Sets the port on 127.0.0.1, 0 to 65535; 0 takes a free one. For another address see {@link #bind}. */
        public Builder port(int value) {
            return bind(URI.create("http://127.0.0.1:" + within("port", value, 0, 65_535)));
        }

        /** Sets what a caller must show; default {@link Token#DEVELOPMENT}, which is good for loopback only. */
        public Builder token(Token value) {
            return grants(only(value));
        }

        /**
         * Sets who may do what, instead of one token for everything: two tokens at once while one replaces the other, or one
         * that may only look. Asked for each call, so what it returns may change; it must be quick. A token that is not
         * {@link Token#strong} may come later on loopback only, which is for whoever supplies it to see to.
         */
        public Builder grants(Supplier<List<Grant>> value) {
            grants = value;
            return this;
        }

        private static Supplier<List<Grant>> only(Token token) {
            List<Grant> one = List.of(Grant.everything(token));
            return () -> one;
        }

        /** Sets the names of the executors to use; default: all that are found. */
        public Builder executors(List<String> names) {
            wanted = List.copyOf(names);
            return this;
        }

        /** Adds an executor beside those that are found. */
        public Builder executor(ExecutorProvider provider) {
            executors.add(provider);
            return this;
        }

        /** Sets the plugins' options, such as {@code docker.image}; default: none. */
        public Builder options(Options value) {
            options = value;
            return this;
        }

        /** Sets a folder whose jars are looked through for plugins; default: none. */
        public Builder plugins(Path folder) {
            plugins = folder;
            return this;
        }

        /** Sets how many tasks run at one time, 1 to 10,000; default: twice the processors, at least 4. */
        public Builder maxConcurrent(int value) {
            maxConcurrent = within("max-concurrent", value, 1, 10_000);
            return this;
        }

        /** Sets how many tasks may wait for a slot, 0 to 1,000,000; default 256. More are turned away (429). */
        public Builder queueCapacity(int value) {
            queueCapacity = within("queue", value, 0, 1_000_000);
            return this;
        }

        /** Sets the longest time-out that a task may ask for, above zero; default 3600 s. */
        public Builder maxTimeout(Duration value) {
            if (value.isNegative() || value.isZero()) {
                throw new ConfigurationException("max-timeout: " + value + " (expected: above 0)");
            }
            maxTimeout = value;
            return this;
        }

        /** Sets how much of each of its streams a task may ask to be kept, in bytes, above 0; default 32 MiB. */
        public Builder maxOutputBytes(long value) {
            if (value < 1) {
                throw new ConfigurationException("max-output-bytes: " + value + " (expected: above 0)");
            }
            maxOutputBytes = value;
            return this;
        }

        /**
         * Sets whether a task without an id of its caller's is ended when that caller is gone; default true, since nobody
         * can ever ask for its result. Otherwise it runs to its end and keeps its slot, as one with an id does.
         */
        public Builder endAbandoned(boolean value) {
            endAbandoned = value;
            return this;
        }

        /**
         * Sets how many results are kept for callers who may ask again; default 10,000, with 64 MiB of output, for 24 h. One
         * that was fetched makes room for the next; one that was not is kept for an hour, and new tasks are turned away
         * (503) rather than that it is lost.
         *
         * @param results 1 to 10,000,000
         * @param outputBytes of all of them together, 1,000,000 or more
         * @param age above zero
         */
        public Builder keepResults(int results, long outputBytes, Duration age) {
            if (outputBytes < 1_000_000) {
                throw new ConfigurationException("keep-results: " + outputBytes + " bytes (expected: 1000000 or more)");
            }
            if (age.isNegative() || age.isZero()) {
                throw new ConfigurationException("keep-results: for " + age + " (expected: above 0)");
            }
            window = new TaskLedger.Window(within("keep-results", results, 1, 10_000_000), outputBytes, age);
            return this;
        }

        /**
         * Sets whether {@code http://} may be used beyond loopback; default false, since the token and the tasks can be read
         * on the way. Other schemes are no concern of this.
         */
        public Builder insecureHttp(boolean value) {
            insecureHttp = value;
            return this;
        }

        /** Sets who knows which code this slave runs; asked once, while it starts. Default: unknown. */
        public Builder version(VersionProvider value) {
            version = value;
            return this;
        }

        /**
         * Sets what tasks may ask for of this slave, beside what it finds out about its machine, such as {@code gpu} or {@code
         * room=cellar}: 1 to 64 letters, digits and any of {@code = . _ -} each; default: none.
         */
        public Builder labels(Collection<String> value) {
            value.forEach(label -> {
                if (!label.matches("[A-Za-z0-9=._-]{1,64}")) {
                    throw new ConfigurationException(
                            "label: \"" + label + "\" (expected: 1 to 64 letters, digits and any of = . _ -)");
                }
            });
            labels = Set.copyOf(value);
            return this;
        }

        /** Sets how often the executors are looked at again once the slave has run for a while, above zero; default 30 s. */
        public Builder probeInterval(Duration value) {
            if (value.isNegative() || value.isZero()) {
                throw new ConfigurationException("probe-interval: " + value + " (expected: above 0)");
            }
            probeInterval = value;
            return this;
        }

        /** Sets where what is counted can be read; default: nowhere. */
        public Builder meterRegistry(MeterRegistry value) {
            meterRegistry = value;
            return this;
        }

        /**
         * Sets what {@code GET /metrics} answers to callers with the token: the registry's text in the format of Prometheus;
         * default: nothing, and the path is unknown.
         */
        public Builder metrics(Supplier<String> text) {
            metrics = Optional.of(text);
            return this;
        }

        /**
         * Sets who is told what the slave was asked for, by whom, and what became of it: lines of JSON without line breaks,
         * one an event. Called on the slave's own threads, event loops included, before a task starts, so it must be quick;
         * where it fails, the task goes on. Default: nobody.
         */
        public Builder audit(Consumer<String> lines) {
            audit = lines;
            return this;
        }

        /**
         * Lets callers whose token has the scope {@link dev.d8.Scope#ADMIN} bring this slave's checkout forward, and have it
         * start anew; default: nobody may.
         *
         * @param checkout the checkout that the slave's code is made of
         * @param restart ends the process so that it is started again; called once the checkout has been brought forward and the
         *     caller answered, on a thread of the slave's, which takes no task any more. {@link SlaveServer#close} lets the answer out
         */
        public Builder allowUpdate(Checkout checkout, Runnable restart) {
            update = new SelfUpdate.Allowed(checkout, restart);
            return this;
        }

        /** Sets the clock that the audit log is dated by; default: the system's. */
        public Builder clock(InstantSource value) {
            clock = value;
            return this;
        }

        /** Sets the transport; default: the one that is found for the scheme. The caller closes what it gives. */
        public Builder transport(Transport value) {
            transport = value;
            return this;
        }

        /** Sets where time comes from; default: the system's. Closed with the server. */
        public Builder time(TimeSource value) {
            time = value;
            return this;
        }

        /**
         * Starts the server.
         *
         * @return once it listens and every executor has been looked at
         * @throws ConfigurationException if a setting is wrong or the address cannot be had; the message says which and why
         */
        public SlaveServer start() {
            return new SlaveServer(this);
        }

        private static int within(String name, int value, int least, int most) {
            if (value < least || value > most) {
                throw new ConfigurationException(name + ": " + value + " (expected: " + least + " to " + most + ")");
            }
            return value;
        }
    }
}
