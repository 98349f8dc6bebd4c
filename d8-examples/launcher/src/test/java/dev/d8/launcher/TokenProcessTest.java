package dev.d8.launcher;

import static dev.d8.launcher.Cli.TOKEN;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A slave that knows several tokens, from the environment through the script {@code ./d8}, and from a file. */
@Timeout(180)
class TokenProcessTest {

    private static final String PREVIOUS = "previous-0123456789abcdef0123456789";
    private static final String READ = "read-0123456789abcdef0123456789abcdef";

    @TempDir
    private Path folder;

    /** The script beside a jar that only names the class path, with a JVM that makes no archive of classes. */
    private ProcessBuilder script(String... args) throws IOException {
        Path script = folder.resolve("d8");
        Files.copy(Path.of("../../d8"), script, StandardCopyOption.COPY_ATTRIBUTES);
        Manifest manifest = new Manifest();
        Attributes main = manifest.getMainAttributes();
        main.put(Attributes.Name.MANIFEST_VERSION, "1.0");
        main.put(Attributes.Name.MAIN_CLASS, "dev.d8.launcher.Main");
        main.put(
                Attributes.Name.CLASS_PATH,
                Arrays.stream(Cli.classPath().split(File.pathSeparator))
                        .map(entry -> Path.of(entry).toUri().toString())
                        .collect(Collectors.joining(" ")));
        try (OutputStream out = Files.newOutputStream(folder.resolve("d8.jar"))) {
            new JarOutputStream(out, manifest).close();
        }
        Path java = Files.createDirectory(folder.resolve("bin")).resolve("java");
        Files.writeString(
                java,
                "#!/bin/bash\n[[ \" $*\" != *ArchiveClassesAtExit* ]] || exit 0\nexec "
                        + Path.of(System.getProperty("java.home"), "bin", "java") + " \"$@\"\n");
        Files.setPosixFilePermissions(java, PosixFilePermissions.fromString("rwxr-xr-x"));
        ProcessBuilder builder = new ProcessBuilder(script.toString()).directory(folder.toFile());
        builder.command().addAll(List.of(args));
        builder.environment().put("JAVA_HOME", folder.toString());
        return builder;
    }

    private static HttpResponse<String> send(URI slave, String path, String token, String... body) throws Exception {
        HttpRequest.Builder request =
                HttpRequest.newBuilder(slave.resolve(path)).header("Authorization", "Bearer " + token);
        for (String one : body) {
            request.POST(HttpRequest.BodyPublishers.ofString(one));
        }
        return HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    private static int slots(URI slave, String token) throws Exception {
        return send(slave, "/api/slots", token).statusCode();
    }

    @Test
    void the_script_hands_three_tokens_over_and_leaves_none_in_the_environment() throws Exception {
        ProcessBuilder builder = script("slave", "--port", "0", "--executors", "python", "--audit-log", "audit.log");
        builder.environment()
                .putAll(Map.of("SLAVE_TOKEN", TOKEN, "SLAVE_TOKEN_PREVIOUS", PREVIOUS, "SLAVE_READ_TOKEN", READ));
        builder.environment().putAll(Map.of("D8_WEBHOOK_SECRET", "a master's", "D8_TELEGRAM_TOKEN", "a master's"));
        try (Cli.Running slave = new Cli.Running(builder.start())) {
            URI uri = URI.create(slave.await("listening on "));
            assertThat(Files.readString(Path.of("/proc/" + slave.process.pid() + "/environ")))
                    .contains("JAVA_HOME=")
                    .doesNotContain("TOKEN", "SECRET", TOKEN, PREVIOUS, READ, "a master's");
            String program = "{\"command\":\"import os; print(sorted(n for n in os.environ if 'TOKEN' in n))\"}";
            assertThat(send(uri, "/api/execute", PREVIOUS, program).body()).contains("\"output\":\"[]\\n\"");
            assertThat(send(uri, "/api/execute", READ, program).statusCode()).isEqualTo(403);
            assertThat(slots(uri, TOKEN)).isEqualTo(200);
            assertThat(slots(uri, READ)).isEqualTo(200);
            assertThat(slots(uri, "wrong")).isEqualTo(401);
            assertThat(slave.terminate().err()).doesNotContain(TOKEN, PREVIOUS, READ);
            assertThat(Files.readAllLines(folder.resolve("audit.log")))
                    .satisfiesExactly(
                            started -> assertThat(started).contains("\"event\":\"started\"", "\"boot_id\":"),
                            task -> assertThat(task).contains("\"event\":\"accepted\",\"caller\":\"previous\""),
                            end -> assertThat(end).contains("\"event\":\"finished\"", "\"exit_code\":0"),
                            no -> assertThat(no).contains("\"turned_away\",\"caller\":\"read\"", "\"forbidden\""),
                            wrong -> assertThat(wrong).contains("\"event\":\"turned_away\"", "\"unauthorized\""),
                            stopped -> assertThat(stopped).contains("\"event\":\"stopped\""))
                    .noneMatch(line -> line.contains(TOKEN) || line.contains(PREVIOUS) || line.contains(READ));
        }
    }

    @Test
    void a_master_gets_the_secrets_of_its_notices_from_the_script_and_says_which_it_lacks() throws Exception {
        ProcessBuilder builder = script(
                "master",
                "--slave",
                "pi=127.0.0.1:1",
                "--notify-webhook",
                "http://[::1]:1/",
                "--notify-telegram",
                "-100");
        builder.environment().putAll(Map.of("SLAVE_TOKEN", TOKEN, "D8_WEBHOOK_SECRET", TOKEN));
        Cli.Ended ended = Cli.ended(builder.start(), "");
        assertThat(ended.err().strip())
                .isEqualTo(
                        "d8: --notify-telegram: D8_TELEGRAM_TOKEN is not set (expected: in the environment or in .env)");
        assertThat(ended.exit()).isEqualTo(2);
    }

    @Test
    void tokens_in_a_file_are_changed_while_the_slave_runs() throws Exception {
        Path file = Files.writeString(folder.resolve("token"), TOKEN + "\n");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
        try (Cli.Running slave = new Cli.Running(Cli.start(
                Map.of("SLAVE_READ_TOKEN", READ),
                folder,
                "slave",
                "--port",
                "0",
                "--executors",
                "python",
                "--token-file",
                file.toString(),
                "--audit-log",
                "/dev/full"))) {
            URI uri = URI.create(slave.await("listening on "));
            assertThat(slots(uri, TOKEN)).isEqualTo(200);
            Files.writeString(file, "# since today\n" + PREVIOUS + " execute ci\n");
            assertThat(slots(uri, PREVIOUS)).isEqualTo(200);
            assertThat(slots(uri, TOKEN)).isEqualTo(401);
            assertThat(slots(uri, READ)).isEqualTo(200);
            assertThat(send(uri, "/api/execute", PREVIOUS, "{\"command\":\"print(55)\"}")
                            .body())
                    .contains("55");
            assertThat(slave.terminate().err())
                    .contains("took the changed")
                    .containsOnlyOnce("--audit-log: /dev/full cannot be written")
                    .doesNotContain(TOKEN, PREVIOUS);
        }
    }
}
