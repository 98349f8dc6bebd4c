package dev.d8.executor.python;

import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;

/** Makes the {@code python} executor, preference 100: the one that runs a task when no better one can. */
public final class PythonExecutorProvider implements ExecutorProvider {

    /** For {@link java.util.ServiceLoader}. */
    public PythonExecutorProvider() {}

    @Override
    public String method() {
        return "python";
    }

    @Override
    public int preference() {
        return 100;
    }

    @Override
    public Executor create(Options options) {
        return new PythonExecutor(options);
    }
}
