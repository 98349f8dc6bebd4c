package dev.d8.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.stream.Stream;

/** This JVM and every process below it. */
final class ProcessTree {

    private static final int TICKS_A_SECOND = 100; // What Linux shows in /proc on every platform that has a JDK.
    private static final int FIRST_TIME = 11;

    private ProcessTree() {}

    /**
     * Returns the processor time that the tree has used, children that are gone included: they are in their parents'
     * numbers. Zero where there is no {@code /proc}.
     */
    static Duration cpu() {
        long ticks = Stream.concat(
                        Stream.of(ProcessHandle.current()),
                        ProcessHandle.current().descendants())
                .mapToLong(process -> ticks(process.pid()))
                .sum();
        return Duration.ofSeconds(1).multipliedBy(ticks).dividedBy(TICKS_A_SECOND);
    }

    private static long ticks(long pid) {
        try {
            String stat = Files.readString(Path.of("/proc", Long.toString(pid), "stat"));
            // The name stands in brackets and may hold anything; the state follows it.
            String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
            long ticks = 0;
            for (int i = FIRST_TIME; i < FIRST_TIME + 4; i++) {
                ticks += Long.parseLong(fields[i]);
            }
            return ticks;
        } catch (IOException e) {
            return 0; // It is gone, and its parent counts it now.
        }
    }
}
