package dev.d8.executor.python.engine;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One message between the slave and {@code agent.py}: {@code u32 length | u8 kind | bytes}.
 *
 * @param kind what it is, an ASCII letter; {@code agent.py} lists them
 * @param payload its bytes, not copied
 */
@SuppressWarnings("ArrayRecordComponent") // Never compared; a copy of every chunk of output would cost for nothing.
public record Frame(char kind, byte[] payload) {

    /** The longest payload that is believed: the agent sends no chunk over 64 KiB. */
    public static final int MAX_PAYLOAD = 1 << 20;

    /** Returns the frame's bytes. */
    public byte[] encode() {
        return ByteBuffer.allocate(5 + payload.length)
                .putInt(payload.length)
                .put((byte) kind)
                .put(payload)
                .array();
    }

    /**
     * Reads the next frame.
     *
     * @return the frame; {@code null} at the end of the stream, even where that cuts a frame off
     * @throws IOException if the stream breaks or what comes is no frame
     */
    public static @Nullable Frame read(InputStream in) throws IOException {
        DataInputStream data = new DataInputStream(in);
        byte[] head = data.readNBytes(5);
        if (head.length < 5) {
            return null;
        }
        int length = ByteBuffer.wrap(head).getInt();
        if (length < 0 || length > MAX_PAYLOAD) {
            throw new IOException("not a frame of the agent's: length " + Integer.toUnsignedString(length));
        }
        byte[] payload = data.readNBytes(length);
        return payload.length < length ? null : new Frame((char) head[4], payload);
    }

    /** Reads the payload as {@code name=value} pairs, each ended by NUL. */
    Map<String, String> fields() {
        Map<String, String> fields = new LinkedHashMap<>();
        for (String pair : text().split("\0", -1)) {
            int equals = pair.indexOf('=');
            if (equals > 0) {
                fields.put(pair.substring(0, equals), pair.substring(equals + 1));
            }
        }
        return fields;
    }

    String text() {
        return new String(payload, StandardCharsets.UTF_8);
    }

    /** Collects {@code name=value} pairs for a header. Not thread-safe. */
    public static final class Header {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        /** Creates an empty one. */
        public Header() {}

        /** Adds a pair. */
        public Header put(String name, Object value) {
            try {
                bytes.write((name + "=" + value + "\0").getBytes(StandardCharsets.UTF_8));
                return this;
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }

        byte[] bytes() {
            return bytes.toByteArray();
        }
    }
}
