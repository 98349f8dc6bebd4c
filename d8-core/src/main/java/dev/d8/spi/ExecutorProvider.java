package dev.d8.spi;

import dev.d8.ConfigurationException;

/** Makes an executor. Found by {@link java.util.ServiceLoader}; its constructor does no I/O. */
public interface ExecutorProvider {

    /** Returns the executor's name on the wire: {@code [a-z][a-z0-9_]*}, one of its kind. */
    String method();

    /** Returns its rank: the highest that can run a task runs it. Docker is 300, venv 200, python 100. */
    int preference();

    /**
     * Makes the executor. What it needs from outside is looked at in {@link Executor#probe}, not here.
     *
     * @param options this executor's own settings: {@code docker.image} arrives as {@code image}
     * @throws ConfigurationException if an option is malformed
     */
    Executor create(Options options);
}
