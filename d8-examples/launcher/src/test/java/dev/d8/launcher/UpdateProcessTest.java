package dev.d8.launcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.launcher.Cli.Ended;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.eclipse.jgit.api.Git;
import org.eclipse.jgit.api.errors.GitAPIException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A master and a slave as processes: the slave stands in a clone of what the master stands in, some commits behind. */
@Tag("other-runtime")
@Timeout(180)
class UpdateProcessTest {

    private static final String ADMIN = "admin-0123456789abcdef0123456789abcdef";
    private static final String CALLER = "caller-0123456789abcdef0123456789abcd";

    @TempDir
    private Path folder;

    private Path origin = Path.of("");
    private Path clone = Path.of("");
    private Path tokens = Path.of("");
    private String before = "";
    private String after = "";

    @BeforeEach
    void make() throws Exception {
        QuietGit.install();
        origin = folder.resolve("origin");
        clone = folder.resolve("clone");
        try (Git git = Git.init()
                .setDirectory(origin.toFile())
                .setInitialBranch("main")
                .call()) {
            before = commit(git, "one");
            Git.cloneRepository()
                    .setURI(origin.toUri().toString())
                    .setDirectory(clone.toFile())
                    .call()
                    .close();
            after = commit(git, "two");
        }
        tokens = Files.writeString(folder.resolve("tokens"), ADMIN + " admin boss\n" + CALLER + "\n");
        Files.setPosixFilePermissions(tokens, PosixFilePermissions.fromString("rw-------"));
    }

    private static String commit(Git git, String text) throws IOException, GitAPIException {
        Files.writeString(git.getRepository().getWorkTree().toPath().resolve("code.txt"), text);
        git.add().addFilepattern(".").call();
        return git.commit()
                .setMessage(text)
                .setAuthor("a", "a@example.org")
                .setCommitter("a", "a@example.org")
                .setSign(false)
                .call()
                .name();
    }

    private Process slave(int port) throws IOException {
        return Cli.start(
                Map.of(),
                clone,
                "slave",
                "--port",
                String.valueOf(port),
                "--executors",
                "python",
                "--allow-update",
                "--token-file",
                tokens.toString());
    }

    /** Below those that the system hands out by itself, so that nobody gets it while the slave is away. */
    private static int freePort() {
        for (int port = 20_000 + (int) (ProcessHandle.current().pid() % 10_000); port < 32_000; port++) {
            try (ServerSocket socket = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
                return socket.getLocalPort();
            } catch (IOException e) {
                // Somebody has it.
            }
        }
        throw new AssertionError("no port is free");
    }

    @Test
    void a_master_has_a_slave_update_itself_and_sees_it_alive_once_it_was_started_again() throws Exception {
        int port = freePort();
        try (Cli.Running first = new Cli.Running(slave(port))) {
            assertThat(first.await("version ")).contains("commit " + before);
            try (Cli.Running master = new Cli.Running(Cli.start(
                    Map.of(),
                    origin,
                    "master",
                    "--version-policy",
                    "update",
                    "--token-file",
                    tokens.toString(),
                    "--slave",
                    "pi=127.0.0.1:" + port))) {
                assertThat(master.await("UNKNOWN -> VERSION_MISMATCH: ")).contains(before.substring(0, 12));
                assertThat(first.process.waitFor(60, TimeUnit.SECONDS)).isTrue();
                assertThat(first.process.exitValue()).isEqualTo(75);
                assertThat(first.errors())
                        .contains("updated from " + before + " to " + after + ", for boss at 127.0.0.1")
                        .contains("ends with 75")
                        .doesNotContain(ADMIN);
                try (Cli.Running second = new Cli.Running(slave(port))) {
                    assertThat(second.await("version ")).contains("commit " + after + ", branch main");
                    assertThat(master.await(" -> ALIVE: ")).isEqualTo("it answers");
                    assertThat(second.terminate().exit()).isZero();
                }
                assertThat(master.terminate().err())
                        .containsOnlyOnce("slave pi: updated itself from " + before + " to " + after)
                        .doesNotContain(ADMIN);
            }
        }
        assertThat(clone.resolve("code.txt")).hasContent("two");
    }

    @Test
    void an_update_that_was_cut_off_is_put_right_before_anything_is_served() throws Exception {
        Files.writeString(clone.resolve("code.txt"), "half of");
        Files.writeString(clone.resolve(".git/d8-update"), before + " " + before + "\n");
        Ended ended = Cli.ended(slave(0), "");
        assertThat(ended.exit()).isEqualTo(75);
        assertThat(ended.out()).isEmpty();
        assertThat(ended.err()).contains("was cut off; the checkout is whole again, at " + before);
        assertThat(clone.resolve("code.txt")).hasContent("one");
    }

    @Test
    void what_could_not_work_is_refused_at_the_start() throws Exception {
        assertThat(Cli.run(Map.of(), clone, "", "slave", "--port", "0", "--allow-update", "--commit", "abcdef1")
                        .err())
                .contains("d8: --allow-update: the commit is set by --commit or D8_COMMIT");
        Ended once = Cli.run(Map.of(), clone, "", "run", "--slave", "127.0.0.1:1", "--version-policy", "update", "x");
        assertThat(once.exit()).isEqualTo(2);
        assertThat(once.err()).contains("--version-policy: update (expected: refuse, warn or ignore");
    }
}
