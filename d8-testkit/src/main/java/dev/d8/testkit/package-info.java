/**
 * What a plugin must pass, and what tests need instead of clocks and networks.
 *
 * <p>Whoever writes an executor subclasses {@link dev.d8.testkit.ExecutorContract}; a transport,
 * {@link dev.d8.testkit.TransportContract}; a task type, {@link dev.d8.testkit.TaskTypeContract}. Tests of a master take
 * {@link dev.d8.testkit.FakeTime} and {@link dev.d8.testkit.InMemoryTransport}, with
 * {@link dev.d8.testkit.FaultyTransport} around it.
 */
@NullMarked
package dev.d8.testkit;

import org.jspecify.annotations.NullMarked;
