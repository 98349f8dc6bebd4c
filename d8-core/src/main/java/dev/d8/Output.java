package dev.d8;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * What a task wrote to one of its streams: exactly its bytes, up to the limit. Immutable.
 *
 * <p>Everything past the limit was read and dropped, so the task never waited for it; {@link #totalBytes} counts it.
 */
public final class Output {

    /** Nothing written. */
    public static final Output EMPTY = new Output(new byte[0], 0);

    private final byte[] bytes;
    private final long totalBytes;

    private Output(byte[] bytes, long totalBytes) {
        if (totalBytes < bytes.length) {
            throw new IllegalArgumentException(
                    "totalBytes: " + totalBytes + " (expected: at least " + bytes.length + ")");
        }
        this.bytes = bytes;
        this.totalBytes = totalBytes;
    }

    /** Returns the output whose bytes are the UTF-8 of {@code text}. */
    public static Output of(String text) {
        return of(text.getBytes(StandardCharsets.UTF_8));
    }

    /** Returns an output that was kept whole. */
    public static Output of(byte[] bytes) {
        return of(bytes, bytes.length);
    }

    /**
     * Returns an output of which {@code bytes} were kept.
     *
     * @param bytes what was kept, from the start; copied
     * @param totalBytes how many were written, at least {@code bytes.length}
     */
    public static Output of(byte[] bytes, long totalBytes) {
        return new Output(bytes.clone(), totalBytes);
    }

    /** Returns a copy of the bytes that were kept. */
    public byte[] bytes() {
        return bytes.clone();
    }

    /** Returns the kept bytes as UTF-8 text; what is not UTF-8 becomes U+FFFD. */
    public String text() {
        return new String(bytes, StandardCharsets.UTF_8);
    }

    /** Returns whether the kept bytes are UTF-8; a last character that the limit cut in two does not count against it. */
    public boolean isUtf8() {
        if (isAscii()) {
            return true; // Most is, and then no text has to be made of it only to find out.
        }
        CharBuffer characters = CharBuffer.allocate(bytes.length);
        return !StandardCharsets.UTF_8
                .newDecoder()
                .decode(ByteBuffer.wrap(bytes), characters, !truncated())
                .isError();
    }

    private boolean isAscii() {
        for (byte one : bytes) {
            if (one < 0) {
                return false;
            }
        }
        return true;
    }

    /** Returns how many bytes the task wrote, kept or not. */
    public long totalBytes() {
        return totalBytes;
    }

    /** Returns whether the task wrote more than was kept. */
    public boolean truncated() {
        return totalBytes > bytes.length;
    }

    /** Returns whether nothing was kept. */
    public boolean isEmpty() {
        return bytes.length == 0;
    }

    /** Returns this output with {@code line} after it, on a line of its own. */
    public Output withLine(String line) {
        boolean fresh = bytes.length == 0 || bytes[bytes.length - 1] == '\n';
        byte[] added = ((fresh ? "" : "\n") + line + "\n").getBytes(StandardCharsets.UTF_8);
        byte[] all = Arrays.copyOf(bytes, bytes.length + added.length);
        System.arraycopy(added, 0, all, bytes.length, added.length);
        return new Output(all, totalBytes + added.length);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Output that && totalBytes == that.totalBytes && Arrays.equals(bytes, that.bytes);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(bytes);
    }

    /** Gives the size only: what a task prints may be secret. */
    @Override
    public String toString() {
        return "Output[" + bytes.length + " of " + totalBytes + " bytes]";
    }
}
