package dev.d8.transport.netty;

import org.jspecify.annotations.Nullable;

/** The body of an answer that comes in pieces, when its reader takes them. Used on its connection's event loop. */
interface Source {

    /**
     * Takes the next piece; nothing if there is none at this moment. Whoever opened it is told when there is.
     */
    byte @Nullable [] next();

    /** Returns whether no piece comes any more. */
    boolean over();

    /** Returns what can be sent while there is nothing to say, so that a reader that is gone is noticed. */
    byte[] idle();

    /** Lets go of it: its last piece is out, or its reader is gone. Idempotent. */
    void close();

    /** Begins one. */
    interface Opening {
        /**
         * Begins it.
         *
         * @param more to be told, on any thread, when there is another piece after there was none
         */
        Source open(Runnable more);
    }
}
