package dev.d8.master;

import dev.d8.ConfigurationException;
import dev.d8.D8Exception;
import dev.d8.Invocation;
import dev.d8.NoSlaveException;
import dev.d8.Task;
import dev.d8.TaskResult;
import dev.d8.Token;
import dev.d8.UnknownOutcomeException;
import dev.d8.VersionInfo;
import dev.d8.internal.PluginRegistry;
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.Options;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.TaskType;
import dev.d8.spi.TimeSource;
import dev.d8.spi.Transport;
import dev.d8.spi.TypedTaskType;
import dev.d8.version.VersionProvider;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.random.RandomGenerator;
import java.util.regex.Pattern;
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
    private final ConnectionPolicy connectionPolicy;
    private final TimeSource time;
    private final RandomGenerator random;
    private final Executor callbacks;
    private final @Nullable ExecutorService ownCallbacks;
    private final Map<String, Transport> transports = new ConcurrentHashMap<>();
    private final @Nullable Transport givenTransport;
    private final Fleet fleet;
    private final Member.Rules rules;
    private final HealthWatch watch;
    private final FleetUpdate updates;
    private final TaskQueue queue;
    private volatile boolean closed;

    private SlaveManager(Builder builder) {
        plugins = PluginRegistry.discover(Optional.ofNullable(builder.plugins)).with(builder.taskTypes, List.of());
        builder.options.rejectUnknownUnder(plugins.prefixes());
        options = builder.options;
        credentials = new Credentials(builder.token);
        connectionPolicy = builder.connectionPolicy;
        random = builder.random;
        givenTransport = builder.transport;
        SlaveSelector selector =
                builder.selector != null ? builder.selector : Selectors.named(builder.selectorName, plugins, random);
        time = builder.time != null ? builder.time : TimeSource.system();
        TaskStore store = builder.stateDirectory == null
                ? TaskStore.NONE
                : new FileTaskStore(builder.stateDirectory, builder.clock, time);
        ownCallbacks = builder.callbacks == null ? callbackThreads() : null;
        callbacks = builder.callbacks != null ? builder.callbacks : Objects.requireNonNull(ownCallbacks);
        MasterMetrics metrics = new MasterMetrics(builder.meters);
        fleet = new Fleet(selector);
        metrics.watch(fleet);
        VersionInfo version = builder.version.version();
        Transitions transitions = new Transitions(version, metrics, builder.listeners, callbacks);
        watch = new HealthWatch(fleet, builder.healthInterval, time, random, transitions);
        updates = new FleetUpdate(version, time, builder.updatesAtOnce, watch::check);
        rules = new Member.Rules(
                version,
                builder.versionPolicy,
                updates,
                connectionPolicy,
                builder.defaultSlots,
                time,
                fleet,
                transitions::changed);
        queue = new TaskQueue(
                fleet,
                plugins::prepare,
                store,
                connectionPolicy,
                time,
                builder.clock,
                callbacks,
                metrics,
                builder.queueCapacity);
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
        if (!fleet.add(member)) {
            member.remove();
            return CompletableFuture.failedFuture(
                    new ConfigurationException("slave id: " + id + " is registered already; unregister it first"));
        }
        CompletableFuture<SlaveStatus> check = watch.check(member);
        check.whenComplete((status, error) -> watch.watch(member));
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
        return new Member(id, address, labels, connection, rules);
    }

    /**
     * Removes a slave. Calls to it that are under way fail.
     *
     * @return whether it was registered
     */
    public boolean unregister(String id) {
        Member member = fleet.remove(id);
        if (member != null) {
            member.remove();
            updates.forget(member);
        }
        return member != null;
    }

    /** Checks a slave now; fails with {@link NoSlaveException} if there is none of this id. */
    public CompletableFuture<SlaveStatus> checkHealth(String id) {
        Member member = fleet.get(id);
        return member == null ? CompletableFuture.failedFuture(unknown(id)) : deliver(watch.check(member));
    }

    /** Asks a slave which code it runs; fails with {@link NoSlaveException} if there is none of this id. */
    public CompletableFuture<VersionInfo> version(String id) {
        Member member = fleet.get(id);
        return member == null ? CompletableFuture.failedFuture(unknown(id)) : deliver(member.connection.version());
    }

    /**
     * Returns the connection to a slave, for tasks that are handed over and asked for by their ids. What is told by it comes on
     * threads that must not be blocked; the manager closes it.
     *
     * @throws NoSlaveException if there is none of this id
     */
    public SlaveClient connection(String id) {
        Member member = fleet.get(id);
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
        return fleet.members().stream().map(Member::snapshot).toList();
    }

    /** Returns a slave as it is now. */
    public Optional<Slave> slave(String id) {
        return Optional.ofNullable(fleet.get(id)).map(Member::snapshot);
    }

    /**
     * Returns the slave that {@link #execute(Task)} would choose now.
     *
     * @throws dev.d8.InvalidTaskException if the task is malformed
     */
    public Optional<Slave> findAvailableSlave(Task task) {
        Needs needs = Needs.of(task, plugins.prepare(task), Set.of());
        return Optional.ofNullable(fleet.choose(needs, task)).map(Member::snapshot);
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
        Member member = fleet.get(slaveId);
        if (member == null) {
            return deliver(CompletableFuture.failedFuture(unknown(slaveId)));
        }
        member.enter();
        return deliver(member.execute(invocation, listener, connectionPolicy.tries(), task.idempotent()));
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
            return deliver(
                    new Delivery(fleet, task, plugins.prepare(task), ExecutionListener.NONE, connectionPolicy.tries())
                            .start());
        } catch (D8Exception e) {
            return CompletableFuture.failedFuture(e);
        }
    }

    /**
     * Accepts a task, which waits for a slave that can run it and has a free slot: {@link TaskQueue#submit(Task)} of {@link
     * #queue}.
     *
     * @throws dev.d8.QueueFullException if there is no place for it now
     * @throws dev.d8.InvalidTaskException if it is malformed
     */
    public Submission submit(Task task) {
        return queue.submit(task);
    }

    /**
     * Accepts a task of a type whose output is a value, as {@link #submit(Task)}.
     *
     * @param type one that was found or given to the builder
     * @return the value; cancelling it cancels the task. Fails with {@link IllegalStateException} if the task failed, with its error, and with {@link
     *     dev.d8.InvalidTaskException} if its output is no such value
     */
    public <D extends Record, R> CompletableFuture<R> submit(TypedTaskType<D, R> type, D data) {
        Submission task = submit(Task.builder(type.id()).data(data).build());
        CompletableFuture<R> value = new CompletableFuture<>();
        task.result().whenComplete((result, error) -> {
            if (error != null) {
                value.completeExceptionally(RobustConnection.unwrap(error));
                return;
            }
            try {
                value.complete(type.result(result));
            } catch (RuntimeException e) {
                value.completeExceptionally(e);
            }
        });
        value.whenComplete((any, error) -> {
            if (value.isCancelled()) {
                task.cancel();
            }
        });
        return value;
    }

    /** Returns the queue of the tasks that were accepted: with back-pressure to choose, in batches, to be found by their ids. */
    public TaskQueue queue() {
        return queue;
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

    /**
     * Stops watching, fails the calls under way and lets go of the slaves. With a state directory the tasks that were accepted
     * run on, and the next master on it goes on with them. Idempotent.
     */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        queue.close();
        List.copyOf(fleet.ids()).forEach(this::unregister);
        queue.abandon();
        transports.values().forEach(Transport::close);
        time.close();
        if (ownCallbacks != null) {
            ownCallbacks.shutdown();
        }
    }

    /** Builds a {@link SlaveManager}; not thread-safe. */
    public static final class Builder {
        private Token token = Token.DEVELOPMENT;
        private VersionProvider version = Optional::empty;
        private VersionPolicy versionPolicy = VersionPolicy.REFUSE;
        private int updatesAtOnce = 1;
        private ConnectionPolicy connectionPolicy = ConnectionPolicy.DEFAULT;
        private Duration healthInterval = Duration.ofSeconds(30);
        private @Nullable SlaveSelector selector;
        private String selectorName = "least_loaded";
        private int queueCapacity = 10_000;
        private int defaultSlots = 1;
        private InstantSource clock = InstantSource.system();
        private MeterRegistry meters = new SimpleMeterRegistry();
        private @Nullable Path stateDirectory;
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

        /** Sets how many slaves update themselves at one time under {@link VersionPolicy#UPDATE}, 1 or more; default 1. */
        public Builder updatesAtOnce(int value) {
            if (value < 1) {
                throw new ConfigurationException("updatesAtOnce: " + value + " (expected: 1 or more)");
            }
            updatesAtOnce = value;
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

        /**
         * Sets who chooses among the slaves, by name: {@code least_loaded}, {@code lowest_latency}, {@code round_robin}, {@code
         * sticky}, or what a {@link SlaveSelectorProvider} calls itself; default {@code least_loaded}.
         */
        public Builder selector(String name) {
            selectorName = name;
            selector = null;
            return this;
        }

        /** Sets how many tasks may wait for a slave, above zero; default 10,000. */
        public Builder queueCapacity(int value) {
            queueCapacity = positive("queueCapacity", value);
            return this;
        }

        /**
         * Sets how many tasks of the queue a slave gets at one time that does not say how many it can run, as one of the original
         * protocol, above zero; default 1.
         */
        public Builder defaultSlots(int value) {
            defaultSlots = positive("defaultSlots", value);
            return this;
        }

        /**
         * Sets a directory, made if it is not there, where the tasks that the queue accepts are written down with what becomes of
         * them, so that they outlive this master. One master uses it at a time. It holds the tasks' sources: nobody but its owner
         * may read it. Default: none, and what is not over when the master ends is gone.
         */
        public Builder stateDirectory(Path value) {
            stateDirectory = value;
            return this;
        }

        /** Sets where the master counts what it does; default: nowhere. */
        public Builder meters(MeterRegistry value) {
            meters = value;
            return this;
        }

        /** Sets the clock that the state directory's entries are dated by; default: the system's. */
        public Builder clock(InstantSource value) {
            clock = value;
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

        private static int positive(String name, int value) {
            if (value < 1) {
                throw new ConfigurationException(name + ": " + value + " (expected: > 0)");
            }
            return value;
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
