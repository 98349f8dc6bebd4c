package dev.d8.executor.python;

import dev.d8.ConfigurationException;
import dev.d8.Invocation;
import dev.d8.executor.python.engine.EngineSettings;
import dev.d8.executor.python.engine.PythonEngine;
import dev.d8.executor.python.engine.PythonInterpreter;
import dev.d8.spi.Availability;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.Options;
import io.micrometer.core.instrument.MeterRegistry;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Runs Python tasks on the host's interpreter: the fastest executor and the one that is nearly always there, with a
 * process of its own as the only wall. Thread-safe.
 *
 * <p>Options: {@code python.path}, the interpreter (default: {@code python3}, else {@code python}, on the PATH), and those of
 * {@link EngineSettings}.
 */
public final class PythonExecutor implements Executor {

    private final PythonEngine engine;

    PythonExecutor(Options options) {
        Optional<Path> configured = options.path("path");
        EngineSettings settings = EngineSettings.of(options);
        engine = new PythonEngine("python", () -> find(configured, settings), settings);
        options.rejectUnknown();
    }

    private static PythonInterpreter find(Optional<Path> configured, EngineSettings settings) {
        Path candidate = configured
                .or(() -> PythonInterpreter.onPath("python3"))
                .or(() -> PythonInterpreter.onPath("python"))
                .orElseThrow(() -> new ConfigurationException(
                        "neither python3 nor python is on the PATH; install Python 3.9 or later, or set python.path"));
        return PythonInterpreter.ask(candidate, settings.environment());
    }

    @Override
    public Availability probe() {
        return engine.probe();
    }

    @Override
    public Optional<String> objection(Invocation invocation) {
        return engine.objection(invocation);
    }

    @Override
    public ExecutionOutcome execute(Invocation invocation, ExecutionListener listener) throws InterruptedException {
        return engine.execute(invocation, listener);
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        engine.bindTo(registry);
    }

    @Override
    public void close() {
        engine.close();
    }
}
