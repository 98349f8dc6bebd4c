/**
 * The words of D8 as types: what a task is, what a slave is told to run, and what comes back.
 *
 * <p>Start with {@link dev.d8.Task} (what a user asks for), then {@link dev.d8.Invocation} (what a slave is told), then
 * {@link dev.d8.TaskResult} (what came back). {@link dev.d8.D8Exception} lists everything that can go wrong apart from
 * the task itself.
 */
@NullMarked
package dev.d8;

import org.jspecify.annotations.NullMarked;
