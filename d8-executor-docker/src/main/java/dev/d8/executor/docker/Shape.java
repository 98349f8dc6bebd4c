package dev.d8.executor.docker;

import dev.d8.Invocation;
import java.util.Optional;

/**
 * All that is fixed when a container is made. Containers of equal shapes are interchangeable as long as no task has run in
 * them; the rest, a task's program, arguments and variables, is told to the agent inside.
 */
record Shape(Image image, long memoryBytes, long processes, Optional<WorkingDirs.Mount> mount) {

    /** Returns the shape of tasks that ask for nothing. */
    static Shape usual(DockerSettings settings, Image image) {
        return new Shape(image, settings.memoryBytes(), settings.processes(), Optional.empty());
    }

    static Shape of(DockerSettings settings, Image image, Invocation task, Optional<WorkingDirs.Mount> mount) {
        return new Shape(
                image,
                task.limits().memoryBytes().orElse(settings.memoryBytes()),
                task.limits().processes().orElse(settings.processes()),
                mount);
    }

    /**
     * Returns whether this can be kept ready: a directory may be another one, or closed, by the time at which the next task
     * asks for its path.
     */
    boolean common() {
        return mount.isEmpty();
    }
}
