package dev.d8.launcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.launcher.FaultyNetworkMaster.End;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A {@link FaultyNetworkMaster} as its test sees it, and what became of each task that was given to it. */
final class MasterProcess {

    private static final long PATIENCE_SECONDS = 90;

    final Process process;
    private final Path starts;
    private final Writer orders;
    private final Queue<Sent> tasks = new ConcurrentLinkedQueue<>();
    private final Map<String, CompletableFuture<JsonNode>> answers = new ConcurrentHashMap<>();
    private final Map<String, AtomicInteger> ends = new ConcurrentHashMap<>();
    private final AtomicInteger questions = new AtomicInteger();
    private final String name;

    /**
     * Creates one that is not ready yet.
     *
     * @param starts the folder of the files to which tasks append a line when they start, and one when they end
     */
    MasterProcess(String name, Process process, Path starts) {
        this.name = name;
        this.process = process;
        this.starts = starts;
        this.orders = process.outputWriter(StandardCharsets.UTF_8);
        Thread reader = new Thread(this::read, "master-" + name);
        reader.setDaemon(true);
        reader.start();
    }

    private void read() {
        try (BufferedReader out = process.inputReader(StandardCharsets.UTF_8)) {
            for (String line = out.readLine(); line != null; line = out.readLine()) {
                JsonNode message = JsonMapper.shared().readTree(line);
                if (message.has("task")) {
                    String task = message.get("task").asString();
                    ends.computeIfAbsent(task, any -> new AtomicInteger()).incrementAndGet();
                    answer("end " + task).complete(message);
                } else if (message.has("sent")) {
                    answer("sent " + message.get("sent").asString()).complete(message);
                } else {
                    answer(message.get("question").asString()).complete(message);
                }
            }
        } catch (IOException e) {
            // It was killed.
        }
    }

    private CompletableFuture<JsonNode> answer(String key) {
        return answers.computeIfAbsent(key, any -> new CompletableFuture<>());
    }

    private JsonNode await(String key) throws Exception {
        return answer(key).get(PATIENCE_SECONDS, TimeUnit.SECONDS);
    }

    private synchronized void order(String line) throws IOException {
        orders.write(line + "\n");
        orders.flush();
    }

    private JsonNode ask(String what, String more) throws Exception {
        String question = "q" + questions.incrementAndGet();
        order(what + " " + question + " " + more);
        return await(question);
    }

    void awaitReady() throws Exception {
        await("ready");
    }

    /** Returns how a slave is, by a check that is made now. */
    String status(String slave) throws Exception {
        return ask("status", slave).get("status").asString();
    }

    /** Returns how many slots of a slave are taken. */
    long taken(String slave) throws Exception {
        return ask("status", slave).get("taken").asLong();
    }

    /** Returns what a slave knows of a task. */
    String find(String slave, Sent task) throws Exception {
        return ask("find", slave + " " + task.id()).get("phase").asString();
    }

    /** What a slave is to do. */
    record Work(String where, boolean idempotent, double seconds) {}

    /** Sends a task that runs for a while, at most once. */
    Sent once(String where, double seconds) throws Exception {
        return send(new Work(where, false, seconds));
    }

    /** Sends a task that runs for a while and may run twice. */
    Sent idempotent(String where, double seconds) throws Exception {
        return send(new Work(where, true, seconds));
    }

    private Sent send(Work work) throws Exception {
        String task = name + "-" + questions.incrementAndGet();
        Path file = starts.resolve(task);
        String program = """
                import os, subprocess, sys, time
                def tell(what):
                    f = os.open('%s', os.O_WRONLY | os.O_APPEND | os.O_CREAT)
                    os.write(f, what)
                    os.close(f)
                tell(b'start\\n')
                if %s >= 100:
                    subprocess.run(['sleep', '%s'])
                time.sleep(%s)
                tell(b'end\\n')
                print('%s')
                """.formatted(file, work.seconds(), mark(task), work.seconds(), task);
        Sent sent = new Sent(task, work, file);
        tasks.add(sent);
        order("run " + task + " " + work.where() + (work.idempotent() ? " idempotent" : " once") + " 20000 "
                + Base64.getEncoder().encodeToString(program.getBytes(StandardCharsets.UTF_8)));
        await("sent " + task);
        return sent;
    }

    /** A time that no other process sleeps for: the task's child is known by it. */
    private static String mark(String task) {
        return "9" + Math.floorMod(task.hashCode(), 1_000_000) + "."
                + ProcessHandle.current().pid();
    }

    /** A task that was sent. */
    final class Sent {
        private final String task;
        private final Work work;
        private final Path file;

        private Sent(String task, Work work, Path file) {
            this.task = task;
            this.work = work;
            this.file = file;
        }

        String id() throws Exception {
            return await("sent " + task).get("id").asString();
        }

        private long lines(String what) throws IOException {
            return Files.exists(file)
                    ? Files.readAllLines(file).stream().filter(what::equals).count()
                    : 0;
        }

        long starts() throws IOException {
            return lines("start");
        }

        long runsToTheEnd() throws IOException {
            return lines("end");
        }

        Sent awaitStarted() throws Exception {
            FaultyNetwork.await(task + " starts", () -> starts() > 0 || ended());
            assertThat(starts()).as(ended() ? message() : task).isPositive();
            return this;
        }

        boolean ended() {
            return answer("end " + task).isDone();
        }

        End end() throws Exception {
            return End.valueOf(await("end " + task).get("end").asString());
        }

        String message() throws Exception {
            String message = await("end " + task).get("message").asString();
            return message + " (" + starts() + " starts, " + runsToTheEnd() + " runs to the end)";
        }

        void cancel() throws IOException {
            order("cancel " + task);
        }

        /** Whether the child of a task that sleeps for long is there. */
        boolean childLives() {
            return ProcessHandle.allProcesses()
                    .anyMatch(one -> one.info()
                            .arguments()
                            .filter(arguments -> List.of(arguments).equals(List.of(mark(task))))
                            .isPresent());
        }

        /** Expects its result, of the one time that it has run. */
        void expectResult() throws Exception {
            assertThat(end()).as(message()).isEqualTo(End.RESULT);
            assertThat(message()).startsWith("OK");
            assertThat(starts()).as(task).isEqualTo(1);
        }

        void expectUnknown() throws Exception {
            assertThat(end()).as(message()).isEqualTo(End.UNKNOWN);
        }

        void expectNotStarted() throws Exception {
            assertThat(end()).as(message()).isEqualTo(End.NOT_STARTED);
            assertThat(starts()).as(task).isZero();
        }
    }

    /** What holds of every task, however its slave and the network were. */
    void expectPromisesKept() throws Exception {
        for (Sent sent : tasks) {
            String what = sent.task + " " + sent.work + ", " + sent.end() + ": " + sent.message();
            long starts = sent.starts();
            assertThat(ends.get(sent.task)).as(what).hasValue(1);
            assertThat(starts).as(what).isLessThanOrEqualTo(sent.work.idempotent() ? 2 : 1);
            switch (sent.end()) {
                case RESULT -> assertThat(starts).as(what).isPositive();
                case NOT_STARTED -> assertThat(starts).as(what).isZero();
                case UNKNOWN, CANCELLED -> {}
                case OTHER -> assertThat(what).isEmpty();
            }
            boolean pinned = !sent.work.where().startsWith("label:")
                    && !sent.work.where().equals("*");
            if (sent.work.idempotent() && !pinned) {
                assertThat(sent.end()).as(what).isEqualTo(End.RESULT);
            }
        }
    }

    /** Has it let go of everything, and expects that it has. */
    void close() throws Exception {
        order("close");
        await("closed");
        FaultyNetwork.await("no connection of " + name + " is left", () -> FaultyNetwork.connections(process) == 0);
        orders.close();
        assertThat(process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)).isTrue();
    }
}
