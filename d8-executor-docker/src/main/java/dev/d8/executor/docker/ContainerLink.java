package dev.d8.executor.docker;

import com.github.dockerjava.api.async.ResultCallback;
import com.github.dockerjava.api.model.StreamType;
import dev.d8.executor.python.engine.AgentLink;
import dev.d8.executor.python.engine.Frame;
import dev.d8.executor.python.engine.FrameAssembler;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * An agent that is the command of a container, over the container's attached streams. docker-java brings what the agent
 * writes on a thread of its own; a full queue holds that thread, then the engine, then the agent, then the task.
 */
final class ContainerLink implements AgentLink, ResultCallback<com.github.dockerjava.api.model.Frame> {

    /** Ends and removes a link's container in the background. */
    interface Remover {
        /** Returns what is done when it is gone, and never fails. */
        CompletableFuture<Void> remove(ContainerLink link);
    }

    /** Stands for the end of the stream in the queue, which takes no null. */
    private static final Frame END = new Frame('\0', new byte[0]);

    /** What is kept of the agent's own standard error, in bytes: its last words. */
    private static final int STDERR_KEPT = 4000;

    private final String container;
    private final Remover remover;
    private final Outbox outbox = new Outbox();
    private final FrameAssembler assembler = new FrameAssembler();
    private final BlockingQueue<Frame> frames = new ArrayBlockingQueue<>(16);
    private final CompletableFuture<Closeable> attached = new CompletableFuture<>();
    private final CompletableFuture<Void> ended = new CompletableFuture<>();
    private final CompletableFuture<Void> removed = new CompletableFuture<>();
    private volatile byte[] stderr = new byte[0];
    private volatile Optional<String> trouble = Optional.empty();
    private volatile boolean over;
    private volatile boolean closed;

    /**
     * Creates a link that is to be given to docker-java's attach command.
     *
     * @param container its id
     * @param remover called once, when the link is closed
     */
    ContainerLink(String container, Remover remover) {
        this.container = container;
        this.remover = remover;
    }

    /** Returns the id of the container. */
    String container() {
        return container;
    }

    /** Returns what docker-java shall write to the container. */
    InputStream stdin() {
        return outbox;
    }

    /** Returns whether the agent still waits for its task: it says nothing before it has one. */
    boolean waiting() {
        return !closed && trouble.isEmpty() && frames.isEmpty();
    }

    /** Is done when the streams are attached, or cannot be. */
    CompletableFuture<Closeable> attached() {
        return attached;
    }

    /** Is done when the link was closed and its container is gone, or cannot be removed. */
    CompletableFuture<Void> removed() {
        return removed;
    }

    /** Tells that the agent has given its verdict, after which it ends by itself. */
    void setOver() {
        over = true;
    }

    /** Returns whether the agent ends by itself. */
    boolean over() {
        return over;
    }

    /** Is done when the container's streams have ended, and with them the container. */
    CompletableFuture<Void> ended() {
        return ended;
    }

    @Override
    public void onStart(Closeable stream) {
        attached.complete(stream);
    }

    @Override
    public void onNext(com.github.dockerjava.api.model.Frame chunk) {
        if (chunk.getStreamType() == StreamType.STDERR) {
            keep(chunk.getPayload());
            return;
        }
        try {
            if (trouble.isEmpty()) {
                assembler.add(ByteBuffer.wrap(chunk.getPayload()), this::put);
            }
        } catch (IOException e) {
            trouble = Optional.of(String.valueOf(e.getMessage()));
            end();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void put(Frame frame) throws InterruptedException {
        if (!closed) {
            frames.put(frame);
        }
    }

    private void keep(byte[] chunk) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.writeBytes(stderr);
        all.writeBytes(chunk);
        byte[] bytes = all.toByteArray();
        stderr = Arrays.copyOfRange(bytes, Math.max(0, bytes.length - STDERR_KEPT), bytes.length);
    }

    @Override
    public void onError(Throwable failure) {
        attached.completeExceptionally(failure);
        if (!closed) {
            trouble = Optional.of(EngineTrouble.words(failure));
        }
        end();
    }

    @Override
    public void onComplete() {
        attached.completeExceptionally(new IOException("the engine ended the stream at once"));
        end();
    }

    private void end() {
        ended.complete(null);
        try {
            put(END);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void send(byte[] bytes) {
        outbox.add(bytes);
    }

    @Override
    public @Nullable Frame receive(Duration timeout) throws InterruptedException, TimeoutException {
        Frame frame = frames.poll(timeout.toNanos(), TimeUnit.NANOSECONDS);
        if (frame == null) {
            throw new TimeoutException();
        }
        return frame.kind() == END.kind() ? null : frame;
    }

    @Override
    public String diagnosis() {
        String last = new String(stderr, StandardCharsets.UTF_8).strip().lines().reduce("", (before, line) -> line);
        return last.isEmpty() ? trouble.orElse("its container ended or was removed from outside") : last;
    }

    /** Detaches and has the container removed; {@link #removed} tells when it is. */
    @Override
    public void close() {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
        }
        frames.clear(); // Frees docker-java's thread if it waits for room.
        outbox.close();
        // Whoever closes this has an answer to give: detaching takes milliseconds, too.
        var unused = remover.remove(this).whenComplete((nothing, failure) -> {
            removed.complete(null);
            var unusedDetach = attached.thenAccept(ContainerLink::detach);
        });
    }

    private static void detach(Closeable stream) {
        try {
            stream.close();
        } catch (IOException e) {
            // It is broken already.
        }
    }

    /** What the container has still to read. Its end is not told to the container: a detached one gets it anyway. */
    private static final class Outbox extends InputStream {
        private static final byte[] NOTHING_MORE = new byte[0];

        private final BlockingQueue<byte[]> queue = new java.util.concurrent.LinkedBlockingQueue<>();
        private byte[] current = new byte[0];
        private int at;

        void add(byte[] bytes) {
            queue.add(bytes);
        }

        @Override
        public void close() {
            queue.add(NOTHING_MORE);
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] into, int offset, int length) throws IOException {
            while (at == current.length) {
                try {
                    byte[] next = queue.take();
                    if (next == NOTHING_MORE) {
                        queue.add(NOTHING_MORE);
                        return -1;
                    }
                    current = next;
                    at = 0;
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    throw new java.io.InterruptedIOException();
                }
            }
            int count = Math.min(length, current.length - at);
            System.arraycopy(current, at, into, offset, count);
            at += count;
            return count;
        }
    }
}
