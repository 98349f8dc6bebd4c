package dev.d8.executor.docker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.github.dockerjava.api.DockerClient;
import dev.d8.Invocation;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.Availability.Unavailable;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** An engine that ends, comes back and fills up: one of this test's own, on a small disk in memory. Needs root. */
@Timeout(180)
@Tag("other-runtime") // What it tests is the engine.
class EngineTroubleTest {

    private static final Path SCRIPT =
            Path.of("../scripts/docker-engine").toAbsolutePath().normalize();
    private static final long DISK_MEGABYTES = 160;

    private static Path run;
    private static Path disk;
    private static DockerExecutor executor;

    @BeforeAll
    static void startEngine() throws Exception {
        TestEngine.executor(Map.of("pool", "0")).close(); // Else there is nothing to copy the image from.
        assumeTrue(System.getProperty("user.name").equals("root"), "needs root");
        run = Files.createTempDirectory(Path.of("/run"), "d8-trouble-");
        disk = Files.createDirectory(run.resolve("disk"));
        command("mount", "-t", "tmpfs", "-o", "size=" + DISK_MEGABYTES + "m", "d8-trouble", disk.toString());
        engine("start");
        try (DockerClient from = TestEngine.client();
                DockerClient to = DockerClients.of(Optional.of(host())).control();
                InputStream image = from.saveImageCmd(TestEngine.image()).exec()) {
            to.loadImageCmd(image).exec();
        }
        executor = new DockerExecutor(TestEngine.settings(Map.of("host", host(), "pool", "1")));
    }

    @AfterAll
    static void stopEngine() throws Exception {
        if (executor != null) {
            executor.close();
        }
        if (run != null) {
            engine("stop");
            command("umount", "-l", disk.toString());
            command("rm", "-rf", "--one-file-system", run.toString());
        }
    }

    private static String host() {
        return "unix://" + run.resolve("docker.sock");
    }

    private static void engine(String what) throws Exception {
        command(SCRIPT.toString(), what);
    }

    private static void command(String... words) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(words).redirectErrorStream(true);
        builder.environment().put("D8_ENGINE_RUN", String.valueOf(run));
        builder.environment().put("D8_ENGINE_DATA", disk + "/data");
        Path log = Files.createTempFile("d8-trouble", ".log");
        Process process = builder.redirectOutput(log.toFile()).start();
        assertThat(process.waitFor(90, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as(Files.readString(log)).isZero();
        Files.delete(log);
    }

    private static ExecutionOutcome execute(String program) throws InterruptedException {
        return executor.execute(Invocation.python(program).build(), ExecutionListener.NONE);
    }

    private static void awaitAvailable() {
        assertThat(TestEngine.awaited(executor, Available.class)).isInstanceOf(Available.class);
    }

    @Test
    void an_engine_that_is_restarted_loses_its_tasks_and_nothing_else() throws Exception {
        awaitAvailable();
        CountDownLatch printed = new CountDownLatch(1);
        CompletableFuture<ExecutionOutcome> end = new CompletableFuture<>();
        Thread task = new Thread(() -> {
            try {
                end.complete(executor.execute(
                        Invocation.python("import time\nprint('so far', flush=True)\ntime.sleep(1000)")
                                .build(),
                        new ExecutionListener() {
                            @Override
                            public void output(Stream stream, byte[] chunk) {
                                printed.countDown();
                            }
                        }));
            } catch (InterruptedException | RuntimeException e) {
                end.completeExceptionally(e);
            }
        });
        task.start();
        assertThat(printed.await(30, TimeUnit.SECONDS)).isTrue();

        engine("stop");

        ExecutionOutcome lost = end.get(30, TimeUnit.SECONDS);
        assertThat(lost.termination()).isEqualTo(Termination.of(Status.EXECUTOR_LOST));
        assertThat(lost.stdout().text()).isEqualTo("so far\n");
        assertThat(TestEngine.reason(TestEngine.awaited(executor, Unavailable.class)))
                .contains("no Docker engine", "docker.sock");
        ExecutionOutcome refused = execute("print('never')");
        assertThat(refused.termination()).isEqualTo(Termination.of(Status.START_FAILED));
        assertThat(refused.message()).get().asString().contains("no Docker engine", "docker.sock");

        engine("start");

        awaitAvailable();
        assertThat(execute("print('again')").stdout().text()).isEqualTo("again\n");
    }

    @Test
    void a_full_disk_is_told_in_the_engines_words_and_gone_with_its_cause() throws Exception {
        awaitAvailable();
        Path rubbish = disk.resolve("rubbish");
        fill(rubbish);
        ExecutionOutcome outcome = execute("print('from the pool')");
        for (int i = 0; i < 5 && outcome.termination().success(); i++) {
            outcome = execute("print('not from the pool')");
        }
        assertThat(outcome.termination()).isEqualTo(Termination.of(Status.START_FAILED));
        assertThat(outcome.message()).get().asString().contains("did not start a container", "no space left on device");

        Files.delete(rubbish);
        assertThat(execute("print('room')").stdout().text()).isEqualTo("room\n");
    }

    private static void fill(Path file) throws IOException {
        try (OutputStream out = Files.newOutputStream(file)) {
            byte[] block = new byte[4096];
            while (true) {
                out.write(block);
            }
        } catch (IOException e) {
            assertThat(e).hasMessageContaining("No space left");
        }
    }
}
