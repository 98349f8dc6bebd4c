package dev.d8;

/**
 * How much a slave can run at one time.
 *
 * @param total tasks at one time, above 0
 * @param free how many more it could start now, 0 to {@code total}
 */
public record Slots(int total, int free) {

    /** Checks the ranges. */
    public Slots {
        if (total < 1 || free < 0 || free > total) {
            throw new IllegalArgumentException("slots: free " + free + " of " + total);
        }
    }
}
