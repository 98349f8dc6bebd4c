package dev.d8;

import java.util.List;
import java.util.Optional;

/**
 * What an executor really did for a task, as opposed to what it was asked for.
 *
 * @param warm whether the process was started ahead of the task
 * @param isolation every wall that was applied, in the field's words ({@code process_group}, {@code rlimits}, {@code pid_ns} …)
 * @param python the version of the Python that ran it, {@code 3.11.2}; empty for another runtime
 */
public record ExecutorInfo(boolean warm, List<String> isolation, Optional<String> python) {

    /** Checks that nothing is missing and copies the list. */
    public ExecutorInfo {
        isolation = List.copyOf(isolation);
    }
}
