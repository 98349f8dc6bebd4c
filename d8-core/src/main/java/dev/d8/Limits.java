package dev.d8;

import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What a task may use at the most. An empty component means "the executor's default".
 *
 * @param memoryBytes address space or container memory, in bytes, above 0
 * @param cpuTime CPU time (user and system), above zero; executors count whole seconds, rounded up
 * @param processes processes and threads at one time, above 0
 * @param outputBytes kept of each of stdout and stderr, in bytes, 0 or more; default 10 MiB; the rest is drained and dropped
 * @param fileBytes size of one file that the task writes, in bytes, 0 or more
 */
public record Limits(
        OptionalLong memoryBytes,
        Optional<Duration> cpuTime,
        OptionalLong processes,
        OptionalLong outputBytes,
        OptionalLong fileBytes) {

    /** What is kept of each output stream where the task does not say: 10 MiB. */
    public static final long DEFAULT_OUTPUT_BYTES = 10L << 20;

    /** Every limit at the executor's default. */
    public static final Limits DEFAULT = new Limits(
            OptionalLong.empty(), Optional.empty(), OptionalLong.empty(), OptionalLong.empty(), OptionalLong.empty());

    /** Checks the ranges. */
    public Limits {
        requireAtLeast("limits.memory_bytes", memoryBytes, 1);
        requireAtLeast("limits.processes", processes, 1);
        requireAtLeast("limits.output_bytes", outputBytes, 0);
        requireAtLeast("limits.file_bytes", fileBytes, 0);
        Objects.requireNonNull(cpuTime, "cpuTime");
        if (cpuTime.isPresent() && (cpuTime.get().isNegative() || cpuTime.get().isZero())) {
            throw new InvalidTaskException("limits.cpu_seconds", cpuTime.get() + " (expected: above 0)");
        }
    }

    /** Returns a copy with another output limit. */
    public Limits withOutputBytes(long bytes) {
        return new Limits(memoryBytes, cpuTime, processes, OptionalLong.of(bytes), fileBytes);
    }

    /** Returns a copy with a memory limit. */
    public Limits withMemoryBytes(long bytes) {
        return new Limits(OptionalLong.of(bytes), cpuTime, processes, outputBytes, fileBytes);
    }

    /** Returns a copy with a CPU time limit. */
    public Limits withCpuTime(Duration time) {
        return new Limits(memoryBytes, Optional.of(time), processes, outputBytes, fileBytes);
    }

    /** Returns a copy with a limit on processes and threads. */
    public Limits withProcesses(long count) {
        return new Limits(memoryBytes, cpuTime, OptionalLong.of(count), outputBytes, fileBytes);
    }

    /** Returns a copy with a limit on the size of one file. */
    public Limits withFileBytes(long bytes) {
        return new Limits(memoryBytes, cpuTime, processes, outputBytes, OptionalLong.of(bytes));
    }

    private static void requireAtLeast(String field, OptionalLong value, long least) {
        if (value.isPresent() && value.getAsLong() < least) {
            throw new InvalidTaskException(field, value.getAsLong() + " (expected: at least " + least + ")");
        }
    }
}
