package dev.d8.launcher;

import static dev.d8.launcher.Cli.TOKEN;
import static org.assertj.core.api.Assertions.assertThat;

import com.github.dockerjava.api.command.InspectContainerResponse;
import dev.d8.NoSlaveException;
import dev.d8.SlaveUnreachableException;
import dev.d8.Slots;
import dev.d8.Task;
import dev.d8.TaskResult;
import dev.d8.Termination.Status;
import dev.d8.Token;
import dev.d8.UnknownOutcomeException;
import dev.d8.UnknownOutcomeException.Reason;
import dev.d8.master.ConnectionPolicy;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import dev.d8.master.SlaveStatus;
import dev.d8.spi.Options;
import dev.d8.version.VersionProvider;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.lifecycle.Startables;

/** Slaves in containers of the image that users get, and a master outside that loses them one way and the other. */
@Tag("other-runtime")
@Timeout(180)
class ContainerSlaveTest {

    private static final String COMMIT = "c0ffee0123456789c0ffee0123456789c0ffee01";
    private static final long PATIENCE_SECONDS = 60;
    private static final Task FOREVER = Task.python("import time; time.sleep(1000)");

    /** Looks wherever a task may for the token, and says where it is. */
    private static final String SEARCH = """
            import glob, os, sys
            token = sys.stdin.read().encode()
            paths = glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline")
            for top in "/opt", "/home", "/etc", "/run", "/tmp":
                for folder, _, files in os.walk(top):
                    paths += [os.path.join(folder, name) for name in files]
            for path in paths:
                try:
                    found = os.path.isfile(path) and token in open(path, "rb").read()
                except OSError:
                    continue
                if found or path.endswith(".env"):
                    print(path)
            """;

    @TempDir
    private static Path context;

    @SuppressWarnings("NullAway.Init") // Set before all tests.
    private static SlaveImage image;

    /** Impatient, so that nobody waits long for a slave that is gone; and it looks at slaves only when it is asked to. */
    private final SlaveManager master = SlaveManager.builder()
            .token(Token.of(TOKEN))
            .version(VersionProvider.configured(COMMIT))
            .options(Options.of(Map.of("http.connect_timeout", "2")))
            .healthInterval(Duration.ofHours(1))
            .connectionPolicy(new ConnectionPolicy(
                    1,
                    Duration.ofMillis(1),
                    Duration.ofSeconds(5),
                    Duration.ofSeconds(5),
                    Duration.ofSeconds(2),
                    1000,
                    Duration.ofSeconds(1),
                    Duration.ZERO,
                    Duration.ofSeconds(30)))
            .build();

    @BeforeAll
    @Timeout(180)
    static void build() throws Exception {
        image = SlaveImage.build(context, COMMIT, TOKEN);
    }

    @AfterAll
    static void remove() {
        if (image != null) {
            image.close();
        }
    }

    @AfterEach
    void stop() {
        master.close();
    }

    private Slave register(String id, GenericContainer<?> container) {
        String ip = SlaveImage.client()
                .inspectContainerCmd(container.getContainerId())
                .exec()
                .getNetworkSettings()
                .getNetworks()
                .values()
                .iterator()
                .next()
                .getIpAddress();
        return master.register(id, URI.create("http://" + ip + ":7600"))
                .orTimeout(PATIENCE_SECONDS, TimeUnit.SECONDS)
                .join();
    }

    private TaskResult run(String id, Task task) {
        return master.execute(id, task)
                .orTimeout(PATIENCE_SECONDS, TimeUnit.SECONDS)
                .join();
    }

    /** Sends a task that never ends, and returns once the slave has it. */
    private CompletableFuture<TaskResult> runForever(String id) {
        CompletableFuture<TaskResult> result = master.execute(id, FOREVER);
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
        Slots slots;
        do {
            assertThat(System.nanoTime()).as("it arrives").isLessThan(until);
            assertThat(check(id)).isEqualTo(SlaveStatus.ALIVE);
            slots = slave(id).health().orElseThrow().slots().orElseThrow();
        } while (slots.free() == slots.total());
        return result;
    }

    /** Checks a slave until it answers: the kernel takes an address for unreachable a moment longer than it is. */
    private void awaitAlive(String id) {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
        while (check(id) != SlaveStatus.ALIVE) {
            assertThat(System.nanoTime()).as(slave(id).reason()).isLessThan(until);
        }
    }

    private SlaveStatus check(String id) {
        return master.checkHealth(id)
                .orTimeout(PATIENCE_SECONDS, TimeUnit.SECONDS)
                .join();
    }

    private Slave slave(String id) {
        return master.slave(id).orElseThrow();
    }

    private static Throwable failure(CompletableFuture<TaskResult> result) {
        try {
            return new AssertionError("not a failure: "
                    + result.orTimeout(PATIENCE_SECONDS, TimeUnit.SECONDS).join());
        } catch (CompletionException e) {
            return e.getCause() == null ? e : e.getCause();
        }
    }

    private static InspectContainerResponse.ContainerState state(GenericContainer<?> container) {
        return SlaveImage.client()
                .inspectContainerCmd(container.getContainerId())
                .exec()
                .getState();
    }

    @Test
    void a_master_tells_a_slave_that_is_cut_off_from_one_that_is_killed() {
        try (GenericContainer<?> away = image.slave(TOKEN);
                GenericContainer<?> killed = image.slave(TOKEN)) {
            Startables.deepStart(away, killed).join();
            for (Slave slave : new Slave[] {register("away", away), register("killed", killed)}) {
                assertThat(slave.status()).isEqualTo(SlaveStatus.ALIVE);
                assertThat(slave.health().orElseThrow().version().commit()).isEqualTo(COMMIT);
                assertThat(run(slave.id(), Task.python("print(55)")).output()).isEqualTo("55\n");
            }

            // What is under way when a slave is killed is lost at once: the kernel says so for it.
            CompletableFuture<TaskResult> underWay = runForever("killed");
            SlaveImage.client().killContainerCmd(killed.getContainerId()).exec();
            assertThat(failure(underWay))
                    .isInstanceOfSatisfying(
                            UnknownOutcomeException.class,
                            lost -> assertThat(lost.reason()).isEqualTo(Reason.CONNECTION_LOST));
            assertThat(check("killed")).isEqualTo(SlaveStatus.DEAD);
            assertThat(slave("killed").reason()).contains("cannot reach");

            // Nobody says anything for one that is cut off: only time tells.
            assertThat(check("away")).isEqualTo(SlaveStatus.ALIVE);
            SlaveImage.client()
                    .disconnectFromNetworkCmd()
                    .withNetworkId(image.network())
                    .withContainerId(away.getContainerId())
                    .exec();
            Task brief = Task.builder(Task.PYTHON_CODE)
                    .with("command", "print(55)")
                    .timeout(Duration.ofSeconds(1))
                    .build();
            assertThat(failure(master.execute("away", brief)))
                    .isInstanceOfSatisfying(
                            UnknownOutcomeException.class,
                            lost -> assertThat(lost.reason()).isEqualTo(Reason.TIMEOUT));
            assertThat(check("away")).isEqualTo(SlaveStatus.DEAD);
            assertThat(state(away).getRunning()).isTrue();

            assertThat(failure(master.execute("away", brief)))
                    .isInstanceOf(SlaveUnreachableException.class)
                    .hasMessageContaining("away is dead: ");
            assertThat(failure(master.execute(brief)))
                    .isInstanceOf(NoSlaveException.class)
                    .hasMessageContainingAll("away: ", "killed: ");

            // It has taken no harm. Its address may be another one now.
            SlaveImage.client()
                    .connectToNetworkCmd()
                    .withNetworkId(image.network())
                    .withContainerId(away.getContainerId())
                    .exec();
            assertThat(master.unregister("away")).isTrue();
            register("away", away);
            awaitAlive("away");
            assertThat(run("away", Task.python("print(55)")).output()).isEqualTo("55\n");
        }
    }

    @Test
    void a_slave_that_is_told_to_stop_answers_its_tasks_and_ends_with_0() {
        try (GenericContainer<?> container = image.slave(TOKEN)) {
            container.start();
            register("slave", container);
            CompletableFuture<TaskResult> underWay = runForever("slave");
            SlaveImage.client()
                    .stopContainerCmd(container.getContainerId())
                    .withTimeout(45) // As compose.yaml has it; then comes SIGKILL.
                    .exec();
            assertThat(underWay.orTimeout(PATIENCE_SECONDS, TimeUnit.SECONDS)
                            .join()
                            .termination()
                            .status())
                    .isEqualTo(Status.CANCELLED);
            assertThat(state(container).getExitCodeLong()).isZero();
            assertThat(container.getLogs())
                    .containsSubsequence("told to stop", "stopped")
                    .doesNotContain(TOKEN);
        }
    }

    @Test
    void a_task_has_the_containers_walls_around_it_and_finds_no_token() {
        try (GenericContainer<?> container = image.slave(TOKEN)) {
            container.start();
            register("slave", container);
            assertThat(state(container).getHealth().getStatus()).isEqualTo("healthy");

            TaskResult result = run("slave", Task.python("import os; print(os.getuid(), os.getgid())"));
            assertThat(result.output()).isEqualTo("7600 7600\n");
            assertThat(result.method()).isEqualTo("python");
            // The engine's seccomp profile lets nobody have namespaces, and there are no capabilities left to drop.
            assertThat(result.executor().orElseThrow().isolation())
                    .containsExactly("session", "subreaper", "rlimits", "no_new_privs");

            assertThat(run("slave", Task.python("open('/home/d8/new', 'w')")).error())
                    .contains("Read-only file system");
            assertThat(run("slave", Task.python("open('/tmp/new', 'w').close()"))
                            .success())
                    .isTrue();
            Task search = Task.builder(Task.PYTHON_CODE)
                    .with("command", SEARCH)
                    .with("stdin", TOKEN)
                    .build();
            TaskResult searched = run("slave", search);
            assertThat(searched.error()).isEmpty();
            assertThat(searched.output()).isEmpty();
            // What the engine gives the container's environment to shows it to nobody who runs as the same user.
            for (String program : new String[] {"/opt/d8/health", "/usr/bin/java"}) {
                assertThat(run("slave", Task.python("open('" + program + "', 'rb')"))
                                .error())
                        .contains("PermissionError");
            }
        }
    }

    @Test
    void the_image_knows_no_token_and_no_user_that_is_root() {
        var config = SlaveImage.client().inspectImageCmd(image.name()).exec().getConfig();
        assertThat(config).isNotNull();
        assertThat(String.join("\n", config.getEnv()))
                .contains("D8_COMMIT=" + COMMIT)
                .doesNotContain("TOKEN", TOKEN);
        assertThat(config.getUser()).isEqualTo("7600:7600");
    }
}
