package dev.d8.examples.shell;

import dev.d8.Invocation;
import dev.d8.Limits;
import dev.d8.Output;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionListener.Stream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is said between a process and its caller: standard input one way, both outputs the other. One helper thread for
 * each of the three, so that no full pipe blocks another; the listener is told on the caller's own thread.
 */
final class Conversation implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(Conversation.class);
    private static final int CHUNK = 8 << 10;
    private static final int CHUNKS = 16;
    /** More than pipes and queue can hold once every writer is dead. */
    private static final int MOST_LEFT = 1 << 20;
    /** How soon an end is noticed while something else still holds the outputs open. */
    private static final Duration LOOK = Duration.ofMillis(20);

    @SuppressWarnings("ArrayRecordComponent") // Never compared.
    private record Chunk(Stream stream, byte[] bytes) {}

    private final Process process;
    private final ExecutionListener listener;
    private final Kept stdout;
    private final Kept stderr;
    private final BlockingQueue<Chunk> chunks = new ArrayBlockingQueue<>(CHUNKS);
    private final List<Thread> helpers;
    private int open = 2;
    private boolean listening = true;

    Conversation(Process process, Invocation invocation, ExecutionListener listener) {
        this.process = process;
        this.listener = listener;
        long limit = invocation.limits().outputBytes().orElse(Limits.DEFAULT_OUTPUT_BYTES);
        stdout = new Kept(limit);
        stderr = new Kept(limit);
        tell(listener::started);
        helpers = List.of(
                helper("stdin", () -> write(invocation.stdin())),
                helper("stdout", () -> read(Stream.STDOUT, process.getInputStream())),
                helper("stderr", () -> read(Stream.STDERR, process.getErrorStream())));
    }

    /** Passes output on until the process is over; returns whether that came within {@code limit}. */
    boolean hold(Duration limit) throws InterruptedException {
        long deadline = System.nanoTime() + limit.toNanos();
        while (process.isAlive()) {
            long left = deadline - System.nanoTime();
            if (left <= 0) {
                return false;
            }
            if (open == 0) {
                process.waitFor(left, TimeUnit.NANOSECONDS);
            } else {
                take(Math.min(left, LOOK.toNanos()));
            }
        }
        return true;
    }

    /** Passes on what is still in the pipes, and does not wait for anybody who escaped and holds them open. */
    void finish() throws InterruptedException {
        long before = stdout.total + stderr.total;
        boolean more = true;
        while (open > 0 && more && stdout.total + stderr.total - before < MOST_LEFT) {
            more = take(TimeUnit.MILLISECONDS.toNanos(50));
        }
    }

    Output stdout() {
        return stdout.output();
    }

    Output stderr() {
        return stderr.output();
    }

    @Override
    public void close() {
        helpers.forEach(Thread::interrupt);
    }

    private boolean take(long nanos) throws InterruptedException {
        Chunk chunk = chunks.poll(nanos, TimeUnit.NANOSECONDS);
        if (chunk == null) {
            return false;
        }
        if (chunk.bytes.length == 0) {
            open--;
        } else {
            (chunk.stream == Stream.STDOUT ? stdout : stderr).add(chunk.bytes);
            tell(() -> listener.output(chunk.stream, chunk.bytes));
        }
        return true;
    }

    /** A listener that throws hears no more; the task goes on. */
    private void tell(Runnable notice) {
        if (listening) {
            try {
                notice.run();
            } catch (RuntimeException e) {
                listening = false;
                LOG.warn("A listener failed and is not told of this task any more", e);
            }
        }
    }

    private void write(String text) {
        try (OutputStream stdin = process.getOutputStream()) {
            stdin.write(text.getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            LOG.trace("The task did not read all of its standard input", e);
        }
    }

    private void read(Stream stream, InputStream in) throws InterruptedException {
        byte[] buffer = new byte[CHUNK];
        try (in) {
            for (int n = in.read(buffer); n > 0; n = in.read(buffer)) {
                chunks.put(new Chunk(stream, Arrays.copyOf(buffer, n)));
            }
        } catch (IOException e) {
            LOG.trace("{} was closed", stream, e);
        }
        chunks.put(new Chunk(stream, new byte[0]));
    }

    private interface Help {
        void give() throws InterruptedException;
    }

    private static Thread helper(String name, Help help) {
        Thread thread = new Thread(
                () -> {
                    try {
                        help.give();
                    } catch (InterruptedException e) {
                        LOG.trace("{} was left open", name);
                    }
                },
                "d8-shell-" + name);
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    /** The start of a stream, and how long it was in all. */
    private static final class Kept {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        private final long limit;
        private long total;

        Kept(long limit) {
            this.limit = limit;
        }

        void add(byte[] chunk) {
            bytes.write(chunk, 0, (int) Math.min(chunk.length, limit - bytes.size()));
            total += chunk.length;
        }

        Output output() {
            return Output.of(bytes.toByteArray(), total);
        }
    }
}
