package dev.d8.launcher;

import static dev.d8.launcher.Cli.TOKEN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.d8.launcher.Cli.Ended;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A slave on a machine that has run out of something: it says so, goes on, and is as it was once there is enough again. */
@Timeout(120)
@Tag("other-runtime") // What it tests is the machine.
class ExhaustedSlaveTest {

    @TempDir
    private Path folder;

    private final HttpClient http = HttpClient.newHttpClient();

    private Cli.Running slave(Map<String, String> environment) throws IOException {
        Map<String, String> all = new HashMap<>(environment);
        all.put("SLAVE_TOKEN", TOKEN);
        return new Cli.Running(Cli.start(
                all,
                folder,
                "slave",
                "--port",
                "0",
                "--executors",
                "python",
                "-o",
                "python.path=" + Cli.PYTHON,
                "-o",
                "python.parked=2",
                "-o",
                "python.agents=1"));
    }

    private static HttpRequest.Builder request(URI slave, String path) {
        return HttpRequest.newBuilder(slave.resolve(path))
                .header("Authorization", "Bearer " + TOKEN)
                .header("Content-Type", "application/json")
                .timeout(Duration.ofSeconds(60));
    }

    private static HttpRequest.BodyPublisher task(String program) {
        return HttpRequest.BodyPublishers.ofString("{\"command\":\"" + program + "\"}");
    }

    private CompletableFuture<String> execute(URI slave, String program) {
        return http.sendAsync(
                        request(slave, "/api/execute").POST(task(program)).build(),
                        HttpResponse.BodyHandlers.ofString())
                .thenApply(HttpResponse::body);
    }

    /** Returns where a task that was taken can be asked for. */
    private String submit(URI slave, String program) throws Exception {
        HttpResponse<String> taken = http.send(
                request(slave, "/api/tasks").POST(task(program)).build(), HttpResponse.BodyHandlers.ofString());
        return taken.headers().firstValue("Location").orElseThrow(() -> new AssertionError(taken.body()));
    }

    private String ask(URI slave, String path) throws Exception {
        return http.send(request(slave, path).build(), HttpResponse.BodyHandlers.ofString())
                .body();
    }

    /** Runs some tasks at once, all over one connection. */
    private void runsAhead(URI slave, int tasks) throws Exception {
        List<String> taken = new ArrayList<>();
        for (int i = 0; i < tasks; i++) {
            taken.add(submit(slave, "import time; time.sleep(0.3); print(6 * 7)"));
        }
        for (String task : taken) {
            assertThat(ask(slave, task + "?wait=30")).containsAnyOf("\"output\":\"42\\n\"", "Too many open files");
        }
    }

    private void runsWarm(URI slave, int tasks) throws Exception {
        List<CompletableFuture<String>> answers = new ArrayList<>();
        for (int i = 0; i < tasks; i++) {
            answers.add(execute(slave, "print(6 * 7)"));
        }
        for (CompletableFuture<String> answer : answers) {
            assertThat(answer.get(60, TimeUnit.SECONDS)).contains("\"output\":\"42\\n\"", "\"warm\":true");
        }
    }

    private static boolean succeeds(String... command) throws Exception {
        try {
            Ended ended = Cli.ended(new ProcessBuilder(command).start(), "");
            return ended.exit() == 0;
        } catch (IOException e) {
            return false; // There is no such program.
        }
    }

    private static int openFiles(Process process) throws IOException {
        int count = 0;
        try (DirectoryStream<Path> all =
                Files.newDirectoryStream(Path.of("/proc", String.valueOf(process.pid()), "fd"))) {
            for (Path one : all) {
                count += one.getNameCount() > 0 ? 1 : 0;
            }
        }
        return count;
    }

    @Test
    void a_slave_that_is_out_of_descriptors_serves_those_it_knows_and_everybody_afterwards() throws Exception {
        try (Cli.Running running = slave(Map.of())) {
            URI slave = URI.create(running.await("listening on "));
            for (int i = 0; i < 3; i++) {
                runsWarm(slave, 2);
            }
            assertThat(ask(slave, "/api/health")).contains("\"status\":\"healthy\"");
            runsAhead(slave, 1);
            // Loads what is needed to say no: here classes are files, and to read one takes a descriptor, too.
            assertThat(execute(slave, "1\",\"method\":\"none").get(60, TimeUnit.SECONDS))
                    .contains("no executor of this slave can run it");
            int most = openFiles(running.process) + 40;
            String pid = String.valueOf(running.process.pid());
            assumeTrue(succeeds("prlimit", "--pid", pid, "--nofile=" + most + ":" + most), "this test needs prlimit");

            List<Socket> flood = new ArrayList<>();
            try {
                for (int i = 0; i < 200; i++) {
                    flood.add(new Socket(
                            slave.getHost(), slave.getPort(), InetAddress.getByName("127.0.0." + (2 + i % 4)), 0));
                }
                await(() -> openFiles(running.process) >= most);
                // Over a connection that it has. The supervisors that it then wants to have ready knock in vain.
                runsAhead(slave, 4);
                // It tries to take connections each second: once more at least, which must not be told again.
                LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(1200));
                assertThat(ask(slave, "/api/health")).contains("\"status\":\"healthy\"");
            } finally {
                for (Socket socket : flood) {
                    socket.close();
                }
            }

            await(() -> openFiles(running.process) < most - 20);
            // The executor may have been seen without descriptors: the slave looks again by and by.
            await(() -> ask(slave, "/api/health").contains("\"execution_methods\":{\"python\":true}"));
            runsWarm(slave, 4);
            runsWarm(slave, 4);
            Ended ended = running.terminate();
            assertThat(ended.exit()).isZero();
            assertThat(ended.err().lines().toList()).as(ended.err()).hasSizeLessThan(15);
            assertThat(ended.err()).containsOnlyOnce("cannot take connections").doesNotContain("\tat ");
        }
    }

    @Test
    void a_slave_whose_disk_is_full_runs_what_needs_none_and_tells_what_does() throws Exception {
        Path small = Files.createDirectory(folder.resolve("small"));
        assumeTrue(
                succeeds("mount", "-t", "tmpfs", "-o", "size=1m", "d8-test", small.toString()),
                "this test needs to mount a file system");
        try (Cli.Running running =
                slave(Map.of("JAVA_TOOL_OPTIONS", "-Djava.io.tmpdir=" + small, "TMPDIR", small.toString()))) {
            URI slave = URI.create(running.await("listening on "));
            runsWarm(slave, 1);
            fill(small);

            assertThat(execute(slave, "open('" + small + "/x', 'w').write('x' * 100000)")
                            .get(60, TimeUnit.SECONDS))
                    .contains("\"success\":false", "\"status\":\"nonzero_exit\"", "No space left on device");
            runsWarm(slave, 4);
            assertThat(running.terminate().exit()).isZero();
        } finally {
            assertThat(succeeds("umount", "--lazy", small.toString())).isTrue();
        }
    }

    @Test
    void a_slave_that_starts_with_a_full_disk_runs_tasks() throws Exception {
        Path small = Files.createDirectory(folder.resolve("small"));
        assumeTrue(
                succeeds("mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=8", "d8-test", small.toString()),
                "this test needs to mount a file system");
        try {
            fill(small);
            try (Cli.Running running =
                    slave(Map.of("JAVA_TOOL_OPTIONS", "-Djava.io.tmpdir=" + small, "TMPDIR", small.toString()))) {
                URI slave = URI.create(running.await("listening on "));
                assertThat(execute(slave, "print(6 * 7)").get(60, TimeUnit.SECONDS))
                        .contains("\"output\":\"42\\n\"");
                Ended ended = running.terminate();
                assertThat(ended.exit()).isZero();
                assertThat(ended.err()).contains("no socket for the agents").doesNotContain("\tat ");
            }
        } finally {
            assertThat(succeeds("umount", "--lazy", small.toString())).isTrue();
        }
    }

    /** Takes every block and every name that is left. */
    private static void fill(Path small) throws IOException {
        try (OutputStream out = Files.newOutputStream(small.resolve("full"))) {
            while (true) {
                out.write(new byte[4096]);
            }
        } catch (IOException e) {
            assertThat(e).hasMessageContaining("No space left");
        }
        try {
            for (int i = 0; i < 20; i++) {
                Files.createFile(small.resolve("name-" + i));
            }
        } catch (IOException e) {
            assertThat(e).hasMessageContaining("No space left");
        }
    }

    private interface Condition {
        boolean holds() throws Exception;
    }

    private static void await(Condition condition) throws Exception {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (!condition.holds()) {
            assertThat(System.nanoTime()).as("in time").isLessThan(until);
            LockSupport.parkNanos(10_000_000);
        }
    }
}
