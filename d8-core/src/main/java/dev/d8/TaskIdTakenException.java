package dev.d8;

/** The slave knows this task id from another task, so it cannot tell what the caller wants. This one did not start. */
public final class TaskIdTakenException extends D8Exception {

    private static final long serialVersionUID = 1L;

    /** Creates one. */
    public TaskIdTakenException(TaskId taskId) {
        super("task_id " + taskId + ": was used with another task (expected: a new one for each task)", null);
    }
}
