/**
 * The {@code docker} executor: Python tasks in a container each. Start with
 * {@link dev.d8.executor.docker.DockerExecutor}, then {@code ContainerRunner} (one task) and {@code DockerEngine}
 * (whether tasks can run at all).
 */
@NullMarked
package dev.d8.executor.docker;

import org.jspecify.annotations.NullMarked;
