package dev.d8.executor.python.engine;

import dev.d8.ConfigurationException;
import dev.d8.ExecutorInfo;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Termination.Status;
import dev.d8.executor.python.engine.EngineSettings.Mode;
import dev.d8.spi.Availability;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.Availability.Unavailable;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.TimeSource;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs Python tasks on an interpreter of this machine, each in a process of its own that nobody used before: forked by a
 * loaded interpreter, or, where that cannot be had or is not wanted, in an interpreter that is started for it.
 * Thread-safe.
 */
public final class PythonEngine implements Executor {

    private static final Logger LOG = LoggerFactory.getLogger(PythonEngine.class);

    /** How long a task waits for a supervisor before it gets an interpreter of its own: more than a fork ever takes. */
    private static final Duration PATIENCE = Duration.ofSeconds(5);

    /** How often a task is given to another supervisor because one went away before it had started. */
    private static final int TRIES = 3;

    private final String name;
    private final Supplier<PythonInterpreter> finder;
    private final EngineSettings settings;
    private final TimeSource time = TimeSource.system();
    private final EngineMetrics metrics = new EngineMetrics();
    private final ExecutorService workers;
    private final Set<ProcessLink> spawned = ConcurrentHashMap.newKeySet();

    private final Object changing = new Object();
    private volatile @Nullable PythonInterpreter interpreter;
    private volatile AgentProgram program = AgentProgram.source();
    private volatile @Nullable Agents agents;
    private boolean closed;

    /** The agents of an interpreter, and where their supervisors report. */
    private record Agents(PythonInterpreter python, AgentPool pool, AgentSocket socket) implements AutoCloseable {
        @Override
        public void close() {
            pool.close();
            socket.close();
        }
    }

    /**
     * Creates an engine.
     *
     * @param name names its threads
     * @param finder finds the interpreter, anew at every probe; throws {@link ConfigurationException} if there is none
     */
    public PythonEngine(String name, Supplier<PythonInterpreter> finder, EngineSettings settings) {
        this.name = name;
        this.finder = finder;
        this.settings = settings;
        AtomicInteger number = new AtomicInteger();
        this.workers = Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task, "d8-" + name + "-" + number.incrementAndGet());
            thread.setDaemon(true);
            return thread;
        });
    }

    @Override
    public Availability probe() {
        try {
            PythonInterpreter found = finder.get();
            if (!found.equals(interpreter)) {
                found.requireModules(settings.preload(), settings.environment());
                program = AgentProgram.compiledBy(found, settings.environment());
                interpreter = found;
            }
            if (settings.mode() != Mode.SPAWN) {
                useAgentsOf(found);
            }
            return new Available(
                    found.executable() + ", Python " + found.version(),
                    Isolation.PROCESS,
                    Optional.of(found.fullVersion()));
        } catch (ConfigurationException e) {
            interpreter = null;
            return new Unavailable(String.valueOf(e.getMessage()));
        }
    }

    /** Returns what the last probe found. */
    public Optional<PythonInterpreter> interpreter() {
        return Optional.ofNullable(interpreter);
    }

    /** Starts agents, unless there are some of this very interpreter: another one may stand at its path by now. */
    private void useAgentsOf(PythonInterpreter python) {
        synchronized (changing) {
            Agents before = agents;
            if (closed || (before != null && before.python().equals(python))) {
                return;
            }
            if (before != null) {
                before.close();
            }
            try {
                agents = startAgents(python);
            } catch (IOException e) {
                agents = null;
                LOG.warn("{}: no socket for the agents, so tasks start more slowly: {}", name, e.getMessage());
            }
        }
    }

    private Agents startAgents(PythonInterpreter python) throws IOException {
        AgentPool[] pool = new AgentPool[1];
        AgentSocket socket = new AgentSocket(name, time, (shown, channel) -> pool[0].welcome(shown, channel));
        AgentPool.Factory factory = number -> new AgentProcess(
                python.executable().toString(),
                settings.environment(),
                program,
                config("agent")
                        .put("socket", socket.path())
                        .put("hide", socket.directory())
                        .put("memory", settings.recycleMemory()));
        pool[0] = new AgentPool(name, factory, settings, time, workers, metrics);
        pool[0].start();
        return new Agents(python, pool[0], socket);
    }

    private Frame.Header config(String mode) {
        Frame.Header config = new Frame.Header()
                .put("mode", mode)
                .put("isolation", settings.contained() ? "contained" : "none")
                .put("namespaces", settings.contained() && settings.namespaces() ? "auto" : "off")
                .put("processes", settings.processes());
        settings.hide().forEach(path -> config.put("hide", path));
        settings.preload().forEach(module -> config.put("preload", module));
        settings.user().ifPresent(user -> config.put("user", user));
        return config;
    }

    @Override
    public Optional<String> objection(Invocation invocation) {
        if (!invocation.runtime().equals(Invocation.PYTHON)) {
            return Optional.of("runs python only, not " + invocation.runtime());
        }
        if (!invocation.requirements().isEmpty()) {
            return Optional.of("installs no requirements; prepare a virtual environment that has them");
        }
        if (invocation.image().isPresent()) {
            return Optional.of("runs on the machine itself, not on an image");
        }
        return Optional.empty();
    }

    @Override
    public ExecutionOutcome execute(Invocation invocation, ExecutionListener listener) throws InterruptedException {
        long began = time.nanoTime();
        PythonInterpreter python = interpreter;
        if (python == null) {
            if (probe() instanceof Unavailable missing) {
                return notStarted(missing.reason());
            }
            python = interpreter;
        }
        if (python == null) {
            return notStarted("the interpreter went away"); // Another thread's probe did not find it any more.
        }
        if (settings.mode() != Mode.SPAWN) {
            Optional<ExecutionOutcome> outcome = executeByAgent(invocation, listener, began);
            if (outcome.isPresent()) {
                return outcome.get();
            }
            if (settings.mode() == Mode.AGENT) {
                return notStarted("no agent of " + python.executable() + " answers; the slave's log says why");
            }
        }
        return spawn(python, invocation, listener, began);
    }

    /** Runs a task on a supervisor; nothing if none could take it, and it certainly has not started then. */
    private Optional<ExecutionOutcome> executeByAgent(Invocation invocation, ExecutionListener listener, long began)
            throws InterruptedException {
        byte[] request = AgentProgram.request(invocation);
        for (int i = 0; i < TRIES; i++) {
            Agents current = agents;
            if (current == null) {
                return Optional.empty();
            }
            AgentPool pool = current.pool();
            SocketLink link = pool.take(PATIENCE);
            if (link == null) {
                return Optional.empty();
            }
            AgentConversation conversation =
                    new AgentConversation(link, request, invocation, listener, time, true, List.of());
            try {
                ExecutionOutcome outcome = conversation.run(began);
                if (!conversation.lostBeforeStart()) {
                    metrics.warmStarts.increment();
                    return Optional.of(outcome);
                }
            } finally {
                if (conversation.over()) {
                    pool.giveBack(link);
                } else {
                    pool.discard(link);
                }
            }
        }
        return Optional.empty();
    }

    private ExecutionOutcome spawn(
            PythonInterpreter python, Invocation invocation, ExecutionListener listener, long began)
            throws InterruptedException {
        metrics.coldStarts.increment();
        // Not with the task's variables: an interpreter that reads them while it starts runs code of the task's.
        try (ProcessLink link = new ProcessLink(python.executable().toString(), settings.environment(), workers)) {
            spawned.add(link);
            try {
                link.send(program.greeting(config("task").put("finalize", "full")));
            } catch (IOException e) {
                // It ended at once; the conversation finds out and says why.
            }
            try {
                byte[] request = AgentProgram.request(invocation);
                return new AgentConversation(link, request, invocation, listener, time, false, List.of()).run(began);
            } finally {
                spawned.remove(link);
            }
        } catch (IOException e) {
            return notStarted(python.executable() + " cannot be started: " + e.getMessage());
        }
    }

    private static ExecutionOutcome notStarted(String message) {
        return ExecutionOutcome.notStarted(
                Status.START_FAILED, message, new ExecutorInfo(false, List.of(), Optional.empty()));
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        metrics.bindTo(registry, name, () -> {
            Agents current = agents;
            return current == null ? 0 : current.pool().parked();
        });
    }

    /** Ends the agents, the tasks and the engine's threads. Idempotent. */
    @Override
    public void close() {
        synchronized (changing) {
            closed = true;
            Agents last = agents;
            if (last != null) {
                last.close();
            }
            agents = null;
        }
        workers.shutdown();
        spawned.forEach(ProcessLink::close);
        time.close();
    }
}
