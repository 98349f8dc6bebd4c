package dev.d8.master;

import dev.d8.ConfigurationException;
import dev.d8.D8Exception;
import dev.d8.Invocation;
import dev.d8.NoExecutorException;
import dev.d8.NoSlaveException;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveUnreachableException;
import dev.d8.Task;
import dev.d8.TaskResult;
import dev.d8.Token;
import dev.d8.UnknownOutcomeException;
import dev.d8.VersionInfo;
import dev.d8.VersionMismatchException;
import dev.d8.internal.PluginRegistry;
import dev.d8.internal.SerialExecutor;
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.Options;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.TaskType;
import dev.d8.spi.TimeSource;
import dev.d8.spi.Transport;
import dev.d8.version.VersionProvider;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.random.RandomGenerator;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The master's half: knows the slaves, watches them, and sends each task to one of them. Thread-safe; nothing blocks but
 * {@link #close}.
 *
 * <pre>{@code
 * try (SlaveManager manager = SlaveManager.builder().token(token).build()) {
 *     manager.register("pi", URI.create("http://10.0.0.7:7600")).join();
 *     System.out.println(manager.execute(Task.python("print(55)")).join().output());
 * }
 * }</pre>
 *
 * <p>A task runs at most once, unless it is marked {@linkplain Task#idempotent() idempotent}: one whose outcome was lost
 * fails with {@link UnknownOutcomeException} instead of running again. Cancelling a future cancels its task.
 */
public final class SlaveManager implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(SlaveManager.class);
    private static final Pattern ID = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}");

    private final PluginRegistry plugins;
    private final Options options;
    private final Credentials credentials;
    private final VersionInfo version;
    private final VersionPolicy versionPolicy;
    private final ConnectionPolicy connectionPolicy;
    private final Duration healthInterval;
    private final SlaveSelector selector;
    private final TimeSource time;
    private final RandomGenerator random;
    private final Executor callbacks;
    private final @Nullable ExecutorService ownCallbacks;
    private final SerialExecutor events;
    private final List<SlaveListener> listeners;
    private final Map<String, Transport> transports = new ConcurrentHashMap<>();
    private final @Nullable Transport givenTransport;
    private final Map<String, Member> members = new ConcurrentSkipListMap<>();
    private volatile boolean closed;

    private SlaveManager(Builder builder) {
        plugins = PluginRegistry.discover(Optional.ofNullable(builder.plugins)).with(builder.taskTypes, List.of());
        builder.options.rejectUnknownUnder(plugins.prefixes());
        options = builder.options;
        credentials = new Credentials(builder.token);
        version = builder.version.version();
        versionPolicy = builder.versionPolicy;
        connectionPolicy = builder.connectionPolicy;
        healthInterval = builder.healthInterval;
        selector = builder.selector;
        time = builder.time != null ? builder.time : TimeSource.system();
        random = builder.random;
        givenTransport = builder.transport;
        listeners = new CopyOnWriteArrayList<>(builder.listeners);
        if (builder.callbacks != null) {
            ownCallbacks = null;
            callbacks = builder.callbacks;
        } else {
            ownCallbacks = callbackThreads();
            callbacks = ownCallbacks;
        }
        events = new SerialExecutor(callbacks);
        plugins.broken()
                .forEach(broken ->
                        LOG.warn("a {} cannot be used: {}", broken.kind().getSimpleName(), broken.reason()));
    }

    private static ExecutorService callbackThreads() {
        return Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task, "d8-callback");
            thread.setDaemon(true);
            return thread;
        });
    }

    /** Starts building a manager. */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Adds a slave and checks its health.
     *
     * @param id its name, 1 to 64 letters, digits, dots, hyphens and underscores, one of its kind
     * @param address such as {@code http://10.0.0.7:7600}
     * @param labels what tasks may ask for
     * @return the slave after its first check, dead ones too; fails with {@link ConfigurationException} if the id is taken
     *     or a value is malformed, and then nothing is registered
     */
    public CompletableFuture<Slave> register(String id, URI address, String... labels) {
        Member member;
        try {
            member = newMember(id, address, Set.of(labels));
        } catch (D8Exception e) {
            return CompletableFuture.failedFuture(e);
        }
        if (members.putIfAbsent(id, member) != null) {
            member.remove();
            return CompletableFuture.failedFuture(
                    new ConfigurationException("slave id: " + id + " is registered already; unregister it first"));
        }
        CompletableFuture<SlaveStatus> check = member.check();
        check.whenComplete((status, error) -> watchLater(member, random.nextDouble()));
        return deliver(check.thenApply(status -> member.snapshot()));
    }

    private Member newMember(String id, URI address, Set<String> labels) {
        if (closed) {
            throw new ConfigurationException("the slave manager is closed");
        }
        if (!ID.matcher(id).matches()) {
            throw new ConfigurationException("slave id: \"" + id + "\" (expected: " + ID + ")");
        }
        if (address.getScheme() == null) {
            throw new ConfigurationException(
                    "slave " + id + ": address " + address + " (expected: such as http://10.0.0.7:7600)");
        }
        Transport transport = givenTransport != null
                ? givenTransport
                : transports.computeIfAbsent(address.getScheme(), scheme -> plugins.transport(scheme, options));
        RobustConnection connection =
                new RobustConnection(transport.connect(address, credentials), id, connectionPolicy, time, random);
        return new Member(
                id, address, labels, connection, version, versionPolicy, connectionPolicy, time, this::changed);
    }

    /** Checks a slave again and again, each at its own phase, and never waits for tasks. */
    private void watchLater(Member member, double fraction) {
        Duration delay = Duration.ofNanos((long) (healthInterval.toNanos() * fraction));
        time.schedule(delay, () -> {
            if (!closed && members.get(member.id) == member) {
                member.check().whenComplete((status, error) -> watchLater(member, 0.9 + 0.2 * random.nextDouble()));
            }
        });
    }

    private void changed(Slave before, Slave after) {
        String change = "slave {}: {} -> {}: {}";
        if (after.status() == SlaveStatus.ALIVE
                && after.health().map(h -> h.version().sameCommit(version)).orElse(true)) {
            LOG.info(change, after.id(), before.status(), after.status(), after.reason());
        } else {
            LOG.warn(change, after.id(), before.status(), after.status(), after.reason());
        }
        for (SlaveListener listener : listeners) {
            events.execute(() -> listener.statusChanged(before, after));
        }
    }

    /**
     * Removes a slave. Calls to it that are under way fail.
     *
     * @return whether it was registered
     */
    public boolean unregister(String id) {
        Member member = members.remove(id);
        if (member != null) {
            member.remove();
        }
        return member != null;
    }

    /** Checks a slave now; fails with {@link NoSlaveException} if there is none of this id. */
    public CompletableFuture<SlaveStatus> checkHealth(String id) {
        Member member = members.get(id);
        return member == null ? CompletableFuture.failedFuture(unknown(id)) : deliver(member.check());
    }

    /** Asks a slave which code it runs; fails with {@link NoSlaveException} if there is none of this id. */
    public CompletableFuture<VersionInfo> version(String id) {
        Member member = members.get(id);
        return member == null ? CompletableFuture.failedFuture(unknown(id)) : deliver(member.connection.version());
    }

    /**
     * Returns the connection to a slave, for tasks that are handed over and asked for by their ids. What is told by it comes on
     * threads that must not be blocked; the manager closes it.
     *
     * @throws NoSlaveException if there is none of this id
     */
    public SlaveClient connection(String id) {
        Member member = members.get(id);
        if (member == null) {
            throw unknown(id);
        }
        return member.connection;
    }

    /**
     * Returns what a task asks a slave for.
     *
     * @throws dev.d8.InvalidTaskException if the task is malformed
     */
    public Invocation prepare(Task task) {
        return plugins.prepare(task);
    }

    /** Returns every slave as it is now, in the order of their ids. */
    public List<Slave> slaves() {
        return members.values().stream().map(Member::snapshot).toList();
    }

    /** Returns a slave as it is now. */
    public Optional<Slave> slave(String id) {
        return Optional.ofNullable(members.get(id)).map(Member::snapshot);
    }

    /**
     * Returns the slave that {@link #execute(Task)} would choose now.
     *
     * @throws dev.d8.InvalidTaskException if the task is malformed
     */
    public Optional<Slave> findAvailableSlave(Task task) {
        return choose(task, plugins.prepare(task), new LinkedHashMap<>());
    }

    /**
     * Runs a task on this slave or fails.
     *
     * @return its result; a task that failed has one too. Fails with a {@link D8Exception} that says whether the task
     *     certainly did not start
     */
    public CompletableFuture<TaskResult> execute(String slaveId, Task task) {
        return execute(slaveId, task, ExecutionListener.NONE);
    }

    /**
     * Runs a task on this slave or fails, as {@link #execute(String, Task)}.
     *
     * @param listener hears the task while it runs, as far as the slave tells of it: one of the original protocol does not
     */
    public CompletableFuture<TaskResult> execute(String slaveId, Task task, ExecutionListener listener) {
        Invocation invocation;
        try {
            invocation = plugins.prepare(task);
        } catch (D8Exception e) {
            return CompletableFuture.failedFuture(e);
        }
        Member member = members.get(slaveId);
        return deliver(
                member == null
                        ? CompletableFuture.failedFuture(unknown(slaveId))
                        : member.execute(invocation, listener, connectionPolicy.tries(), task.idempotent()));
    }

    /**
     * Runs a task on a slave that can take it, and on another one if it certainly did not start there.
     *
     * @return its result; a task that failed has one too. Fails with {@link NoSlaveException} if no slave could take it,
     *     with {@link UnknownOutcomeException} if it may have run, and with another {@link D8Exception} if every slave
     *     would turn it away
     */
    public CompletableFuture<TaskResult> execute(Task task) {
        try {
            Delivery delivery = new Delivery(task, plugins.prepare(task));
            delivery.next();
            return deliver(delivery.result);
        } catch (D8Exception e) {
            return CompletableFuture.failedFuture(e);
        }
    }

    private Optional<Slave> choose(Task task, Invocation invocation, Map<String, String> turnedAway) {
        List<Slave> candidates = new ArrayList<>();
        for (Slave slave : slaves()) {
            if (!turnedAway.containsKey(slave.id())) {
                Member.objection(slave, task.labels(), invocation)
                        .ifPresentOrElse(why -> turnedAway.put(slave.id(), why), () -> candidates.add(slave));
            }
        }
        List<Slave> trusted =
                candidates.stream().filter(slave -> !slave.suspected()).toList();
        List<Slave> best = trusted.isEmpty() ? candidates : trusted;
        return best.isEmpty() ? Optional.empty() : Optional.of(selector.select(best, task));
    }

    /** Hands an answer to the caller on a thread where it may do as it likes, and its cancellation back. */
    private <T> CompletableFuture<T> deliver(CompletableFuture<T> inner) {
        CompletableFuture<T> outer = new CompletableFuture<>();
        inner.whenComplete((result, error) -> {
            Runnable tell = () -> RobustConnection.complete(
                    outer, result, error == null ? null : RobustConnection.infrastructure(error));
            try {
                callbacks.execute(tell);
            } catch (RejectedExecutionException e) {
                tell.run(); // Closed meanwhile: who waits is told all the same.
            }
        });
        RobustConnection.cancelWith(outer, inner);
        return outer;
    }

    private static NoSlaveException unknown(String id) {
        return new NoSlaveException("no slave is registered as " + id);
    }

    /** Stops watching, fails the calls under way and lets go of the slaves. Idempotent. */
    @Override
    public void close() {
        closed = true;
        List.copyOf(members.keySet()).forEach(this::unregister);
        transports.values().forEach(Transport::close);
        time.close();
        if (ownCallbacks != null) {
            ownCallbacks.shutdown();
        }
    }

    /** One task on its way from slave to slave until one of them has taken it. */
    private final class Delivery {
        /** A task under which so many slaves were lost is likely to be the reason, and gets no other one. */
        private static final int MOST_LOSSES = 2;

        final CompletableFuture<TaskResult> result = new CompletableFuture<>();
        private final Task task;
        private final Invocation invocation;
        private final Map<String, String> turnedAway = new LinkedHashMap<>();
        private @Nullable UnknownOutcomeException lost;
        private int losses;

        Delivery(Task task, Invocation invocation) {
            this.task = task;
            this.invocation = invocation;
        }

        void next() {
            try {
                goOn();
            } catch (RuntimeException e) { // A selector's fault, say: it must not pass unheard in a callback.
                result.completeExceptionally(RobustConnection.infrastructure(e));
            }
        }

        private void goOn() {
            Optional<Slave> chosen = choose(task, invocation, turnedAway);
            Member member = chosen.map(slave -> members.get(slave.id())).orElse(null);
            if (member == null) {
                result.completeExceptionally(lost != null ? lost : nobody());
                return;
            }
            // With another slave at hand, moving on beats waiting for this one.
            boolean alone = members.size() - turnedAway.size() == 1;
            CompletableFuture<TaskResult> attempt = member.execute(
                    invocation, ExecutionListener.NONE, alone ? connectionPolicy.tries() : 1, task.idempotent());
            attempt.whenComplete((answer, error) -> {
                if (error == null) {
                    result.complete(answer);
                } else if (!result.isDone() && mayGoElsewhere(RobustConnection.unwrap(error))) {
                    if (RobustConnection.unwrap(error) instanceof UnknownOutcomeException unknown) {
                        lost = lost == null ? unknown : lost;
                        losses++;
                    }
                    turnedAway.put(
                            member.id,
                            String.valueOf(RobustConnection.unwrap(error).getMessage()));
                    next();
                } else {
                    result.completeExceptionally(RobustConnection.unwrap(error));
                }
            });
            RobustConnection.cancelWith(result, attempt);
        }

        private boolean mayGoElsewhere(Throwable error) {
            return error instanceof SlaveUnreachableException
                    || error instanceof SlaveRefusedException
                    || error instanceof VersionMismatchException
                    || error instanceof NoExecutorException
                    || (error instanceof UnknownOutcomeException && task.idempotent() && losses + 1 < MOST_LOSSES);
        }

        private NoSlaveException nobody() {
            return new NoSlaveException("no slave could take " + task + ": "
                    + (turnedAway.isEmpty()
                            ? "none is registered"
                            : turnedAway.entrySet().stream()
                                    .map(one -> one.getKey() + ": " + one.getValue())
                                    .collect(Collectors.joining("; "))));
        }
    }

    /** Builds a {@link SlaveManager}; not thread-safe. */
    public static final class Builder {
        private Token token = Token.DEVELOPMENT;
        private VersionProvider version = Optional::empty;
        private VersionPolicy versionPolicy = VersionPolicy.REFUSE;
        private ConnectionPolicy connectionPolicy = ConnectionPolicy.DEFAULT;
        private Duration healthInterval = Duration.ofSeconds(30);
        private SlaveSelector selector = SlaveSelector.leastLoaded();
        private Options options = Options.NONE;
        private RandomGenerator random = new java.util.Random();
        private final List<SlaveListener> listeners = new ArrayList<>();
        private final List<TaskType<?>> taskTypes = new ArrayList<>();
        private @Nullable Path plugins;
        private @Nullable Transport transport;
        private @Nullable TimeSource time;
        private @Nullable Executor callbacks;

        private Builder() {}

        /** Sets what is shown to the slaves; default {@link Token#DEVELOPMENT}. */
        public Builder token(Token value) {
            token = value;
            return this;
        }

        /** Sets who knows which code this master runs; asked once, when it is built. Default: unknown. */
        public Builder version(VersionProvider value) {
            version = value;
            return this;
        }

        /** Sets what is done about a slave that runs another commit; default {@link VersionPolicy#REFUSE}. */
        public Builder versionPolicy(VersionPolicy value) {
            versionPolicy = value;
            return this;
        }

        /** Sets the patience with each slave; default {@link ConnectionPolicy#DEFAULT}. */
        public Builder connectionPolicy(ConnectionPolicy value) {
            connectionPolicy = value;
            return this;
        }

        /** Sets the time between two health checks of a slave, above zero, ± 10 %; default 30 s. */
        public Builder healthInterval(Duration value) {
            if (value.isNegative() || value.isZero()) {
                throw new ConfigurationException("healthInterval: " + value + " (expected: > 0)");
            }
            healthInterval = value;
            return this;
        }

        /** Sets who chooses among the slaves; default {@link SlaveSelector#leastLoaded}. */
        public Builder selector(SlaveSelector value) {
            selector = value;
            return this;
        }

        /** Adds a listener to changes of status. */
        public Builder listener(SlaveListener value) {
            listeners.add(value);
            return this;
        }

        /** Adds a task type beside those that are found. */
        public Builder taskType(TaskType<?> value) {
            taskTypes.add(value);
            return this;
        }

        /** Sets the plugins' options, such as {@code http.connect_timeout}; default: none. */
        public Builder options(Options value) {
            options = value;
            return this;
        }

        /** Sets a folder whose jars are looked through for plugins; default: none. */
        public Builder plugins(Path folder) {
            plugins = folder;
            return this;
        }

        /** Sets the transport; default: the one that is found for an address's scheme. The caller closes what it gives. */
        public Builder transport(Transport value) {
            transport = value;
            return this;
        }

        /** Sets where time comes from; default: the system's. Closed with the manager. */
        public Builder time(TimeSource value) {
            time = value;
            return this;
        }

        /** Sets where jitter comes from; default: a generator with a random seed. */
        public Builder random(RandomGenerator value) {
            random = value;
            return this;
        }

        /** Sets the threads on which futures complete and listeners are told; default: the manager's own. */
        public Builder callbackExecutor(Executor value) {
            callbacks = value;
            return this;
        }

        /**
         * Builds the manager.
         *
         * @throws ConfigurationException if plugins contradict each other or an option is malformed
         */
        public SlaveManager build() {
            return new SlaveManager(this);
        }
    }
}
