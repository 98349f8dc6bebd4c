package dev.d8.spi;

import dev.d8.Invocation;
import dev.d8.TaskId;
import java.util.Optional;

/**
 * The tasks that a slave keeps by their ids, so that a caller may ask again: what is sent twice runs once. Thread-safe; no
 * method blocks.
 */
public interface SlaveTasks {

    /**
     * Takes a task, unless it is known already: then it is that one. It runs on when its caller goes.
     *
     * @throws dev.d8.SlaveRefusedException if there is no room for it
     * @throws dev.d8.NoExecutorException if no executor can run it
     * @throws dev.d8.InvalidTaskException if it asks for more than this slave gives
     * @throws dev.d8.TaskIdTakenException if its id is known from another task
     */
    TaskHandle submit(Caller caller, Invocation invocation);

    /** Returns a task by its id; nothing if it never came. */
    Optional<TaskHandle> find(TaskId id);

    /** Returns how many tasks wait for a slot. */
    int waiting();

    /**
     * Ends a task and everything that it started; one that has not come yet will not start when it does. Returns at once.
     *
     * @return whether there was something left to end
     */
    boolean cancel(Caller caller, TaskId id);
}
