package dev.d8;

import dev.d8.spi.ExecutionListener.Stream;

/**
 * Something that happened to a task. Offsets count the bytes of both of its streams together, in the order in which they
 * came, so that a follower who was cut off can go on where it was.
 */
public sealed interface TaskEvent {

    /** The program is about to run its first line. */
    record Started() implements TaskEvent {}

    /**
     * The program wrote something.
     *
     * @param bytes a character may be cut in two at their ends; the receiver's to keep
     * @param offset of the first of them
     */
    @SuppressWarnings("ArrayRecordComponent") // Compared nowhere.
    record Wrote(Stream stream, byte[] bytes, long offset) implements TaskEvent {

        /** Returns the offset behind it. */
        public long next() {
            return offset + bytes.length;
        }
    }

    /**
     * The program told how far it is.
     *
     * @param percent 0 to 100
     * @param message what it says about it; empty if nothing
     * @param offset of what it writes next
     */
    record Progressed(double percent, String message, long offset) implements TaskEvent {}

    /**
     * What the program wrote from one offset up to another is not kept any more: the follower was too slow, or came too
     * late. The result still has it, up to the task's limit.
     *
     * @param offset of the first byte that is missing
     * @param next of the first that is there again
     */
    record Skipped(long offset, long next) implements TaskEvent {}

    /** The last one: the task is over. */
    record Ended(TaskResult result) implements TaskEvent {}

    /**
     * The last one instead: the task was turned away after all, or the slave failed.
     *
     * @param notStarted whether it certainly did not start
     */
    record Failed(String message, boolean notStarted) implements TaskEvent {}
}
