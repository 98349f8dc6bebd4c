package dev.d8.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.stream.Stream;

/** A process and every process below it, as {@code /proc} counts them. */
final class ProcessTree {

    /** Linux shows a hundred ticks a second in /proc on every platform that has a JDK. */
    static final double MICROS_A_TICK = 10_000;

    private static final int OWN_TIME = 11; // User, then system; the same of the children that it has reaped.

    private ProcessTree() {}

    /**
     * Returns the processor time that the tree has used, children that are gone included: they are in their parents'
     * numbers. Zero where there is no {@code /proc}.
     */
    static Duration cpu(ProcessHandle root) {
        long ticks = Stream.concat(Stream.of(root), root.descendants())
                .mapToLong(process -> ownTicks(process.pid()) + reapedTicks(process.pid()))
                .sum();
        return Duration.ofNanos((long) (ticks * MICROS_A_TICK * 1000));
    }

    static long ownTicks(long pid) {
        return ticks(pid, OWN_TIME);
    }

    static long reapedTicks(long pid) {
        return ticks(pid, OWN_TIME + 2);
    }

    private static long ticks(long pid, int first) {
        try {
            String stat = Files.readString(Path.of("/proc", Long.toString(pid), "stat"));
            // The name stands in brackets and may hold anything; the state follows it.
            String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
            return Long.parseLong(fields[first]) + Long.parseLong(fields[first + 1]);
        } catch (IOException e) {
            return 0; // It is gone, and its parent counts it now.
        }
    }
}
