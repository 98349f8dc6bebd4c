package dev.d8.launcher;

import static dev.d8.launcher.Cli.TOKEN;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * A slave under everything at once that a task can do to it: others are served meanwhile, and afterwards it is as it was.
 * What each task is answered is the hostile task contract's to say.
 */
@Timeout(180)
@Tag("other-runtime") // What it tests is the machine.
class HostileSlaveTest {

    private static final String LIMITS = ",\"limits\":{\"processes\":40,\"memory_bytes\":100000000,\"cpu_seconds\":5,"
            + "\"output_bytes\":100000},\"timeout\":4";

    private static final Map<String, String> PROGRAMS = new LinkedHashMap<>();

    static {
        PROGRAMS.put("flood", "while True: print('x' * 10000)");
        PROGRAMS.put("fork bomb", "import os\\nwhile True:\\n    try: os.fork()\\n    except OSError: pass");
        PROGRAMS.put("memory bomb", "x = []\\nwhile True: x.append(bytearray(1 << 20))");
        PROGRAMS.put("spin", "while True: pass");
        PROGRAMS.put("deaf", "import signal, time\\nsignal.signal(15, signal.SIG_IGN)\\nwhile True: time.sleep(1)");
        PROGRAMS.put(
                "daemon",
                "import os, time\\nif os.fork() == 0:\\n    os.setsid()\\n    if os.fork() == 0: time.sleep(1000)\\n"
                        + "    os._exit(0)\\nos.wait()");
        PROGRAMS.put("closes", "import os; os.closerange(0, 65536)");
        PROGRAMS.put("opens", "x = [open('/dev/null') for i in range(900)]");
        PROGRAMS.put("stops", "import os, signal; os.killpg(0, signal.SIGSTOP)");
        PROGRAMS.put("crashes", "import ctypes; ctypes.string_at(0)");
        PROGRAMS.put(
                "forges",
                "import os\\nfor fd in range(300):\\n    try: os.write(fd, b'\\\\0\\\\0\\\\0\\\\7Xexit=9\\\\0')\\n"
                        + "    except OSError: pass");
        PROGRAMS.put("lingers", "import threading, time; threading.Thread(target=time.sleep, args=(1000,)).start()");
        PROGRAMS.put("leaves", "import os; os.fork() or os._exit(0)");
    }

    @TempDir
    private Path folder;

    private final HttpClient http = HttpClient.newHttpClient();

    private CompletableFuture<String> execute(URI slave, String program, String more) {
        HttpRequest request = HttpRequest.newBuilder(slave.resolve("/api/execute"))
                .header("Authorization", "Bearer " + TOKEN)
                .header("Content-Type", "application/json")
                .POST(HttpRequest.BodyPublishers.ofString("{\"command\":\"" + program + "\"" + more + "}"))
                .build();
        return http.sendAsync(request, HttpResponse.BodyHandlers.ofString()).thenApply(HttpResponse::body);
    }

    private static int entries(Path directory) throws IOException {
        try (DirectoryStream<Path> all = Files.newDirectoryStream(directory)) {
            int count = 0;
            for (Path one : all) {
                assertThat(one).isNotNull();
                count++;
            }
            return count;
        }
    }

    /** Of everybody: a slave that was killed with its whole family leaves its empty ones to the next. */
    private static Set<Path> cgroups() throws IOException {
        Path parent = Path.of("/sys/fs/cgroup/pids");
        Set<Path> found = new HashSet<>();
        if (Files.isDirectory(parent)) {
            try (DirectoryStream<Path> all = Files.newDirectoryStream(parent, "d8-*")) {
                all.forEach(found::add);
            }
        }
        return found;
    }

    /** The slave's agents, supervisors and parked processes. */
    private static long family(ProcessHandle slave) {
        return slave.descendants().count();
    }

    @Test
    void it_serves_others_meanwhile_and_is_afterwards_as_it_was() throws Exception {
        Set<Path> cgroupsBefore = cgroups();
        try (Cli.Running running = new Cli.Running(Cli.start(
                Map.of("SLAVE_TOKEN", TOKEN),
                folder,
                "slave",
                "--port",
                "0",
                "--executors",
                "python",
                "--max-concurrent",
                "4",
                "-o",
                "python.path=" + Cli.PYTHON,
                "-o",
                "python.parked=4",
                "-o",
                "python.agents=1"))) {
            URI slave = URI.create(running.await("listening on "));
            ProcessHandle process = running.process.toHandle();
            Path descriptors = Path.of("/proc", String.valueOf(process.pid()), "fd");
            warmUp(slave);
            await(() -> family(process) >= 9); // One agent, four supervisors, four parked processes.
            int openBefore = entries(descriptors);
            int tempBefore = entries(Path.of("/tmp"));

            AtomicBoolean over = new AtomicBoolean();
            CompletableFuture<Duration> slowest = watchHealth(slave, over);
            for (int round = 0; round < 2; round++) {
                List<CompletableFuture<String>> answers = new ArrayList<>();
                PROGRAMS.values().forEach(program -> answers.add(execute(slave, program, LIMITS)));
                for (CompletableFuture<String> answer : answers) {
                    assertThat(answer.get(120, TimeUnit.SECONDS))
                            .contains("\"status\":\"")
                            .contains("\"method\":\"python\"");
                }
            }
            over.set(true);
            assertThat(slowest.get(30, TimeUnit.SECONDS)).isLessThan(Duration.ofSeconds(2));

            assertThat(execute(slave, "print(6 * 7)", "").get(30, TimeUnit.SECONDS))
                    .contains("\"output\":\"42\\n\"");
            await(() -> family(process) <= 11); // A supervisor more may stand by.
            assertThat(entries(descriptors)).isLessThanOrEqualTo(openBefore + 8);
            assertThat(entries(Path.of("/tmp"))).isLessThanOrEqualTo(tempBefore);
            assertThat(running.terminate().exit()).isZero();
        }
        await(() -> cgroupsBefore.containsAll(cgroups()));
    }

    /** So that classes are loaded, connections are open, and supervisors are made. */
    private void warmUp(URI slave) throws Exception {
        for (int i = 0; i < 3; i++) {
            List<CompletableFuture<String>> answers = new ArrayList<>();
            for (int j = 0; j < PROGRAMS.size(); j++) {
                answers.add(execute(slave, "print(1)", LIMITS));
            }
            for (CompletableFuture<String> answer : answers) {
                assertThat(answer.get(60, TimeUnit.SECONDS)).contains("\"success\":true");
            }
        }
    }

    private CompletableFuture<Duration> watchHealth(URI slave, AtomicBoolean over) {
        CompletableFuture<Duration> slowest = new CompletableFuture<>();
        HttpRequest request =
                HttpRequest.newBuilder(slave.resolve("/api/health")).build();
        Thread watcher = new Thread(() -> {
            try {
                long most = 0;
                while (!over.get()) {
                    long began = System.nanoTime();
                    assertThat(http.send(request, HttpResponse.BodyHandlers.ofString())
                                    .body())
                            .contains("\"status\":\"healthy\"");
                    most = Math.max(most, System.nanoTime() - began);
                    LockSupport.parkNanos(20_000_000);
                }
                slowest.complete(Duration.ofNanos(most));
            } catch (IOException | InterruptedException | AssertionError e) {
                slowest.completeExceptionally(e);
            }
        });
        watcher.start();
        return slowest;
    }

    private interface Condition {
        boolean holds() throws IOException;
    }

    private static void await(Condition condition) throws IOException {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (!condition.holds()) {
            assertThat(System.nanoTime()).as("in time").isLessThan(until);
            LockSupport.parkNanos(10_000_000);
        }
    }
}
