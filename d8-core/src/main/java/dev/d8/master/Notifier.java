package dev.d8.master;

import java.time.Duration;

/** Takes notices to somebody. {@link Notices} decides which, and when one is tried again. */
public interface Notifier {

    /** Returns who is told, for the log. Nothing of it may be secret. */
    String name();

    /**
     * Tries once to deliver a notice. Called by one thread at a time, which may be blocked for some seconds.
     *
     * @return what became of it. A notice that may have arrived and failed all the same is tried again, with the same id.
     *     An exception counts as {@link Refused} and is told by its class only, since its message may hold a secret
     * @throws InterruptedException if nobody waits for it any more
     */
    Outcome deliver(Notice notice) throws InterruptedException;

    /** What became of one try. */
    sealed interface Outcome {}

    /** It arrived. */
    record Delivered() implements Outcome {}

    /**
     * It did not arrive and never will.
     *
     * @param reason why, for the log
     */
    record Refused(String reason) implements Outcome {}

    /**
     * It did not arrive, but might if it is tried again.
     *
     * @param reason why, for the log
     * @param pause how long the receiver wants to be left alone, zero or more
     */
    record Failed(String reason, Duration pause) implements Outcome {}
}
