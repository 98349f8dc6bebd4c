package dev.d8.executor.python.engine;

import dev.d8.spi.TimeSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * A way to one supervisor of an {@link AgentProcess}, which serves one task after the other. The thread that runs a task
 * reads and writes here itself: there is no other thread to hand frames over, and none that a silent task could hold.
 */
final class SocketLink implements AgentLink {

    private static final int CHUNK = 1 << 16;

    private final AgentProcess agent;
    private final SocketChannel channel;
    private final TimeSource time;
    private final Selector selector;
    private final SelectionKey key;
    private final ByteBuffer buffer = ByteBuffer.allocateDirect(CHUNK);
    private final FrameAssembler assembler = new FrameAssembler();
    private final Queue<Frame> frames = new ArrayDeque<>();
    private boolean ended;
    private int served;
    private long idleSince;

    /**
     * Takes over a connected channel, which has said whose it is.
     *
     * @throws IOException if the system has no room for another selector
     */
    SocketLink(AgentProcess agent, SocketChannel channel, TimeSource time) throws IOException {
        this.agent = agent;
        this.channel = channel;
        this.time = time;
        channel.configureBlocking(false);
        selector = Selector.open();
        key = channel.register(selector, SelectionKey.OP_READ);
        idleSince = time.nanoTime();
    }

    AgentProcess agent() {
        return agent;
    }

    /** Returns how many tasks it has had. */
    int served() {
        return served;
    }

    Duration idle() {
        return time.since(idleSince);
    }

    /** Notes that a task has ended and that the next one may come. */
    void rest() {
        served++;
        idleSince = time.nanoTime();
    }

    /** Returns whether it can be given a task: its supervisor is there and has nothing to say. Does not block. */
    boolean ready() {
        try {
            return channel.read(buffer.clear()) == 0;
        } catch (IOException e) {
            return false;
        }
    }

    @Override
    public void send(byte[] bytes) throws IOException {
        ByteBuffer rest = ByteBuffer.wrap(bytes);
        channel.write(rest);
        while (rest.hasRemaining()) {
            // Only a large task comes here, and its supervisor reads all of it before it does anything else.
            key.interestOps(SelectionKey.OP_WRITE);
            selector.select();
            selector.selectedKeys().clear();
            key.interestOps(SelectionKey.OP_READ);
            if (Thread.currentThread().isInterrupted()) {
                channel.close(); // Nothing can follow half a task. It has not started.
                throw new IOException("interrupted while the task was sent");
            }
            channel.write(rest);
        }
    }

    @Override
    public @Nullable Frame receive(Duration timeout) throws InterruptedException, TimeoutException {
        long until = time.nanoTime() + timeout.toNanos();
        while (true) {
            if (Thread.interrupted()) {
                throw new InterruptedException();
            }
            Frame frame = frames.poll();
            if (frame != null) {
                return frame;
            }
            if (ended) {
                return null;
            }
            await(until - time.nanoTime());
            read();
        }
    }

    private void read() throws InterruptedException {
        try {
            int count = channel.read(buffer.clear());
            if (count > 0) {
                assembler.add(buffer.flip(), frames::add);
            }
            ended |= count < 0;
        } catch (IOException e) {
            ended = true; // Whoever waits learns it from the end of the stream.
        }
    }

    private void await(long nanos) throws TimeoutException {
        if (nanos <= 0) {
            throw new TimeoutException();
        }
        try {
            selector.select(nanos / 1_000_000 + 1);
            selector.selectedKeys().clear();
        } catch (IOException e) {
            ended = true;
        }
    }

    @Override
    public String diagnosis() {
        return "its supervisor has ended";
    }

    @Override
    public void close() {
        try {
            selector.close();
            channel.close();
        } catch (IOException e) {
            // It is gone already.
        }
    }
}
