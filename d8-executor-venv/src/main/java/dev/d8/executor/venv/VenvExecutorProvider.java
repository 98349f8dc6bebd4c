package dev.d8.executor.venv;

import dev.d8.executor.python.engine.EngineSettings;
import dev.d8.executor.python.engine.PythonEngine;
import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;

/**
 * Makes the {@code venv} executor, preference 200: the Python engine on a virtual environment, so that tasks find the
 * packages that the slave's owner installed there. The wall around a task is that of the {@code python} executor: a
 * process of its own.
 *
 * <p>The environment is looked for at every probe, in this order; the first place that is set or exists decides:
 *
 * <ol>
 *   <li>the option {@code venv.path}
 *   <li>the environment variable {@code D8_VENV}
 *   <li>{@code venv/} or {@code .venv/} in the directory {@code venv.directory}
 * </ol>
 *
 * <p>Options, all optional:
 *
 * <table>
 * <caption>venv.*</caption>
 * <tr><th>option</th><th>default</th><th>meaning</th></tr>
 * <tr><td>{@code venv.path}</td><td>{@code D8_VENV}, else found</td><td>the virtual environment's directory</td></tr>
 * <tr><td>{@code venv.directory}</td><td>the slave's working directory</td><td>where {@code venv/} or {@code .venv/} is
 * looked for</td></tr>
 * </table>
 *
 * <p>and those of {@link EngineSettings}.
 */
public final class VenvExecutorProvider implements ExecutorProvider {

    /** For {@link java.util.ServiceLoader}. */
    public VenvExecutorProvider() {}

    @Override
    public String method() {
        return "venv";
    }

    @Override
    public int preference() {
        return 200;
    }

    @Override
    public Executor create(Options options) {
        VenvFinder finder = VenvFinder.of(options, System.getenv());
        PythonEngine engine = new PythonEngine("venv", finder, EngineSettings.of(options));
        options.rejectUnknown();
        return engine;
    }
}
