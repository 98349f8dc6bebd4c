package dev.d8.executor.docker;

import dev.d8.Invocation;
import dev.d8.executor.python.engine.PythonInterpreter;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * All that is fixed when a container is made. Containers of equal shapes are interchangeable as long as no task has run in
 * them; the rest, a task's program, arguments and most variables, is told to the agent inside.
 *
 * @param environment variables that Python reads while it starts
 */
record Shape(
        Image image,
        long memoryBytes,
        long processes,
        Optional<WorkingDirs.Mount> mount,
        Map<String, String> environment) {

    /** Returns the shape of tasks that ask for nothing. */
    static Shape usual(DockerSettings settings, Image image) {
        return new Shape(image, settings.memoryBytes(), settings.processes(), Optional.empty(), Map.of());
    }

    static Shape of(DockerSettings settings, Image image, Invocation task, Optional<WorkingDirs.Mount> mount) {
        Map<String, String> environment = new TreeMap<>(task.env());
        environment.keySet().removeIf(variable -> !PythonInterpreter.heedsAtStart(variable));
        return new Shape(
                image,
                task.limits().memoryBytes().orElse(settings.memoryBytes()),
                task.limits().processes().orElse(settings.processes()),
                mount,
                Map.copyOf(environment));
    }

    /**
     * Returns whether this is worth keeping ready: what one task alone asks for comes too late, and a directory may be
     * another one, or closed, by the time at which the next task asks for its path.
     */
    boolean common() {
        return environment.isEmpty() && mount.isEmpty();
    }
}
