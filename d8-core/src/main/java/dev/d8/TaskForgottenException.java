package dev.d8;

/** The slave ran a task of this id, but no longer has its result. It does not run it again. */
public final class TaskForgottenException extends D8Exception {

    private static final long serialVersionUID = 1L;

    /** Creates one. */
    public TaskForgottenException(TaskId taskId) {
        super("task_id " + taskId + ": it is over, and its result is no longer kept", null);
    }

    /** Returns false: it has run. */
    @Override
    public boolean retrySafe() {
        return false;
    }
}
