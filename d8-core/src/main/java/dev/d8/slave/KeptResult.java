package dev.d8.slave;

import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.internal.JsonWireFormat;
import org.jspecify.annotations.Nullable;

/**
 * A result that waits for its callers: as the bytes that they get, which is one object for the collector to copy instead of
 * a dozen. Immutable.
 *
 * <p>One with much output stays the object that it is, since reading it back would hold up whoever asks; so does one that
 * was cut off at its limit, because half a character at the cut does not survive JSON.
 */
final class KeptResult {

    /** The most output that is kept as JSON, in bytes. */
    static final int MOST = 64 << 10;

    private static final JsonWireFormat WIRE = JsonWireFormat.INSTANCE;

    private final byte @Nullable [] json;
    private final @Nullable TaskResult whole;

    private KeptResult(byte @Nullable [] json, @Nullable TaskResult whole) {
        this.json = json;
        this.whole = whole;
    }

    static KeptResult of(TaskResult result) {
        boolean cut = result.stdout().truncated() || result.stderr().truncated();
        boolean large = result.stdout().totalBytes() + result.stderr().totalBytes() > MOST;
        if (!cut && !large) {
            try {
                return new KeptResult(WIRE.encode(result), null);
            } catch (RuntimeException e) {
                // A plugin's words that are no text. Whoever asks for the answer hears of it; the task is over all the
                // same.
            }
        }
        return new KeptResult(null, result);
    }

    /** Returns it as {@link dev.d8.spi.WireFormat#json} writes it. */
    byte[] answer() {
        return whole != null ? WIRE.encode(whole) : encoded();
    }

    /** Returns the result of this task. */
    TaskResult result(TaskId task) {
        return whole != null ? whole : WIRE.decodeResult(encoded(), task);
    }

    /** Returns about how much it takes, in bytes. */
    long size() {
        return whole != null
                ? whole.stdout().bytes().length + (long) whole.stderr().bytes().length
                : encoded().length;
    }

    private byte[] encoded() {
        if (json == null) {
            throw new IllegalStateException("neither bytes nor a result");
        }
        return json;
    }
}
