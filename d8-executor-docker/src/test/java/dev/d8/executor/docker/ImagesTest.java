package dev.d8.executor.docker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.github.dockerjava.api.command.BuildImageResultCallback;
import com.github.dockerjava.api.exception.NotFoundException;
import com.github.dockerjava.api.model.Container;
import com.github.dockerjava.api.model.HealthCheck;
import dev.d8.Invocation;
import dev.d8.spi.Availability.Unavailable;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.TimeSource;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What tasks may run on. On a real engine, but for the frozen one. */
@Timeout(120)
@Tag("other-runtime")
class ImagesTest {

    @TempDir
    Path temp;

    private final String name = "d8/test-" + UUID.randomUUID() + ":1";
    private final DockerClients clients = DockerClients.of(Optional.of(TestEngine.host()));
    private final ExecutorService workers = Executors.newCachedThreadPool();

    @BeforeAll
    static void requireEngine() {
        TestEngine.executor(Map.of("pool", "0")).close();
    }

    @AfterEach
    void close() {
        workers.shutdownNow();
        try (clients) {
            clients.control().removeImageCmd(name).withForce(true).exec();
        } catch (NotFoundException e) {
            // Not every test builds one.
        }
    }

    /** Builds an image on top of the tests' one. */
    private void build(String... lines) throws Exception {
        Files.writeString(
                temp.resolve("Dockerfile"), "FROM " + TestEngine.image() + "\n" + String.join("\n", lines) + "\n");
        clients.control()
                .buildImageCmd(temp.toFile())
                .withTags(Set.of(name))
                .withNetworkMode("none")
                .exec(new BuildImageResultCallback())
                .awaitImageId(60, TimeUnit.SECONDS);
    }

    @Test
    void an_image_whose_tasks_could_forge_their_results_is_refused() throws Exception {
        build("USER 0", "RUN [\"python3\", \"-c\", \"import _ctypes, os; os.remove(_ctypes.__file__)\"]");
        try (DockerExecutor executor = new DockerExecutor(TestEngine.settings(Map.of("image", name, "pool", "0")))) {
            assertThat(TestEngine.probed(executor)).isInstanceOf(Unavailable.class);
            assertThat(TestEngine.reason(executor.probe())).contains(name, "no ctypes that works", "python3-minimal");
        }
    }

    @Test
    void what_an_image_wants_for_volumes_lies_in_memory_and_nothing_there_can_be_executed() throws Exception {
        build("VOLUME [\"/data/\", \"/tmp\"]");
        try (DockerExecutor executor = TestEngine.executor(Map.of("image", name, "pool", "0", "tmp_bytes", "65536"))) {
            String mounts = executor.execute(Invocation.python("""
                                    open('/data/x', 'w').write('x')
                                    for line in open('/proc/mounts'):
                                        _, path, kind, options, *_ = line.split()
                                        if path in ('/data', '/tmp'):
                                            print(path, kind, *sorted(set(options.split(',')) & {'noexec', 'size=64k'}))
                                    """).build(), ExecutionListener.NONE)
                    .stdout()
                    .text();

            assertThat(mounts.lines())
                    .containsExactlyInAnyOrder("/data tmpfs noexec size=64k", "/tmp tmpfs noexec size=64k");
        }
    }

    @Test
    void an_image_has_no_say_in_what_else_runs_in_a_container() throws Exception {
        build("HEALTHCHECK CMD [\"python3\", \"-c\", \"print(1)\"]");
        DockerSettings settings = TestEngine.settings(Map.of("image", name, "pool", "1"));
        MeterRegistry meters = new SimpleMeterRegistry();
        try (DockerExecutor executor = new DockerExecutor(settings)) {
            executor.bindTo(meters);
            TestEngine.require(executor);
            TestEngine.awaitParked(meters, 1);
            List<Container> waiting = TestEngine.awaitContainers(
                    clients.control(), settings.slaveId().orElseThrow(), 1);
            HealthCheck check = clients.control()
                    .inspectContainerCmd(waiting.get(0).getId())
                    .exec()
                    .getConfig()
                    .getHealthcheck();
            assertThat(check == null ? null : check.getTest()).isEqualTo(List.of("NONE"));
        }
    }

    @Test
    void tasks_that_are_the_first_on_an_image_at_once_share_what_is_found() throws Exception {
        DockerSettings settings = TestEngine.settings(Map.of());
        try (TimeSource time = TimeSource.system();
                Containers containers =
                        new Containers(settings, settings.slaveId().orElseThrow(), workers)) {
            Images images =
                    new Images(settings, new ContainerRunner(containers, settings, time, workers), time, workers);
            ReadyEngine engine = TestEngine.ready(clients);

            Future<Image> one = workers.submit(() -> images.find(engine, TestEngine.image()));
            Future<Image> other = workers.submit(() -> images.find(engine, TestEngine.image()));

            assertThat(one.get(60, TimeUnit.SECONDS)).isSameAs(other.get(60, TimeUnit.SECONDS));
        }
    }

    @Test
    void a_task_that_waits_for_an_engine_that_hangs_can_be_cancelled() throws Exception {
        Path socket = temp.resolve("docker.sock");
        DockerSettings settings = TestEngine.settings(Map.of());
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
                TimeSource time = TimeSource.system();
                Containers containers = new Containers(settings, "nobody", workers);
                DockerClients frozen = DockerClients.of(Optional.of("unix://" + socket))) {
            server.bind(UnixDomainSocketAddress.of(socket));
            Images images =
                    new Images(settings, new ContainerRunner(containers, settings, time, workers), time, workers);
            CompletableFuture<Image> answer = new CompletableFuture<>();
            Thread task = new Thread(() -> {
                try {
                    answer.complete(images.find(TestEngine.ready(frozen), "any:1"));
                } catch (NotReadyException | InterruptedException e) {
                    answer.completeExceptionally(e);
                }
            });
            task.start();
            try (SocketChannel asked = server.accept()) {
                task.interrupt();

                assertThatThrownBy(() -> answer.get(30, TimeUnit.SECONDS))
                        .hasCauseInstanceOf(InterruptedException.class);
                assertThat(asked.isOpen()).isTrue();
            }
        }
    }
}
