package dev.d8.executor.venv;

import dev.d8.executor.python.engine.EngineSettings;
import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;

/**
 * Makes the {@code venv} executor, preference 200: the Python engine on a virtual environment, so that tasks find the
 * packages that the slave's owner installed there, or those that they ask for. The wall around a task is that of the {@code python} executor: a
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
 * <tr><td>{@code venv.requirements}</td><td>{@code build}</td><td>{@code build} environments for tasks that name
 * requirements, or {@code refuse} such tasks</td></tr>
 * <tr><td>{@code venv.python}</td><td>{@code python3} on the PATH</td><td>the interpreter that they are built for</td></tr>
 * <tr><td>{@code venv.cache}</td><td>{@code ~/.cache/d8/venvs}</td><td>where they are kept; slaves may share it</td></tr>
 * <tr><td>{@code venv.cache_bytes}</td><td>5 GiB</td><td>how much room they may take; beyond it those go that were not
 * used for longest, never one in use</td></tr>
 * <tr><td>{@code venv.pip_arguments}</td><td>none</td><td>comma-separated arguments for pip or uv, such as
 * {@code --index-url=…}</td></tr>
 * <tr><td>{@code venv.uv}</td><td>{@code auto}</td><td>{@code auto}: {@code uv} where it is on the PATH, else pip;
 * {@code off}: pip</td></tr>
 * <tr><td>{@code venv.build_timeout}</td><td>600 s</td><td>how long a build may take</td></tr>
 * <tr><td>{@code venv.idle}</td><td>300 s</td><td>how long the agents of a built environment stay after its last task</td></tr>
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
        return new VenvExecutor(options, System.getenv());
    }
}
