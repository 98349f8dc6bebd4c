package dev.d8.executor.python.engine;

import dev.d8.ConfigurationException;
import dev.d8.ExecutorInfo;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Termination.Status;
import dev.d8.spi.Availability;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.Availability.Unavailable;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.TimeSource;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Runs Python tasks on an interpreter of this machine, each in a process of its own that nobody used before.
 * Thread-safe.
 */
public final class PythonEngine implements Executor {

    /** What a task sees of the slave's environment where no setting says otherwise; all else is the slave's own. */
    public static final List<String> DEFAULT_ENVIRONMENT = List.of(
            "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TMP", "TEMP");

    private final Supplier<PythonInterpreter> finder;
    private final Map<String, String> environment;
    private final TimeSource time = TimeSource.system();
    private final AgentProgram program = new AgentProgram();
    private final ExecutorService readers;
    private final Set<ProcessLink> links = ConcurrentHashMap.newKeySet();
    private volatile @Nullable PythonInterpreter interpreter;

    /**
     * Creates an engine.
     *
     * @param name names its threads
     * @param finder finds the interpreter, anew at every probe; throws {@link ConfigurationException} if there is none
     * @param environment names of the variables that a task inherits from the slave
     */
    public PythonEngine(String name, Supplier<PythonInterpreter> finder, List<String> environment) {
        this.finder = finder;
        this.environment = inherited(environment);
        AtomicInteger number = new AtomicInteger();
        this.readers = Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task, "d8-" + name + "-reader-" + number.incrementAndGet());
            thread.setDaemon(true);
            return thread;
        });
    }

    /** Returns those of the named variables that this process has. */
    public static Map<String, String> inherited(List<String> names) {
        Map<String, String> values = new HashMap<>(System.getenv());
        values.keySet().retainAll(names);
        return Map.copyOf(values);
    }

    @Override
    public Availability probe() {
        try {
            PythonInterpreter found = finder.get();
            interpreter = found;
            return new Available(
                    found.executable() + ", Python " + found.version(),
                    Isolation.PROCESS,
                    Optional.of(found.fullVersion()));
        } catch (ConfigurationException e) {
            interpreter = null;
            return new Unavailable(String.valueOf(e.getMessage()));
        }
    }

    @Override
    public Optional<String> objection(Invocation invocation) {
        if (!invocation.runtime().equals(Invocation.PYTHON)) {
            return Optional.of("runs python only, not " + invocation.runtime());
        }
        if (!invocation.requirements().isEmpty()) {
            return Optional.of("installs no requirements; prepare a virtual environment that has them");
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
        Map<String, String> env = new HashMap<>(environment);
        env.putAll(invocation.env());
        try (ProcessLink link = new ProcessLink(python.executable().toString(), env, readers)) {
            links.add(link);
            try {
                link.send(program.greeting());
            } catch (IOException e) {
                // It ended at once; the conversation finds out and says why.
            }
            try {
                return new AgentConversation(link, invocation, listener, time, false, List.of()).run(began);
            } finally {
                links.remove(link);
            }
        } catch (IOException e) {
            return notStarted(python.executable() + " cannot be started: " + e.getMessage());
        }
    }

    private static ExecutionOutcome notStarted(String message) {
        return ExecutionOutcome.notStarted(
                Status.START_FAILED, message, new ExecutorInfo(false, List.of(), Optional.empty()));
    }

    /** Stops the engine's threads. Idempotent. */
    @Override
    public void close() {
        readers.shutdown();
        links.forEach(ProcessLink::close);
        time.close();
    }
}
