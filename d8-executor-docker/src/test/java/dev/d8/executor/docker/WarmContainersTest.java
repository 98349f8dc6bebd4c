package dev.d8.executor.docker;

import static org.assertj.core.api.Assertions.assertThat;

import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.api.command.InspectVolumeResponse;
import com.github.dockerjava.api.exception.ConflictException;
import com.github.dockerjava.api.exception.NotFoundException;
import com.github.dockerjava.api.model.Container;
import dev.d8.Invocation;
import dev.d8.Limits;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** On a real engine, in containers that were there before the task. */
@Timeout(120)
@Tag("other-runtime")
class WarmContainersTest {

    private static final String SLAVE = "test-" + UUID.randomUUID();
    private static final String OTHER = "d8/test-" + UUID.randomUUID() + ":1";
    private static final int POOL = 2;

    @TempDir
    static Path scratch;

    private static final MeterRegistry METERS = new SimpleMeterRegistry();

    private static DockerExecutor executor;
    private static DockerClient client;

    @BeforeAll
    static void start() throws Exception {
        Files.setPosixFilePermissions(scratch, PosixFilePermissions.fromString("rwxrwxrwx"));
        executor = TestEngine.executor(Map.of(
                "slave_id",
                SLAVE,
                "pool",
                String.valueOf(POOL),
                "images",
                OTHER,
                "writable_mounts",
                scratch.toString()));
        executor.bindTo(METERS);
        client = TestEngine.client();
        client.tagImageCmd(TestEngine.image(), OTHER.replace(":1", ""), "1").exec();
    }

    @AfterAll
    static void nothing_is_left() throws Exception {
        if (client != null) {
            try (DockerClient c = client) {
                executor.close();
                assertThat(TestEngine.awaitContainers(c, SLAVE, 0)).isEmpty();
                c.removeImageCmd(OTHER).withNoPrune(true).exec();
            }
        }
    }

    /** So that what a test takes is there, whatever the last one has asked for. */
    @BeforeEach
    void awaitUsual() throws InterruptedException {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        for (int warm = 0; warm < POOL; ) { // What has been asked for that often is all that is kept.
            assertThat(System.nanoTime())
                    .as("the usual containers are made ahead")
                    .isLessThan(until);
            TestEngine.awaitParked(METERS, POOL);
            warm = run(task("")).executor().warm() ? warm + 1 : 0;
        }
        TestEngine.awaitParked(METERS, POOL);
    }

    private static Invocation.Builder task(String source) {
        return Invocation.python(source).timeout(Duration.ofSeconds(60));
    }

    private static ExecutionOutcome run(Invocation.Builder task) throws InterruptedException {
        return executor.execute(task.build(), ExecutionListener.NONE);
    }

    private static List<String> volumes() {
        return client.listVolumesCmd().exec().getVolumes().stream()
                .map(InspectVolumeResponse::getName)
                .toList();
    }

    private static double starts(String kind) {
        return METERS.get("d8.docker.starts")
                .tag("start", kind)
                .functionCounter()
                .count();
    }

    @Test
    void a_task_finds_its_container_ready_and_brings_the_rest_along() throws InterruptedException {
        double before = starts("warm");
        ExecutionOutcome outcome = run(
                task("import os, sys\nprint(sys.argv, sys.stdin.read(), os.environ['GREETING'], os.environ['HOME'])")
                        .stdin("grüße")
                        .args(List.of("a", "b c"))
                        .env(Map.of("GREETING", "hello")));

        assertThat(outcome.stdout().text()).isEqualTo("['-c', 'a', 'b c'] grüße hello /tmp\n");
        assertThat(outcome.executor().warm()).isTrue();
        assertThat(outcome.executor().isolation()).contains("container", "no_network");
        assertThat(starts("warm")).isEqualTo(before + 1);
    }

    @Test
    void every_task_has_a_container_that_nobody_used_before() throws InterruptedException {
        String program = "import os\nprint(os.uname().nodename, os.listdir('/tmp'))\nopen('/tmp/left', 'w').close()";
        String first = run(task(program)).stdout().text();
        String second = run(task(program)).stdout().text();

        assertThat(first).endsWith(" []\n").isNotEqualTo(second);
        assertThat(second).endsWith(" []\n");
    }

    @Test
    void what_python_reads_at_its_start_is_there_at_its_start() throws InterruptedException {
        Invocation.Builder task = task("print(hash('a'))").env(Map.of("PYTHONHASHSEED", "7"));
        ExecutionOutcome first = run(task);

        assertThat(first.executor().warm()).isTrue();
        assertThat(run(task).stdout().text()).isEqualTo(first.stdout().text());
    }

    @Test
    void what_tasks_ask_for_is_soon_ready_too() throws InterruptedException {
        Invocation.Builder task = task("print(1)").limits(Limits.DEFAULT.withMemoryBytes(64 << 20));
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (!run(task).executor().warm()) {
            assertThat(System.nanoTime())
                    .as("a container of 64 MiB is made ahead")
                    .isLessThan(until);
        }
    }

    @Test
    void a_container_that_ended_while_it_waited_is_not_missed() throws InterruptedException {
        int killed = 0;
        for (Container container : TestEngine.containersOf(client, SLAVE)) {
            try {
                client.killContainerCmd(container.getId()).exec();
                killed++;
            } catch (NotFoundException | ConflictException e) {
                // The last test's, about to be removed.
            }
        }
        assertThat(killed).isGreaterThanOrEqualTo(POOL);
        assertThat(run(task("print(1)")).stdout().text()).isEqualTo("1\n");
    }

    @Test
    void a_task_may_ask_for_an_image_that_is_allowed_as_long_as_it_is_there() throws InterruptedException {
        Invocation.Builder other = task("print(1)").image(OTHER);
        assertThat(executor.objection(other.build())).isEmpty();
        assertThat(run(other).termination()).isEqualTo(Termination.OK);

        client.removeImageCmd(OTHER).withNoPrune(true).exec();
        try {
            ExecutionOutcome gone = run(other);
            assertThat(gone.termination()).isEqualTo(Termination.of(Status.START_FAILED));
            assertThat(gone.message()).get().asString().contains(OTHER + " is not on this machine", "docker pull");
        } finally {
            client.tagImageCmd(TestEngine.image(), OTHER.replace(":1", ""), "1").exec();
        }
    }

    @Test
    void a_working_dir_below_a_writable_root_can_be_written_and_that_is_said() throws Exception {
        double before = starts("cold");
        ExecutionOutcome outcome =
                run(task("open('out.txt', 'w').write('done')").workingDir(scratch.toString()));

        assertThat(outcome.termination()).isEqualTo(Termination.OK);
        assertThat(Files.readString(scratch.resolve("out.txt"))).isEqualTo("done");
        assertThat(outcome.executor().warm())
                .as("nothing with a directory is made ahead")
                .isFalse();
        assertThat(starts("cold")).isEqualTo(before + 1);
        assertThat(outcome.executor().isolation()).contains("working_dir_writable");
        assertThat(run(task("print(1)")).executor().isolation()).doesNotContain("working_dir_writable");
    }

    @Test
    void a_directory_that_is_not_open_is_left_to_other_executors() {
        assertThat(executor.objection(task("").workingDir("/etc").build()))
                .get()
                .asString()
                .contains("working_dir /etc", "docker.mounts");
    }

    @Test
    void an_operator_who_clears_up_volumes_does_no_harm() throws InterruptedException {
        Invocation.Builder cold =
                task("import socket; print(socket.gethostbyname('localhost'))").workingDir(scratch.toString());
        client.removeVolumeCmd("d8-hosts").exec();
        assertThat(run(cold).stdout().text()).isEqualTo("127.0.0.1\n");

        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (!volumes().contains("d8-hosts")) {
            assertThat(System.nanoTime()).as("the volume is laid anew").isLessThan(until);
            assertThat(executor.probe()).isNotNull(); // Has it looked for.
        }
    }

    @Test
    void the_agent_is_the_first_process_and_out_of_reach() throws InterruptedException {
        ExecutionOutcome outcome = run(task("""
                import os, signal
                print(os.getppid())
                for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM):
                    os.kill(1, number)
                for path in ('/proc/1/fd/1', '/proc/1/mem', '/proc/1/environ'):
                    try:
                        open(path, 'r+b' if path.endswith('mem') else 'rb')
                        print('opened', path)
                    except PermissionError:
                        pass
                print('still here')
                """));
        assertThat(outcome.stdout().text()).isEqualTo("1\nstill here\n");
        assertThat(outcome.termination()).isEqualTo(Termination.OK);
    }
}
