package dev.d8;

import java.time.Duration;

/**
 * What a task used, as the operating system counted it.
 *
 * @param wall time from start to end
 * @param cpuUser CPU time in its own code, children that it waited for included
 * @param cpuSystem CPU time in the kernel, likewise
 * @param maxRssBytes the largest resident set of one of its processes, in bytes
 */
public record Usage(Duration wall, Duration cpuUser, Duration cpuSystem, long maxRssBytes) {}
