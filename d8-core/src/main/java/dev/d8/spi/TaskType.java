package dev.d8.spi;

import dev.d8.InvalidTaskException;
import dev.d8.Invocation;

/**
 * What a task is: turns a task's data into a program, on the master. Found by {@link java.util.ServiceLoader};
 * stateless and thread-safe.
 *
 * @param <D> the data, a record bound from the task's JSON
 */
public interface TaskType<D> {

    /** Returns the name by which tasks ask for this type: {@code [a-z][a-z0-9_]*}, one of its kind. */
    String id();

    /** Returns the record that a task's data is bound to. */
    Class<D> dataType();

    /**
     * Makes the program. Runs nothing and does no I/O.
     *
     * <p>The task's own options (id, timeout, method, isolation) are laid over what this returns.
     *
     * @throws InvalidTaskException if the data makes no sense; the message names the field
     */
    Invocation prepare(D data);
}
