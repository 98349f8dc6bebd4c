package dev.d8;

import java.util.Locale;
import java.util.Optional;

/**
 * What a slave knows of a task.
 *
 * @param taskId which task
 * @param phase how far it has come
 * @param result what became of it; there if and only if the phase is {@link Phase#DONE}
 */
public record TaskState(TaskId taskId, Phase phase, Optional<TaskResult> result) {

    /** How far a task has come. */
    public enum Phase {
        /** It waits for a slot. */
        QUEUED,
        /** It runs. */
        RUNNING,
        /** It is over, and its result is kept. */
        DONE,
        /** It is over, and its result is no longer kept. It does not run again. */
        FORGOTTEN;

        /** Returns the name on the wire, in lower case. */
        public String wireName() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** Checks that there is a result if and only if the task is done. */
    public TaskState {
        if (result.isPresent() != (phase == Phase.DONE)) {
            throw new IllegalArgumentException(
                    "phase " + phase + (result.isPresent() ? " with" : " without") + " a result");
        }
    }

    /** Returns the state of a task whose result is here. */
    public static TaskState done(TaskResult result) {
        return new TaskState(result.taskId(), Phase.DONE, Optional.of(result));
    }

    /** Returns the state of a task that has no result, or none any more. */
    public static TaskState of(TaskId taskId, Phase phase) {
        return new TaskState(taskId, phase, Optional.empty());
    }
}
