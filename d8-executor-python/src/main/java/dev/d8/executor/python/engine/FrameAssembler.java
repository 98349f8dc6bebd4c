package dev.d8.executor.python.engine;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/** Puts frames together from bytes that come in chunks cut anywhere. Used by one thread at a time. */
public final class FrameAssembler {

    /** Takes frames. */
    public interface Sink {
        /** Takes the next one; may wait for room. */
        void accept(Frame frame) throws InterruptedException;
    }

    private final ByteBuffer head = ByteBuffer.allocate(5);
    private @Nullable ByteBuffer payload;

    /** Creates one at the start of a frame. */
    public FrameAssembler() {}

    /**
     * Takes the next chunk, all of it.
     *
     * @throws IOException if what comes is no frame; nothing after it can be understood
     */
    public void add(ByteBuffer chunk, Sink sink) throws IOException, InterruptedException {
        while (chunk.hasRemaining()) {
            ByteBuffer body = payload;
            if (body == null) {
                move(chunk, head);
                if (head.hasRemaining()) {
                    return;
                }
                int length = head.getInt(0);
                if (length < 0 || length > Frame.MAX_PAYLOAD) {
                    throw new IOException("not a frame of the agent's: length " + Integer.toUnsignedString(length));
                }
                body = ByteBuffer.allocate(length);
                payload = body;
            }
            move(chunk, body);
            if (!body.hasRemaining()) {
                payload = null;
                char kind = (char) head.get(4);
                head.clear();
                sink.accept(new Frame(kind, body.array()));
            }
        }
    }

    private static void move(ByteBuffer from, ByteBuffer to) {
        int count = Math.min(from.remaining(), to.remaining());
        to.put(from.slice().limit(count));
        from.position(from.position() + count);
    }
}
