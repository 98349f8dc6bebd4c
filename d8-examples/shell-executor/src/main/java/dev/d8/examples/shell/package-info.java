/**
 * An executor of your own: a jar that a slave loads from its plugins folder, and that runs POSIX shell.
 *
 * <p>Start with {@link dev.d8.examples.shell.ShellExecutorProvider}, the class that the slave finds by its name in
 * {@code META-INF/services/dev.d8.spi.ExecutorProvider}. {@code ShellExecutor} does the work; {@code ProcessTree} ends a
 * task together with everything that it started. To write another executor, copy this module and change these.
 */
@NullMarked
package dev.d8.examples.shell;

import org.jspecify.annotations.NullMarked;
