package dev.d8.spi;

/**
 * Told of a task while it runs: its start, then its output in order, all on one thread at a time. A slow listener slows
 * the task's output down and never loses any of it. What it throws is logged and ends only its own notices.
 */
public interface ExecutionListener {

    /** Hears nothing. */
    ExecutionListener NONE = new ExecutionListener() {};

    /** The streams of a task. */
    enum Stream {
        /** Standard output. */
        STDOUT,
        /** Standard error. */
        STDERR
    }

    /** The program is about to run its first line. */
    default void started() {}

    /**
     * The program wrote something.
     *
     * @param chunk the bytes, the listener's to keep; a character may be cut in two at their ends
     */
    default void output(Stream stream, byte[] chunk) {}
}
