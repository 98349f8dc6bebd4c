package dev.d8.benchmarks;

import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.time.Duration;

/**
 * Keeps a fixed number of connections busy with one request each, never two, from one thread. As cheap as a client can
 * be, since it shares the cores with the server: a ready-made request, and of each answer only the bytes are counted.
 */
final class LoadGenerator implements AutoCloseable {

    private final Selector selector = Selector.open();
    private final ByteBuffer request;
    private final ByteBuffer answer;
    private final int answerLength;
    private Samples samples = new Samples();
    private long end;

    /** What one run gave. */
    record Load(Duration took, Samples samples) {
        double perSecond() {
            return samples.count() / (took.toNanos() / 1e9);
        }
    }

    private static final class Connection {
        final SocketChannel channel;
        long sentAt;
        int missing;

        Connection(SocketChannel channel) {
            this.channel = channel;
        }
    }

    /**
     * Connects.
     *
     * @param request what every connection sends; every answer to it must be as long as the first one
     */
    LoadGenerator(URI server, byte[] request, int connections) throws IOException {
        try (RawConnection first = new RawConnection(server)) {
            answerLength = first.exchange(request).length();
        }
        this.request = ByteBuffer.allocateDirect(request.length).put(request).flip();
        this.answer = ByteBuffer.allocateDirect(answerLength);
        for (int i = 0; i < connections; i++) {
            SocketChannel channel = SocketChannel.open(new InetSocketAddress(server.getHost(), server.getPort()));
            channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
            channel.configureBlocking(false);
            channel.register(selector, SelectionKey.OP_READ, new Connection(channel));
        }
    }

    /** Sends for this long and then waits for the last answers. */
    Load run(Duration time) throws IOException {
        samples = new Samples();
        long began = System.nanoTime();
        end = began + time.toNanos();
        for (SelectionKey key : selector.keys()) {
            send((Connection) key.attachment(), began);
        }
        int[] waiting = {selector.keys().size()};
        while (waiting[0] > 0) {
            int ready = selector.select(
                    key -> {
                        if (receive((Connection) key.attachment())) {
                            waiting[0]--;
                        }
                    },
                    10_000);
            if (ready == 0) {
                throw new IOException("no answer within 10 s");
            }
        }
        return new Load(Duration.ofNanos(System.nanoTime() - began), samples);
    }

    /** Returns whether the connection has nothing more to wait for. */
    private boolean receive(Connection connection) {
        try {
            answer.clear();
            int read = connection.channel.read(answer);
            connection.missing -= read;
            if (read < 0 || connection.missing < 0) {
                throw new EOFException(
                        read < 0
                                ? "the server closed a connection"
                                : "an answer has more than " + answerLength + " bytes");
            }
            if (connection.missing > 0) {
                return false;
            }
            long now = System.nanoTime();
            samples.add(now - connection.sentAt);
            if (now >= end) {
                return true;
            }
            send(connection, now);
            return false;
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    private void send(Connection connection, long now) throws IOException {
        connection.sentAt = now;
        connection.missing = answerLength;
        if (connection.channel.write(request.rewind()) < request.capacity()) {
            throw new IOException("the request did not fit into the socket's buffer");
        }
    }

    @Override
    public void close() throws IOException {
        for (SelectionKey key : selector.keys()) {
            key.channel().close();
        }
        selector.close();
    }
}
