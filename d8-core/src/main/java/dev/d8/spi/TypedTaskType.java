package dev.d8.spi;

import dev.d8.TaskResult;

/**
 * A task type whose output is a value.
 *
 * @param <D> the data, a record bound from the task's JSON
 * @param <R> the value
 */
public interface TypedTaskType<D extends Record, R> extends TaskType<D> {

    /** Returns what a task's output is bound to. */
    Class<R> resultType();

    /**
     * Reads the value; default: standard output as one JSON value.
     *
     * @throws IllegalStateException if the task failed; the message carries its error
     * @throws dev.d8.InvalidTaskException if the output is no such value
     */
    default R result(TaskResult result) {
        return result.outputAs(resultType());
    }
}
