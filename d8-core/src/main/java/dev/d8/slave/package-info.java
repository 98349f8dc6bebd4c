/**
 * The process on a slave: executors behind a transport. Start with {@link dev.d8.slave.SlaveServer}, then
 * {@link dev.d8.slave.ExecutorRanking}, which decides what runs a task.
 */
@NullMarked
package dev.d8.slave;

import org.jspecify.annotations.NullMarked;
