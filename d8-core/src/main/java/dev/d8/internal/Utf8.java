package dev.d8.internal;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** UTF-8 in pieces. */
public final class Utf8 {

    private Utf8() {}

    /**
     * Returns how many bytes at the end of a piece begin a character whose rest may be in the next one.
     *
     * @return 0 to 3
     */
    public static int cutOff(byte[] bytes, int begin, int end) {
        for (int back = 1; back <= Math.min(3, end - begin); back++) {
            int unsigned = bytes[end - back] & 0xFF;
            if (unsigned < 0x80) {
                return 0;
            }
            if (unsigned >= 0xC0) { // It begins one; the bytes behind it are its own so far.
                int length = unsigned >= 0xF0 ? 4 : unsigned >= 0xE0 ? 3 : 2;
                return back < length ? back : 0;
            }
        }
        return 0;
    }

    /** Returns whether bytes are text. */
    public static boolean isText(byte[] bytes) {
        for (byte one : bytes) {
            if (one < 0) {
                return decode(bytes).isPresent();
            }
        }
        return true;
    }

    /** Returns the text that bytes are; nothing if they are none. */
    public static Optional<String> decode(byte[] bytes) {
        try {
            return Optional.of(StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(bytes))
                    .toString());
        } catch (CharacterCodingException e) {
            return Optional.empty();
        }
    }
}
