package dev.d8.launcher;

import static dev.d8.launcher.Cli.TOKEN;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import dev.d8.examples.shell.ShellExecutorProvider;
import dev.d8.launcher.Cli.Ended;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(180)
@Tag("other-runtime") // SlaveProcessTest tells whether this JVM will do.
class LauncherTest {

    private static final Map<String, String> ENVIRONMENT = Map.of("SLAVE_TOKEN", TOKEN);

    @TempDir
    private Path folder;

    @Test
    void the_demo_runs_the_main_job() throws Exception {
        Ended ended = Cli.run(Map.of(), folder, "", "demo");
        assertThat(ended.out())
                .contains("the master registered it: ALIVE", "Fibonacci: ok by ", "| 55", "! NameError", "NicheReport[")
                .contains("done: all three ended as they should");
        assertThat(ended.exit()).isZero();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "demo", "slave", "run", "submit", "status", "logs", "cancel", "health", "version", "slaves", "master",
                "top", "keygen"
            })
    void every_command_explains_itself(String command) {
        StringWriter out = new StringWriter();
        assertThat(Main.commandLine().setOut(new PrintWriter(out)).execute(command, "--help"))
                .isZero();
        assertThat(out.toString()).contains("Usage: d8 " + command);
    }

    @Test
    void a_slave_that_speaks_the_original_protocol_only_is_enough() throws Exception {
        Process original = Cli.script("original_slave.py", folder, TOKEN);
        try {
            String address = "127.0.0.1:" + original.inputReader().readLine();
            String[] common = {"--slave", address, "--commit", "0123456789abcdef0123456789abcdef01234567"};
            assertThat(Cli.run(ENVIRONMENT, folder, "", with(common, "run", "print(55)")))
                    .isEqualTo(new Ended(0, "55\n", ""));
            Ended failed = Cli.run(ENVIRONMENT, folder, "", with(common, "run", "undefined"));
            assertThat(failed.exit()).isEqualTo(1);
            assertThat(failed.err()).contains("NameError");
            assertThat(Cli.run(ENVIRONMENT, folder, "", with(common, "health")).out())
                    .contains("status    healthy");
            assertThat(Cli.run(Map.of("SLAVE_TOKEN", "wrong"), folder, "", with(common, "run", "print(1)"))
                            .exit())
                    .isEqualTo(3);
        } finally {
            original.destroyForcibly();
        }
    }

    @Test
    void a_task_is_handed_over_watched_and_ended_by_its_id() throws Exception {
        try (Cli.Running slave = new Cli.Running(
                Cli.start(ENVIRONMENT, folder, "slave", "--port", "0", "--executors", "python", "--label", "gpu"))) {
            String[] common = {
                "--slave",
                "127.0.0.1:" + URI.create(slave.await("listening on ")).getPort()
            };
            Ended submitted = Cli.run(
                    ENVIRONMENT,
                    folder,
                    "import time\nprint('one', flush=True)\nprint('::d8::{\"progress\": 50}', flush=True)\ntime.sleep(60)",
                    with(common, "submit", "-"));
            assertThat(submitted.exit()).as(submitted.err()).isZero();
            String id = submitted.out().strip();
            Ended fleet = Cli.run(
                    ENVIRONMENT, folder, "", "slaves", "--slave", "pi=" + common[1], "--slave", "gone=127.0.0.1:1");
            assertThat(fleet.exit()).isEqualTo(3);
            assertThat(fleet.out())
                    .containsPattern(
                            "pi +alive +[0-9]+ of [0-9]+ +[0-9.]+ ms +\\S+ +python +arch=\\S+,gpu,os=linux,python=3\\S+ +http://127")
                    .containsPattern("gone +dead +- .*http://127.0.0.1:1\n  .*refused");
            Ended top = Cli.run(
                    ENVIRONMENT, folder, "", "top", "--slave", "pi=" + common[1], "--count", "2", "--every", "1");
            assertThat(top.exit()).isZero();
            assertThat(top.out().split("1 of 1 can take tasks", -1)).hasSize(3);
            try (Cli.Running logs = new Cli.Running(Cli.start(ENVIRONMENT, folder, with(common, "logs", id)))) {
                assertThat(logs.await("one")).isEmpty();
                assertThat(Cli.run(ENVIRONMENT, folder, "", with(common, "status", id)))
                        .isEqualTo(new Ended(0, "running\n", ""));
                assertThat(Cli.run(ENVIRONMENT, folder, "", with(common, "cancel", id))
                                .exit())
                        .isZero();
                assertThat(logs.process.waitFor()).isEqualTo(1);
                assertThat(logs.errors()).contains("d8: 50 %");
            }
            Ended status = Cli.run(ENVIRONMENT, folder, "", with(common, "status", "--wait", "30", id));
            assertThat(status.out()).startsWith("done: cancelled");
            assertThat(status.exit()).isEqualTo(1);
            Ended unknown =
                    Cli.run(ENVIRONMENT, folder, "", with(common, "logs", "00000000-0000-4000-8000-000000000000"));
            assertThat(unknown.exit()).isEqualTo(3);
            assertThat(unknown.err()).contains("never heard");
            assertThat(Cli.run(ENVIRONMENT, folder, "", with(common, "status", "5"))
                            .err())
                    .contains("task_id");
            Ended followed = Cli.run(
                    ENVIRONMENT,
                    folder,
                    "",
                    with(common, "run", "--follow", "print('::d8::{\"progress\": 7}'); print(55); 1/0"));
            assertThat(followed.out()).isEqualTo("55\n");
            // Two pipes: nobody says which of them is read first.
            assertThat(followed.err()).contains("d8: 7 %\n", "ZeroDivisionError");
            assertThat(followed.exit()).isEqualTo(1);
        }
    }

    private static String[] with(String[] common, String command, String... more) {
        return Stream.of(List.of(command), List.of(common), List.of(more))
                .flatMap(List::stream)
                .toArray(String[]::new);
    }

    @Test
    void an_executor_dropped_into_a_folder_runs_its_tasks() throws Exception {
        Path plugins = Files.createDirectory(folder.resolve("plugins"));
        jarOf(ShellExecutorProvider.class, plugins.resolve("shell-executor.jar"));
        try (Cli.Running slave = new Cli.Running(
                Cli.start(ENVIRONMENT, folder, "slave", "--port", "0", "--plugins", plugins.toString()))) {
            int port = URI.create(slave.await("listening on ")).getPort();
            assertThat(slave.await("executor shell: ")).startsWith("available");
            Ended ended = Cli.ended(
                    new ProcessBuilder(
                                    Cli.PYTHON,
                                    "-c",
                                    "import json,sys,urllib.request as u\n"
                                            + "r=u.Request('http://127.0.0.1:%s/api/execute' % sys.argv[1],"
                                            + "json.dumps({'command':'echo $((40+2))','runtime':'shell'}).encode(),"
                                            + "{'Authorization':'Bearer '+sys.argv[2],'Content-Type':'application/json'})\n"
                                            + "print(json.load(u.urlopen(r)))",
                                    String.valueOf(port),
                                    TOKEN)
                            .start(),
                    "");
            assertThat(ended.err()).isEmpty();
            assertThat(ended.out()).contains("'output': '42\\n'", "'method': 'shell'");
        }
    }

    private static void jarOf(Class<?> type, Path jar) throws Exception {
        Path built =
                Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
        if (Files.isRegularFile(built)) {
            Files.copy(built, jar);
            return;
        }
        try (OutputStream out = Files.newOutputStream(jar);
                JarOutputStream zip = new JarOutputStream(out);
                Stream<Path> files = Files.walk(built)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                zip.putNextEntry(new JarEntry(built.relativize(file).toString()));
                Files.copy(file, zip);
                zip.closeEntry();
            }
        }
    }

    @Test
    void a_master_tells_of_every_change_and_has_a_webhook_told() throws Exception {
        Queue<String> posted = new ConcurrentLinkedQueue<>();
        HttpServer hook = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        hook.createContext("/", exchange -> {
            posted.add(exchange.getRequestHeaders().getFirst("D8-Signature")
                    + new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8));
            exchange.sendResponseHeaders(204, -1);
            exchange.close();
        });
        hook.start();
        Files.writeString(folder.resolve(".env"), "D8_WEBHOOK_SECRET=" + TOKEN + "\n");
        try (Cli.Running slave = new Cli.Running(
                        Cli.start(ENVIRONMENT, folder, "slave", "--port", "0", "--executors", "python"));
                Cli.Running master = new Cli.Running(
                        watching(slave, "http://127.0.0.1:" + hook.getAddress().getPort()))) {
            assertThat(master.await(" pi ")).isEqualTo("UNKNOWN -> ALIVE: it answers");
            assertThat(master.await(" nobody ")).startsWith("UNKNOWN -> DEAD: cannot reach");
            Ended ended = master.terminate();
            assertThat(ended.exit()).isZero();
            assertThat(ended.err()).doesNotContain(TOKEN);
            assertThat(String.join("", posted))
                    .startsWith("t=")
                    .contains("\"slave\":\"pi\"", "\"to\":\"alive\"", "\"slave\":\"nobody\"", "\"to\":\"dead\"");
        } finally {
            hook.stop(0);
        }
    }

    private Process watching(Cli.Running slave, String hook) throws IOException {
        URI address = URI.create(slave.await("listening on "));
        Path file = Files.writeString(
                folder.resolve("slaves"), "# ours\n\npi=" + address.getAuthority() + " arm64 # the small one\n");
        return Cli.start(
                ENVIRONMENT,
                folder,
                "master",
                "--slaves-file",
                file.toString(),
                "--slave",
                "nobody=127.0.0.1:1",
                "--notify-webhook",
                hook);
    }

    @Test
    void a_master_without_slaves_or_with_a_malformed_one_says_so() throws Exception {
        assertThat(Cli.run(Map.of(), folder, "", "master").err()).contains("no slave: --slave ID=HOST:PORT");
        assertThat(Cli.run(Map.of(), folder, "", "master", "--slave", "pi").err())
                .contains("expected: ID=HOST:PORT");
    }
}
