package dev.d8.benchmarks;

import dev.d8.ExecutorInfo;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Output;
import dev.d8.TaskId;
import dev.d8.Termination;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Availability;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import java.io.IOException;
import java.io.InputStream;
import java.lang.management.ManagementFactory;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;

/** What the wire costs where tasks cost nothing: many at once, in batches, their output, and followers that wait. */
final class WireComparison {

    static final int IN_FLIGHT = 32;
    static final int BATCH = 1000;
    static final int STREAMED_MEBIBYTES = 100;
    static final int FOLLOWERS = 1000;

    private static final String ID = "00000000-0000-4000-8000-";
    private static final String TASK = "{\"command\":\"print(55)\"}";

    private WireComparison() {}

    /**
     * What was measured.
     *
     * @param execute tasks against a handler that answers a constant
     * @param batch batches against the same tasks one after another; a sample is a batch's time, or a thousand calls'
     * @param streamedPerSecond output that a follower got, in MiB
     * @param streamGrowth of the heap meanwhile, at the most, in bytes
     * @param followerBytes of heap for each follower that waits
     */
    record Result(
            Comparison execute, Comparison batch, double streamedPerSecond, long streamGrowth, long followerBytes) {}

    static Result run(Plan plan) throws IOException, InterruptedException {
        Comparison execute;
        Comparison batch;
        try (ChildProcess slave = ChildProcess.server("noop", "1")) {
            execute = execute(plan, slave);
            batch = batch(plan, slave.uri());
        }
        double[] streamed = stream();
        return new Result(execute, batch, streamed[0], (long) streamed[1], followers());
    }

    private static Comparison execute(Plan plan, ChildProcess slave) throws IOException, InterruptedException {
        String keyed = "{\"command\":\"print(55)\",\"task_id\":\"" + ID + LoadGenerator.KEY + "\"}";
        String answer;
        try (RawConnection connection = new RawConnection(slave.uri())) {
            answer = connection.exchange(post(slave.uri(), TASK)).body();
        }
        try (ChildProcess bare = ChildProcess.server("bare", "1", answer);
                LoadGenerator slaveLoad = new LoadGenerator(slave.uri(), post(slave.uri(), keyed), IN_FLIGHT);
                LoadGenerator bareLoad = new LoadGenerator(bare.uri(), post(bare.uri(), keyed), IN_FLIGHT)) {
            return Comparison.alternate(
                    plan, HealthComparison.side(slave, slaveLoad), HealthComparison.side(bare, bareLoad));
        }
    }

    private static byte[] post(URI server, String json) {
        return RawConnection.post(server, "/api/execute", NoopSlave.TOKEN.reveal(), json);
    }

    private static Comparison batch(Plan plan, URI slave) throws IOException, InterruptedException {
        String all = "{\"tasks\":[" + String.join(",", Collections.nCopies(BATCH, TASK)) + "]}";
        byte[] batch = RawConnection.post(slave, "/api/execute/batch", NoopSlave.TOKEN.reveal(), all);
        byte[] single = post(slave, TASK);
        return Comparison.alternate(
                plan,
                time -> repeated(time, () -> {
                    try (Socket socket = new Socket(slave.getHost(), slave.getPort())) {
                        socket.getOutputStream().write(batch);
                        String answer = new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                        if (answer.split("\"code\":200", -1).length != BATCH + 1) {
                            throw new IOException("not every task of the batch went well");
                        }
                    }
                }),
                time -> repeated(time, () -> {
                    try (RawConnection connection = new RawConnection(slave)) {
                        for (int i = 0; i < BATCH; i++) {
                            connection.exchange(single);
                        }
                    }
                }));
    }

    private interface Step {
        void run() throws IOException;
    }

    private static Comparison.Round repeated(Duration time, Step step) throws IOException {
        Samples samples = new Samples();
        long began = System.nanoTime();
        long now = began;
        do {
            step.run();
            long after = System.nanoTime();
            samples.add(after - now);
            now = after;
        } while (now - began < time.toNanos());
        return new Comparison.Round(Duration.ofNanos(now - began), samples, Duration.ZERO);
    }

    /** Returns MiB a second, and by how many bytes the heap grew at the most. */
    private static double[] stream() throws IOException {
        try (Flood flood = new Flood();
                Follower follower = flood.follow()) {
            long before = heap();
            long most = 0;
            long looking = 0;
            long began = System.nanoTime();
            flood.go.countDown();
            byte[] buffer = new byte[64 << 10];
            long total = 0;
            long nextLook = 0;
            for (int read = follower.in.read(buffer); read >= 0; read = follower.in.read(buffer)) {
                total += read;
                if (total >= nextLook) { // The flood is as far as back-pressure lets it be meanwhile.
                    nextLook += 5 << 20;
                    long looked = System.nanoTime();
                    most = Math.max(most, heap() - before);
                    looking += System.nanoTime() - looked;
                }
            }
            double seconds = (System.nanoTime() - began - looking) / 1e9;
            if (total < (long) STREAMED_MEBIBYTES << 20) {
                throw new IOException("of " + STREAMED_MEBIBYTES + " MiB only " + total + " bytes came");
            }
            return new double[] {STREAMED_MEBIBYTES / seconds, most};
        }
    }

    private static long followers() throws IOException {
        try (Flood flood = new Flood()) {
            List<Follower> followers = new ArrayList<>();
            try {
                for (int i = 0; i < 10; i++) {
                    followers.add(flood.follow()); // What is made once is made now.
                }
                long before = heap();
                for (int i = 0; i < FOLLOWERS; i++) {
                    followers.add(flood.follow());
                }
                return (heap() - before) / FOLLOWERS;
            } finally {
                for (Follower follower : followers) {
                    follower.close();
                }
                flood.go.countDown();
            }
        }
    }

    private static long heap() {
        System.gc();
        return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    }

    /** A follower of the one task, as a WebSocket that has got its first event. Its own buffer is the kernel's. */
    private record Follower(Socket socket, InputStream in) implements AutoCloseable {
        @Override
        public void close() throws IOException {
            socket.close();
        }
    }

    /** A slave with one task, which writes when it is told to, and as much as it can. */
    private static final class Flood implements ExecutorProvider, Executor, AutoCloseable {
        final CountDownLatch go = new CountDownLatch(1);
        private final TaskId task = TaskId.random();
        private final SlaveServer slave = SlaveServer.builder()
                .port(0)
                .token(NoopSlave.TOKEN)
                .executor(this)
                .executors(List.of(method()))
                .options(Options.of(Map.of("http.max_connections_per_peer", "5000", "http.max_connections", "5000")))
                .start();

        Flood() throws IOException {
            try (RawConnection connection = new RawConnection(slave.uri())) {
                connection.exchange(RawConnection.post(
                        slave.uri(),
                        "/api/tasks",
                        NoopSlave.TOKEN.reveal(),
                        "{\"command\":\"x\",\"task_id\":\"" + task + "\"}"));
            }
        }

        Follower follow() throws IOException {
            Socket socket = new Socket(slave.uri().getHost(), slave.uri().getPort());
            socket.getOutputStream()
                    .write(("GET /api/tasks/" + task + "/events HTTP/1.1\r\nHost: d8\r\nAuthorization: Bearer "
                                    + NoopSlave.TOKEN.reveal()
                                    + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
                                    + "\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
                            .getBytes(StandardCharsets.US_ASCII));
            InputStream in = socket.getInputStream();
            for (int next = in.read(); next != '}'; next = in.read()) {
                if (next < 0) {
                    throw new IOException("no event came");
                }
            }
            return new Follower(socket, in);
        }

        @Override
        public String method() {
            return "flood";
        }

        @Override
        public int preference() {
            return 1;
        }

        @Override
        public Executor create(Options options) {
            return this;
        }

        @Override
        public Availability probe() {
            return new Availability.Available("writes", Isolation.NONE, Optional.empty());
        }

        @Override
        public Optional<String> objection(Invocation invocation) {
            return Optional.empty();
        }

        @Override
        public ExecutionOutcome execute(Invocation invocation, ExecutionListener listener) throws InterruptedException {
            listener.started();
            go.await();
            for (int i = 0; i < STREAMED_MEBIBYTES << 4; i++) {
                byte[] chunk = new byte[64 << 10];
                java.util.Arrays.fill(chunk, (byte) 'x');
                listener.output(ExecutionListener.Stream.STDOUT, chunk);
            }
            return new ExecutionOutcome(
                    Termination.OK,
                    Output.EMPTY,
                    Output.EMPTY,
                    Optional.empty(),
                    Duration.ZERO,
                    Optional.empty(),
                    new ExecutorInfo(true, List.of(), Optional.empty()),
                    0);
        }

        @Override
        public void close() {
            go.countDown();
            slave.close();
        }
    }
}
