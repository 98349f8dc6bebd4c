package dev.d8.spi;

/**
 * Told of a task while it runs: its start, then its output and its progress in order, all on one thread at a time. A slow
 * listener slows the task's output down and never loses any of it; a slave leaves one behind that takes longer than 10 s
 * for one notice. What it throws is logged and ends only its own notices.
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

    /**
     * The program told how far it is, by a line {@code ::d8::{"progress": 50, "message": "half"}} on its standard output,
     * which is no output then. Slaves find these lines; an executor need not.
     *
     * @param percent 0 to 100
     * @param message what the program says about it; empty if nothing
     */
    default void progress(double percent, String message) {}
}
