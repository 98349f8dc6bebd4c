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
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;

/**
 * Keeps a fixed number of connections busy with one request each, never two, from one thread. As cheap as a client can
 * be, since it shares the cores with the server: a ready-made request, and of each answer only the bytes are counted.
 */
final class LoadGenerator implements AutoCloseable {

    /** Twelve digits of a task's id, which no two requests have in common. */
    static final String KEY = "############";

    /** The longest answer, in bytes. */
    private static final int ANSWER = 8 << 10;

    private static final byte[] HEAD_END = {'\r', '\n', '\r', '\n'};
    private static final byte[] LENGTH = "\r\nContent-Length: ".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] LENGTH_IN_LOWER_CASE = "\r\ncontent-length: ".getBytes(StandardCharsets.US_ASCII);

    private final Selector selector = Selector.open();
    private final ByteBuffer request;
    private final int keyAt;
    private long nextKey;
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
        final byte[] bytes = new byte[ANSWER];
        final ByteBuffer answer = ByteBuffer.wrap(bytes);
        long sentAt;

        Connection(SocketChannel channel) {
            this.channel = channel;
        }
    }

    /**
     * Connects.
     *
     * @param request what every connection sends; {@link #KEY} in it becomes a number that counts up
     */
    LoadGenerator(URI server, byte[] request, int connections) throws IOException {
        keyAt = new String(request, StandardCharsets.ISO_8859_1).indexOf(KEY);
        this.request = ByteBuffer.allocateDirect(request.length).put(request).flip();
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
            int read = connection.channel.read(connection.answer);
            if (read < 0) {
                throw new EOFException("the server closed a connection");
            }
            if (!isWhole(connection)) {
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

    private static boolean isWhole(Connection connection) throws IOException {
        byte[] bytes = connection.bytes;
        int received = connection.answer.position();
        int headEnd = find(HEAD_END, bytes, received);
        if (headEnd < 0) {
            return false;
        }
        if (bytes[9] != '2') {
            throw new IOException("the server answered " + new String(bytes, 0, received, StandardCharsets.UTF_8));
        }
        int length = 0;
        int at = Math.max(find(LENGTH, bytes, headEnd), find(LENGTH_IN_LOWER_CASE, bytes, headEnd)) + LENGTH.length;
        for (; bytes[at] != '\r'; at++) {
            length = 10 * length + bytes[at] - '0';
        }
        return received >= headEnd + HEAD_END.length + length;
    }

    private static int find(byte[] what, byte[] in, int end) {
        for (int i = 0; i + what.length <= end; i++) {
            if (Arrays.equals(in, i, i + what.length, what, 0, what.length)) {
                return i;
            }
        }
        return -1;
    }

    private void send(Connection connection, long now) throws IOException {
        connection.sentAt = now;
        connection.answer.clear();
        if (keyAt >= 0) {
            long key = nextKey++;
            for (int i = keyAt + KEY.length() - 1; i >= keyAt; i--, key /= 10) {
                request.put(i, (byte) ('0' + key % 10));
            }
        }
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
