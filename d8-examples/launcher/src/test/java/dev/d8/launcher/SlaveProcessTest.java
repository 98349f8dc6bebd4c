package dev.d8.launcher;

import static dev.d8.launcher.Cli.TOKEN;
import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.launcher.Cli.Ended;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchService;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A slave as its owner starts it, and everybody who talks to it: old clients, the shell, and those who go away. */
@Timeout(180)
class SlaveProcessTest {

    private static final Map<String, String> ENVIRONMENT = Map.of("SLAVE_TOKEN", TOKEN);

    @TempDir
    private static Path folder;

    @SuppressWarnings("NullAway.Init") // Set before all tests.
    private static Cli.Running slave;

    private static String address = "";
    private static int port;

    @BeforeAll
    static void start() throws Exception {
        slave = new Cli.Running(Cli.start(
                ENVIRONMENT,
                folder,
                "slave",
                "--port",
                "0",
                "--executors",
                "python",
                "-o",
                "python.path=" + Cli.PYTHON));
        URI uri = URI.create(slave.await("listening on "));
        port = uri.getPort();
        address = "127.0.0.1:" + port;
        assertThat(slave.await("version ")).contains("commit ");
        assertThat(slave.await("executor python: ")).startsWith("available (" + Cli.PYTHON);
    }

    @AfterAll
    static void stop() throws Exception {
        try (Cli.Running stopping = slave) {
            Ended ended = stopping.terminate();
            assertThat(ended.exit()).isZero();
            assertThat(ended.err()).doesNotContain(TOKEN).doesNotContain("Exception");
        }
    }

    private static Ended d8(String... args) throws Exception {
        return Cli.run(ENVIRONMENT, folder, "", args);
    }

    @Test
    void an_original_client_gets_the_answers_that_it_expects() throws Exception {
        Ended ended = Cli.ended(Cli.script("original_client.py", folder, String.valueOf(port), TOKEN), "");
        assertThat(ended.err()).isEmpty();
        assertThat(ended.out()).contains("all calls answered");
        assertThat(ended.exit()).isZero();
    }

    @Test
    void output_goes_to_standard_output_and_error_to_standard_error() throws Exception {
        Ended ended = d8("run", "--slave", address, "import sys; print('out \u00e9'); print('err', file=sys.stderr)");
        assertThat(ended).isEqualTo(new Ended(0, "out \u00e9\n", "err\n"));
    }

    @Test
    void a_failed_task_is_exit_code_1() throws Exception {
        Ended ended = d8("run", "--slave", address, "import sys; sys.exit(7)");
        assertThat(ended.exit()).isEqualTo(1);
        Ended json = d8("run", "--json", "--timeout", "0.5", "--slave", address, "while True: pass");
        assertThat(json.exit()).isEqualTo(1);
        assertThat(json.out()).contains("\"status\":\"timeout\"").contains("timed out after 0.5 s");
    }

    @Test
    void a_program_comes_from_a_file_or_from_standard_input_too() throws Exception {
        Path file = Files.writeString(folder.resolve("program.py"), "print(6 * 7)\n");
        assertThat(d8("run", "--slave", address, "--file", file.toString()).out())
                .isEqualTo("42\n");
        assertThat(Cli.run(ENVIRONMENT, folder, "print('from stdin')", "run", "--slave", address, "-")
                        .out())
                .isEqualTo("from stdin\n");
        assertThat(d8("run", "--slave", address, "--type", "niche_analysis", "--data", "{\"niche\": \"slow tea\"}")
                        .out())
                .contains("\"niche\": \"slow tea\"");
    }

    @Test
    void wrong_usage_is_exit_code_2_and_says_what_is_wrong() throws Exception {
        assertThat(d8("run", "--slave", address)).satisfies(ended -> {
            assertThat(ended.exit()).isEqualTo(2);
            assertThat(ended.err()).contains("the program is missing");
        });
        assertThat(d8("run", "--slave", address, "--data", "{no json", "x").err())
                .contains("--data");
        assertThat(d8("run", "--slave", "::::", "x").exit()).isEqualTo(2);
        assertThat(d8("slave", "--port", "70000").err()).contains("--port: 70000 (expected: 0 to 65535)");
        assertThat(d8("slave", "--port", "0", "-o", "python.pth=x").err()).contains("option python.pth: unknown");
        assertThat(d8("slave", "--port", "0", "--executors", "podman").err()).contains("unknown podman");
        assertThat(d8("slave", "--port", "0", "--max-concurrent", "0").err()).contains("max-concurrent: 0");
    }

    @Test
    void what_could_not_be_run_is_exit_code_3_with_the_cure() throws Exception {
        Ended wrongToken = Cli.run(Map.of("SLAVE_TOKEN", "another"), folder, "", "run", "--slave", address, "print(1)");
        assertThat(wrongToken.exit()).isEqualTo(3);
        assertThat(wrongToken.err()).contains("does not accept this token").contains("SLAVE_TOKEN");

        Ended nobody = d8("run", "--slave", "127.0.0.1:1", "print(1)");
        assertThat(nobody.exit()).isEqualTo(3);
        assertThat(nobody.err()).contains("cannot reach").contains("Is the slave running there?");

        Ended otherCommit = d8("run", "--slave", address, "--commit", "abcdef1", "print(1)");
        assertThat(otherCommit.exit()).isEqualTo(3);
        assertThat(otherCommit.err()).contains("version mismatch").contains("abcdef1");
        assertThat(d8("run", "--slave", address, "--commit", "abcdef1", "--version-policy", "ignore", "print(1)")
                        .out())
                .isEqualTo("1\n");

        Ended method = d8("run", "--slave", address, "--method", "docker", "print(1)");
        assertThat(method.exit()).isEqualTo(3);
        assertThat(method.err()).contains("docker");
    }

    @Test
    void health_and_version_are_told_to_people_and_to_programs() throws Exception {
        assertThat(d8("health", "--slave", address).out()).contains("status    healthy", "executor  python: available");
        assertThat(d8("health", "--slave", address, "--json").out()).startsWith("{\"status\":\"healthy\"");
        assertThat(d8("version", "--slave", address).out()).contains("commit    ");
        assertThat(d8("version", "--slave", address, "--json").out()).startsWith("{\"commit\":");
        assertThat(d8("version", "--slave", "127.0.0.1:1").exit()).isEqualTo(3);
    }

    @Test
    void what_the_slave_counts_is_shown_to_whoever_has_the_token() throws Exception {
        assertThat(d8("run", "--slave", address, "print(55)").exit()).isZero();
        URI metrics = URI.create("http://" + address + "/metrics");
        HttpURLConnection call = (HttpURLConnection) metrics.toURL().openConnection();
        call.setRequestProperty("Authorization", "Bearer " + TOKEN);
        try (InputStream body = call.getInputStream()) {
            assertThat(new String(body.readAllBytes(), StandardCharsets.UTF_8))
                    .contains("d8_tasks_total{method=\"python\",status=\"ok\"}")
                    .contains("d8_python_starts_total{method=\"python\",start=\"warm\"}")
                    .contains("d8_task_run_seconds_count");
        }
        assertThat(((HttpURLConnection) metrics.toURL().openConnection()).getResponseCode())
                .isEqualTo(401);
    }

    @Test
    void a_port_that_is_taken_is_told_at_the_start() throws Exception {
        Ended ended = d8("slave", "--port", String.valueOf(port));
        assertThat(ended.exit()).isEqualTo(2);
        assertThat(ended.err()).contains(String.valueOf(port)).contains("in use");
    }

    @Test
    void beyond_loopback_a_real_token_is_needed_and_tls_or_consent_to_do_without() throws Exception {
        Ended clear = d8("slave", "--host", "0.0.0.0", "--port", "0");
        assertThat(clear.exit()).isEqualTo(2);
        assertThat(clear.err()).contains("refusing to listen on 0.0.0.0", "--tls-cert", "--insecure-http");
        try (Cli.Running insecure = new Cli.Running(Cli.start(
                ENVIRONMENT,
                folder,
                "slave",
                "--host",
                "0.0.0.0",
                "--port",
                "0",
                "--insecure-http",
                "--executors",
                "python"))) {
            assertThat(insecure.await("listening on ")).startsWith("http://0.0.0.0:");
            assertThat(insecure.terminate().err()).contains("WARN").contains("no TLS: ");
        }
        Ended none = Cli.run(Map.of(), folder, "", "slave", "--host", "0.0.0.0", "--port", "0");
        assertThat(none.exit()).isEqualTo(2);
        assertThat(none.err()).contains("refusing to listen on 0.0.0.0").contains("SLAVE_TOKEN");
        Ended weak = Cli.run(Map.of("SLAVE_TOKEN", "weak"), folder, "", "slave", "--host", "0.0.0.0", "--port", "0");
        assertThat(weak.exit()).isEqualTo(2);
        assertThat(weak.err()).contains("fewer than 32 characters").doesNotContain("weak,");
    }

    @Test
    void the_token_comes_from_an_env_file_or_from_a_file_that_only_its_owner_reads() throws Exception {
        Path env = Files.writeString(folder.resolve("slave.env"), "# ours\nOTHER=1\nSLAVE_TOKEN=\"" + TOKEN + "\"\n");
        Path secret = Files.writeString(folder.resolve("token"), TOKEN + "\n");
        Files.setPosixFilePermissions(secret, PosixFilePermissions.fromString("rw-------"));
        assertThat(Cli.run(Map.of(), folder, "", "run", "--env-file", env.toString(), "--slave", address, "print(1)")
                        .out())
                .isEqualTo("1\n");
        assertThat(Cli.run(
                                Map.of(),
                                folder,
                                "",
                                "run",
                                "--token-file",
                                secret.toString(),
                                "--slave",
                                address,
                                "print(1)")
                        .out())
                .isEqualTo("1\n");
        Files.setPosixFilePermissions(secret, PosixFilePermissions.fromString("rw-r--r--"));
        Ended open = Cli.run(Map.of(), folder, "", "run", "--token-file", secret.toString(), "--slave", address, "x");
        assertThat(open.exit()).isEqualTo(2);
        assertThat(open.err()).contains("others can read").contains("chmod 600").doesNotContain(TOKEN);
    }

    /** A task that starts a child, says so by a file, and waits for it. */
    private static final class Parent {
        private final Path started;
        private final String mark = "100." + System.nanoTime();

        Parent(String name) throws IOException {
            started = Files.createDirectory(folder.resolve(name));
        }

        String program(String newline) {
            return String.join(
                    newline,
                    "import os,subprocess",
                    "p=subprocess.Popen(['sleep','" + mark + "'])",
                    "open('" + started.resolve("yes") + "','w').close()",
                    "print(p.wait())");
        }

        /** Sends it as a plain request that gives it no id. */
        void send(Socket client) throws IOException {
            String body = "{\"command\":\"" + program("\\n") + "\"}";
            OutputStream out = client.getOutputStream();
            out.write(("POST /api/execute HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + TOKEN
                            + "\r\nContent-Type: application/json\r\nContent-Length: " + body.length() + "\r\n\r\n"
                            + body)
                    .getBytes(StandardCharsets.US_ASCII));
            out.flush();
        }

        /**
         * Waits for the child. The task knows it by another number where it has a namespace of its own, so it is found by
         * an argument.
         */
        ProcessHandle child() throws Exception {
            try (WatchService watch = started.getFileSystem().newWatchService()) {
                started.register(watch, StandardWatchEventKinds.ENTRY_CREATE);
                while (!Files.exists(started.resolve("yes"))) {
                    assertThat(watch.poll(60, TimeUnit.SECONDS))
                            .as("the task starts")
                            .isNotNull()
                            .satisfies(key -> key.reset());
                }
            }
            return ProcessHandle.allProcesses()
                    .filter(process -> process.info()
                            .arguments()
                            .filter(arguments -> List.of(arguments).equals(List.of(mark)))
                            .isPresent())
                    .findFirst()
                    .orElseThrow();
        }
    }

    @Test
    void whoever_stops_d8_run_stops_its_task() throws Exception {
        Parent task = new Parent("interrupted");
        try (Cli.Running run =
                new Cli.Running(Cli.start(ENVIRONMENT, folder, "run", "--slave", address, task.program("\n")))) {
            ProcessHandle child = task.child();
            run.terminate();
            child.onExit().orTimeout(60, TimeUnit.SECONDS).join();
        }
    }

    @Test
    void a_client_that_goes_away_takes_its_task_and_the_tasks_children_along() throws Exception {
        ProcessHandle child;
        try (Socket client = new Socket(InetAddress.getLoopbackAddress(), port)) {
            Parent task = new Parent("client-gone");
            task.send(client);
            child = task.child();
        }
        child.onExit().orTimeout(60, TimeUnit.SECONDS).join();
        assertThat(d8("run", "--slave", address, "print('well')").out()).isEqualTo("well\n");
    }

    /** A slave of its own that has been told to stop while a task waits for a file. */
    private Cli.Running stoppedWhile(Path file, List<Cli.Running> clients) throws Exception {
        Cli.Running stopping = new Cli.Running(
                Cli.start(ENVIRONMENT, folder, "slave", "--port", "0", "--executors", "python", "--drain", "3000"));
        URI uri = URI.create(stopping.await("listening on "));
        Parent task = new Parent(file.getFileName() + "-started");
        clients.add(new Cli.Running(Cli.start(
                ENVIRONMENT,
                folder,
                "run",
                "--slave",
                uri.getAuthority(),
                task.program("\n").replace("print(p.wait())", "import time") + "\nwhile not os.path.exists('" + file
                        + "'): time.sleep(.01)\nprint('done')")));
        task.child();
        stopping.process.toHandle().destroy();
        HttpURLConnection health;
        do {
            health = (HttpURLConnection) uri.resolve("/api/health").toURL().openConnection();
        } while (!new String(health.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
                .contains("\"draining\":true"));
        return stopping;
    }

    @Test
    void a_slave_that_is_told_to_stop_lets_its_tasks_finish() throws Exception {
        Path file = folder.resolve("finish");
        List<Cli.Running> clients = new ArrayList<>();
        try (Cli.Running stopping = stoppedWhile(file, clients);
                Cli.Running client = clients.get(0)) {
            Files.createFile(file);
            assertThat(client.await("don")).isEqualTo("e");
            assertThat(stopping.process.waitFor(60, TimeUnit.SECONDS)).isTrue();
            assertThat(stopping.process.exitValue()).isZero();
            assertThat(client.process.waitFor(60, TimeUnit.SECONDS)).isTrue();
            assertThat(client.process.exitValue()).isZero();
        }
    }

    @Test
    void a_slave_that_is_told_twice_ends_its_tasks_and_answers_them() throws Exception {
        List<Cli.Running> clients = new ArrayList<>();
        try (Cli.Running stopping = stoppedWhile(folder.resolve("never"), clients);
                Cli.Running client = clients.get(0)) {
            Ended ended = stopping.terminate();
            assertThat(ended.exit()).isZero();
            assertThat(ended.err()).containsSubsequence("a second signal ends them at once", "stopped");
            assertThat(client.process.waitFor(60, TimeUnit.SECONDS)).isTrue();
            assertThat(client.process.exitValue()).isEqualTo(1);
        }
    }

    @Test
    void a_task_sees_neither_the_token_nor_the_file_that_it_is_in() throws Exception {
        Path env = Files.writeString(folder.resolve("hidden.env"), "SLAVE_TOKEN=" + TOKEN + "\n");
        try (Cli.Running hiding = new Cli.Running(Cli.start(
                Map.of(), folder, "slave", "--port", "0", "--env-file", env.toString(), "--executors", "python"))) {
            String where = URI.create(hiding.await("listening on ")).getAuthority();
            Ended ended = Cli.run(
                    ENVIRONMENT, folder, "", "run", "--slave", where, "print(repr(open('" + env + "').read()))");
            assertThat(ended).isEqualTo(new Ended(0, "''\n", ""));
            assertThat(hiding.terminate().exit()).isZero();
        }
        assertThat(env).content().contains(TOKEN);
    }

    @Test
    void nothing_of_a_task_outlives_a_slave_that_is_killed() throws Exception {
        ProcessHandle child;
        try (Cli.Running dying = new Cli.Running(
                        Cli.start(ENVIRONMENT, folder, "slave", "--port", "0", "--executors", "python"));
                Socket client = new Socket(
                        InetAddress.getLoopbackAddress(),
                        URI.create(dying.await("listening on ")).getPort())) {
            Parent task = new Parent("slave-killed");
            task.send(client);
            child = task.child();
            dying.process.destroyForcibly();
        }
        child.onExit().orTimeout(10, TimeUnit.SECONDS).join(); // It is promised two, on a machine that is not busy.
    }

    @Test
    void a_child_that_is_killed_is_the_tasks_own_affair() throws Exception {
        try (Socket client = new Socket(InetAddress.getLoopbackAddress(), port)) {
            Parent task = new Parent("child-killed");
            task.send(client);
            task.child().destroyForcibly();
            InputStream in = client.getInputStream();
            StringBuilder answer = new StringBuilder();
            byte[] chunk = new byte[4096];
            while (!answer.toString().contains("leftover_processes_killed")) {
                int count = in.read(chunk);
                assertThat(count).isPositive();
                answer.append(new String(chunk, 0, count, StandardCharsets.UTF_8));
            }
            assertThat(answer).startsWith("HTTP/1.1 200").contains("\"output\":\"-9\\n\"");
        }
    }
}
