package dev.d8;

import java.util.Collections;
import java.util.Set;
import java.util.TreeSet;

/**
 * What a slave found out about the machine that it runs on.
 *
 * @param labels what tasks may ask for: {@code arch=arm64}, {@code os=linux}, {@code python=3.11} for each Python that runs
 *     tasks, and what its operator gave it
 * @param isolation the strongest wall that one of its executors puts around a task
 * @param cpus processors that it may use
 * @param memoryBytes all of its memory, or what its container may use; 0: unknown
 * @param diskFreeBytes what is free where tasks write by default; 0: unknown
 */
public record Capabilities(Set<String> labels, Isolation isolation, int cpus, long memoryBytes, long diskFreeBytes) {

    /** Copies the labels, and sorts them. */
    public Capabilities {
        labels = Collections.unmodifiableSortedSet(new TreeSet<>(labels));
    }
}
