package dev.d8.transport.netty;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Deflater;
import java.util.zip.GZIPOutputStream;
import java.util.zip.Inflater;

/**
 * Gzip, RFC 1952, of one member and nothing behind it. The JDK's stream is too lenient for a server (it takes rubbish behind
 * the end) and does not count what it inflates.
 */
final class Gzip {

    /** The body has more bytes than it may once it is inflated. */
    static final class TooLargeException extends IOException {
        private static final long serialVersionUID = 1L;

        TooLargeException(int limit) {
            super("more than " + limit + " bytes");
        }
    }

    /** What is shorter is not worth it. */
    static final int WORTH_IT = 1024;

    private static final int FIXED_HEAD = 10;
    private static final int TRAILER = 8;
    private static final int HEADER_CRC = 2;
    private static final int EXTRA = 4;
    private static final int NAME = 8;
    private static final int COMMENT = 16;

    private Gzip() {}

    /** Returns the bytes, packed quickly rather than well: a slave has other things to do. */
    static byte[] pack(byte[] bytes) {
        ByteArrayOutputStream packed = new ByteArrayOutputStream(bytes.length / 4 + 64);
        try (GZIPOutputStream out = new GZIPOutputStream(packed) {
            {
                def.setLevel(Deflater.BEST_SPEED);
            }
        }) {
            out.write(bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e); // Not in memory.
        }
        return packed.toByteArray();
    }

    /**
     * Returns what was packed.
     *
     * @throws TooLargeException as soon as it has more bytes than {@code limit}
     * @throws IOException if it is no gzip, or cut short, or has something behind it
     */
    static byte[] unpack(byte[] packed, int limit) throws IOException {
        int at = head(packed);
        Inflater inflater = new Inflater(true);
        try {
            inflater.setInput(packed, at, packed.length - at);
            ByteArrayOutputStream whole = new ByteArrayOutputStream(Math.min(limit, packed.length * 2));
            CRC32 crc = new CRC32();
            byte[] chunk = new byte[8192];
            while (!inflater.finished()) {
                int count = inflater.inflate(chunk);
                if (count == 0 && (inflater.needsInput() || inflater.needsDictionary())) {
                    throw new IOException("cut short");
                }
                if (whole.size() + (long) count > limit) {
                    throw new TooLargeException(limit);
                }
                crc.update(chunk, 0, count);
                whole.write(chunk, 0, count);
            }
            int end = packed.length - inflater.getRemaining();
            if (packed.length - end < TRAILER) {
                throw new IOException("cut short");
            }
            if (packed.length - end > TRAILER) {
                throw new IOException("something behind its end");
            }
            if (word(packed, end) != (int) crc.getValue() || word(packed, end + 4) != whole.size()) {
                throw new IOException("its checksum is wrong");
            }
            return whole.toByteArray();
        } catch (DataFormatException e) {
            throw new IOException("broken", e);
        } finally {
            inflater.end();
        }
    }

    /** Returns where the head ends. */
    private static int head(byte[] packed) throws IOException {
        if (packed.length < FIXED_HEAD + TRAILER
                || (packed[0] & 0xff) != 0x1f
                || (packed[1] & 0xff) != 0x8b
                || packed[2] != 8) {
            throw new IOException("not gzip");
        }
        int flags = packed[3];
        int at = FIXED_HEAD;
        if ((flags & EXTRA) != 0) {
            at += 2 + (packed[at] & 0xff) + ((packed[at + 1] & 0xff) << 8);
        }
        for (int text = NAME; text <= COMMENT; text *= 2) {
            if ((flags & text) != 0) {
                while (at < packed.length && packed[at] != 0) {
                    at++;
                }
                at++;
            }
        }
        if ((flags & HEADER_CRC) != 0) {
            at += 2;
        }
        if (at >= packed.length) {
            throw new IOException("cut short");
        }
        return at;
    }

    private static int word(byte[] bytes, int at) {
        return (bytes[at] & 0xff)
                | (bytes[at + 1] & 0xff) << 8
                | (bytes[at + 2] & 0xff) << 16
                | (bytes[at + 3] & 0xff) << 24;
    }
}
