package dev.d8.executor.venv;

import dev.d8.ConfigurationException;
import dev.d8.ExecutorInfo;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Termination.Status;
import dev.d8.executor.python.engine.EngineSettings;
import dev.d8.executor.python.engine.PythonEngine;
import dev.d8.executor.python.engine.PythonInterpreter;
import dev.d8.spi.Availability;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.Availability.Unavailable;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.Options;
import dev.d8.spi.TimeSource;
import io.micrometer.core.instrument.MeterRegistry;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Runs Python tasks in a virtual environment: the one that the slave's owner made, or, for a task that names its
 * {@code requirements}, one that is built for it and kept for the next that needs the same. Thread-safe.
 */
final class VenvExecutor implements Executor {

    private final PythonEngine own;
    private final Optional<BuiltVenvs> built;
    private volatile Availability ownAvailability = new Unavailable("not looked at yet");
    private final TimeSource time = TimeSource.system();

    VenvExecutor(Options options, Map<String, String> slaveEnvironment) {
        EngineSettings settings = EngineSettings.of(options);
        own = new PythonEngine("venv", VenvFinder.of(options, slaveEnvironment), settings);
        boolean builds = options.matching("requirements", "build", "build|refuse", "build or refuse")
                .equals("build");
        Optional<Path> python = options.path("python");
        Path cache = options.path("cache").orElseGet(() -> defaultCache(slaveEnvironment));
        long cacheBytes = options.number("cache_bytes", 5L << 30, 1 << 20, Long.MAX_VALUE);
        List<String> pipArguments = options.list("pip_arguments", List.of());
        Duration buildTimeout = options.duration("build_timeout", Duration.ofSeconds(600));
        Duration idle = options.duration("idle", Duration.ofSeconds(300));
        Optional<Path> uv =
                options.matching("uv", "auto", "auto|off", "auto or off").equals("auto")
                        ? PythonInterpreter.onPath("uv")
                        : Optional.empty();
        options.rejectUnknown();
        if (!builds) {
            built = Optional.empty();
            return;
        }
        PythonEngine base = new PythonEngine("venv-build", () -> base(python, settings), settings.forOneAtATime());
        Map<String, String> environment = new HashMap<>(slaveEnvironment);
        environment.keySet().retainAll(VenvBuilder.ENVIRONMENT);
        VenvBuilder builder = new VenvBuilder(base, environment, pipArguments, buildTimeout, uv);
        built = Optional.of(new BuiltVenvs(
                base,
                builder,
                new VenvCache(cache.toAbsolutePath(), cacheBytes),
                settings.forOneAtATime(),
                idle,
                time));
    }

    private static Path defaultCache(Map<String, String> environment) {
        String base = environment.getOrDefault("XDG_CACHE_HOME", "");
        return (base.isEmpty() ? Path.of(System.getProperty("user.home"), ".cache") : Path.of(base))
                .resolve("d8")
                .resolve("venvs");
    }

    private static PythonInterpreter base(Optional<Path> configured, EngineSettings settings) {
        Path candidate = configured
                .or(() -> PythonInterpreter.onPath("python3"))
                .orElseThrow(() -> new ConfigurationException(
                        "python3 is not on the PATH; install Python 3.9 or later, or set venv.python"));
        PythonInterpreter found = PythonInterpreter.ask(candidate, settings.environment());
        found.requireModules(List.of("venv", "ensurepip"), settings.environment());
        return found;
    }

    @Override
    public Availability probe() {
        Availability mine = own.probe();
        ownAvailability = mine;
        if (mine instanceof Available || built.isEmpty()) {
            return mine;
        }
        return built.get().probe() instanceof Available able
                ? new Available(
                        "for tasks with requirements only, " + able.detail() + "; " + ((Unavailable) mine).reason(),
                        Isolation.PROCESS,
                        able.pythonVersion())
                : mine;
    }

    @Override
    public Optional<String> objection(Invocation invocation) {
        if (invocation.requirements().isEmpty()) {
            return ownAvailability instanceof Unavailable missing
                    ? Optional.of(missing.reason())
                    : own.objection(invocation);
        }
        if (built.isEmpty()) {
            return own.objection(invocation);
        }
        return Requirements.objection(invocation.requirements())
                .or(() -> built.get().objection())
                .or(() -> own.objection(
                        invocation.toBuilder().requirements(List.of()).build()));
    }

    @Override
    public ExecutionOutcome execute(Invocation invocation, ExecutionListener listener) throws InterruptedException {
        if (invocation.requirements().isEmpty()) {
            return own.execute(invocation, listener);
        }
        if (built.isEmpty()) {
            return notStarted("requirements are refused here: venv.requirements");
        }
        return built.get().execute(invocation, listener);
    }

    static ExecutionOutcome notStarted(String message) {
        return ExecutionOutcome.notStarted(
                Status.START_FAILED, message, new ExecutorInfo(false, List.of(), Optional.empty()));
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        own.bindTo(registry);
    }

    @Override
    public void close() {
        own.close();
        built.ifPresent(BuiltVenvs::close);
        time.close();
    }
}
