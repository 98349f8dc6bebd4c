package dev.d8.benchmarks;

import java.util.Arrays;

/** Durations in nanoseconds, all of them kept. Used by one thread. */
final class Samples {

    private long[] values = new long[1 << 16];
    private int size;

    void add(long nanos) {
        if (size == values.length) {
            values = Arrays.copyOf(values, size * 2);
        }
        values[size++] = nanos;
    }

    void addAll(Samples others) {
        for (int i = 0; i < others.size; i++) {
            add(others.values[i]);
        }
    }

    int count() {
        return size;
    }

    /** Returns the value that {@code percent} of the samples do not exceed, in microseconds. */
    double micros(double percent) {
        if (size == 0) {
            throw new IllegalStateException("no samples");
        }
        long[] sorted = Arrays.copyOf(values, size);
        Arrays.sort(sorted);
        int index = (int) Math.ceil(percent / 100 * size) - 1;
        return sorted[Math.max(0, index)] / 1e3;
    }
}
