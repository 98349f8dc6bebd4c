package dev.d8.benchmarks;

import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/**
 * Keeps a number of tasks in flight, a connection each, from one thread: a client that costs little, since it shares the
 * cores with what is measured.
 */
final class TaskLoad {

    private static final String RIGHT = "\"output\":\"55\\n\"";
    private static final String LENGTH = "Content-Length: ";
    private static final int LONGEST_ANSWER = 8192;

    private TaskLoad() {}

    private static final class Call {
        final SocketChannel channel;
        final ByteBuffer answer = ByteBuffer.allocate(LONGEST_ANSWER);
        long sentAt;

        Call(SocketChannel channel) {
            this.channel = channel;
        }
    }

    static Samples run(URI slave, byte[] request, int inFlight, Duration time) throws IOException {
        Samples samples = new Samples();
        ByteBuffer bytes = ByteBuffer.allocateDirect(request.length).put(request);
        long until = System.nanoTime() + time.toNanos();
        int open = inFlight;
        try (Selector selector = Selector.open()) {
            for (int i = 0; i < inFlight; i++) {
                SocketChannel channel = SocketChannel.open(new InetSocketAddress(slave.getHost(), slave.getPort()));
                channel.configureBlocking(false);
                Call call = new Call(channel);
                channel.register(selector, SelectionKey.OP_READ, call);
                send(call, bytes);
            }
            while (open > 0) {
                if (selector.select(30_000) == 0) {
                    throw new IOException("no answer within 30 s");
                }
                for (SelectionKey key : selector.selectedKeys()) {
                    Call call = (Call) key.attachment();
                    if (!received(call)) {
                        continue;
                    }
                    long now = System.nanoTime();
                    samples.add(now - call.sentAt);
                    if (now < until) {
                        send(call, bytes);
                    } else {
                        call.channel.close();
                        open--;
                    }
                }
                selector.selectedKeys().clear();
            }
        }
        return samples;
    }

    private static void send(Call call, ByteBuffer request) throws IOException {
        call.answer.clear();
        call.sentAt = System.nanoTime();
        request.rewind();
        while (request.hasRemaining()) {
            call.channel.write(request);
        }
    }

    /** Reads what has come; returns whether that is a whole answer, and a right one. */
    private static boolean received(Call call) throws IOException {
        if (call.channel.read(call.answer) < 0) {
            throw new EOFException("the slave closed a connection");
        }
        String text = new String(call.answer.array(), 0, call.answer.position(), StandardCharsets.ISO_8859_1);
        int end = text.indexOf("\r\n\r\n");
        int length = text.indexOf(LENGTH);
        if (end < 0 || length < 0 || length > end) {
            return false;
        }
        int from = length + LENGTH.length();
        int bytes = Integer.parseInt(text.substring(from, text.indexOf('\r', from)));
        if (text.length() < end + 4 + bytes) {
            return false;
        }
        if (!text.contains(RIGHT)) {
            throw new IOException("the task failed: " + text);
        }
        return true;
    }
}
