package dev.d8.launcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.launcher.Cli.Ended;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A slave beyond loopback with what {@code keygen} made, and its masters. */
@Timeout(180)
@Tag("other-runtime") // SlaveProcessTest tells whether this JVM will do.
class TlsProcessTest {

    @TempDir
    private static Path folder;

    @SuppressWarnings("NullAway.Init") // Set before all tests.
    private static Ended keygen;

    @SuppressWarnings("NullAway.Init") // Likewise.
    private static Cli.Running slave;

    private static int port;

    @BeforeAll
    static void start() throws Exception {
        keygen = d8("keygen", "--dir", "keys", "--host", "slave.example,10.1.2.3");
        assertThat(keygen.err()).isEmpty();
        slave = new Cli.Running(Cli.start(
                Map.of(),
                folder,
                "slave",
                "--host",
                "0.0.0.0",
                "--port",
                "0",
                "--token-file",
                "keys/token",
                "--tls-cert",
                "keys/cert.pem",
                "--tls-key",
                "keys/key.pem",
                "--tls-client-ca",
                "keys/cert.pem",
                "--executors",
                "python"));
        URI uri = URI.create(slave.await("listening on "));
        assertThat(uri.getScheme()).isEqualTo("https");
        port = uri.getPort();
    }

    @AfterAll
    static void stop() throws Exception {
        try (Cli.Running stopping = slave) {
            Ended ended = stopping.terminate();
            assertThat(ended.exit()).isZero();
            assertThat(ended.err())
                    .doesNotContain(
                            Files.readString(folder.resolve("keys/token")).strip())
                    .doesNotContain("Exception", "no TLS");
        }
    }

    private static Ended d8(String... args) throws Exception {
        return Cli.run(Map.of(), folder, "", args);
    }

    private static final String[] IDENTITY = {
        "--tls-ca", "keys/cert.pem", "--tls-client-cert", "keys/cert.pem", "--tls-client-key", "keys/key.pem"
    };

    private static Ended ask(String command, String address, String... more) throws Exception {
        return d8(java.util.stream.Stream.of(
                        new String[] {command, "--slave", address, "--token-file", "keys/token"}, IDENTITY, more)
                .flatMap(java.util.Arrays::stream)
                .toArray(String[]::new));
    }

    @Test
    void keygen_says_what_to_do_next_and_overwrites_nothing() throws Exception {
        assertThat(keygen.exit()).isZero();
        assertThat(keygen.out())
                .contains("good for slave.example, 10.1.2.3, localhost, 127.0.0.1, ::1, until 20")
                .contains("--tls-cert keys/cert.pem --tls-key keys/key.pem")
                .contains("--slave https://slave.example:7600")
                .contains("--tls-ca keys/cert.pem");
        Path token = folder.resolve("keys/token");
        assertThat(token).content().matches("[0-9a-f]{64}\n");
        for (String secret : new String[] {"token", "key.pem"}) {
            assertThat(PosixFilePermissions.toString(
                            Files.getPosixFilePermissions(folder.resolve("keys").resolve(secret))))
                    .isEqualTo("rw-------");
        }
        String before = Files.readString(token);
        Ended again = d8("keygen", "--dir", "keys");
        assertThat(again.exit()).isEqualTo(2);
        assertThat(again.err()).contains("keys/token is there already");
        assertThat(token).content().isEqualTo(before);

        Ended odd = d8("keygen", "--dir", "other", "--host", "no host");
        assertThat(odd.exit()).isEqualTo(2);
        assertThat(odd.err()).contains("--host: no certificate for no host");
    }

    @Test
    void every_command_of_a_master_reaches_it() throws Exception {
        assertThat(ask("run", "https://127.0.0.1:" + port, "print(55)")).isEqualTo(new Ended(0, "55\n", ""));
        // With settings of TLS nothing goes out in the clear, said or not.
        assertThat(ask("run", "localhost:" + port, "print(55)")).isEqualTo(new Ended(0, "55\n", ""));
        assertThat(ask("health", "127.0.0.1:" + port).out()).contains("status    healthy");
        assertThat(ask("version", "https://127.0.0.1:" + port).out()).contains("commit    ");
        try (Cli.Running master = new Cli.Running(Cli.start(
                Map.of(),
                folder,
                "master",
                "--slave",
                "one=https://127.0.0.1:" + port,
                "--token-file",
                "keys/token",
                "--tls-ca",
                "keys/cert.pem",
                "--tls-client-cert",
                "keys/cert.pem",
                "--tls-client-key",
                "keys/key.pem"))) {
            assertThat(master.await("one ")).contains("ALIVE");
        }
    }

    @Test
    void who_lacks_something_is_told_what() throws Exception {
        String address = "https://127.0.0.1:" + port;
        Ended untrusting = d8("run", "--slave", address, "--token-file", "keys/token", "print(55)");
        assertThat(untrusting.exit()).isEqualTo(3);
        assertThat(untrusting.err())
                .contains("no CA that is trusted here", "(--tls-ca)")
                .doesNotContain("\tat ");
        Ended nobody = d8("health", "--slave", address, "--tls-ca", "keys/cert.pem");
        assertThat(nobody.exit()).isEqualTo(3);
        assertThat(nobody.err()).contains("wants a certificate of its callers", "(--tls-client-cert)");
        Ended clear = d8("health", "--slave", "http://127.0.0.1:" + port);
        assertThat(clear.exit()).isEqualTo(3);
        assertThat(clear.err()).contains("speaks TLS");
    }

    @Test
    void a_task_does_not_see_the_key() throws Exception {
        Ended ended =
                ask("run", "127.0.0.1:" + port, "print(repr(open('" + folder.resolve("keys/key.pem") + "').read()))");
        assertThat(ended).isEqualTo(new Ended(0, "''\n", ""));
    }

    @Test
    void a_key_that_others_can_read_is_refused() throws Exception {
        Path open = Files.copy(folder.resolve("keys/key.pem"), folder.resolve("open.pem"));
        Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rw-r--r--"));
        Ended ended = d8("slave", "--port", "0", "--tls-cert", "keys/cert.pem", "--tls-key", "open.pem");
        assertThat(ended.exit()).isEqualTo(2);
        assertThat(ended.err()).contains("(--tls-key)", "chmod 600 open.pem");
    }
}
