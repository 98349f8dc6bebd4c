/**
 * What plugin authors implement, found by {@link java.util.ServiceLoader}.
 *
 * <p>Start with {@link dev.d8.spi.TaskType} (what a task is), {@link dev.d8.spi.ExecutorProvider} and
 * {@link dev.d8.spi.Executor} (how it runs), or {@link dev.d8.spi.TransportProvider} and {@link dev.d8.spi.Transport} (how
 * bytes travel). Each has a contract in the test kit that your implementation subclasses in about ten lines.
 */
@NullMarked
package dev.d8.spi;

import org.jspecify.annotations.NullMarked;
