package dev.d8;

import java.time.Duration;

/**
 * Where a task's time on the slave went.
 *
 * @param queue from its arrival to a free slot
 * @param start from the slot to the program's start: what the executor costs
 * @param run from the program's start to its end
 */
public record Timing(Duration queue, Duration start, Duration run) {}
