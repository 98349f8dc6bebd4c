package dev.d8.executor.docker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.Invocation;
import dev.d8.Termination.Status;
import dev.d8.spi.Availability;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.Availability.Unavailable;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.TimeSource;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.net.StandardProtocolFamily;
import java.net.URI;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a slave's owner reads where Docker cannot be used. Needs no engine, but for the last. */
@Timeout(60)
@Tag("other-runtime")
class DockerEngineTest {

    private static final String INFO =
            "{\"SystemTime\":\"2026-11-22T12:00:00.5Z\",\"MemoryLimit\":true,\"SecurityOptions\":[]}";

    @TempDir
    Path temp;

    private static DockerExecutor executor(String host) {
        return new DockerExecutor(TestEngine.settings(Map.of("host", host, "image", "nobody/nothing:1")));
    }

    private static String reason(String host) {
        try (DockerExecutor executor = executor(host)) {
            return TestEngine.reason(TestEngine.probed(executor));
        }
    }

    @Test
    void a_missing_socket_is_named_with_the_cure_and_no_task_starts() throws Exception {
        Path socket = temp.resolve("docker.sock");
        String words = "no Docker engine: " + socket + " does not exist. Install Docker or set DOCKER_HOST";
        try (DockerExecutor executor = executor("unix://" + socket)) {
            assertThat(executor.probe()).isEqualTo(new Unavailable(words));

            ExecutionOutcome outcome =
                    executor.execute(Invocation.python("print(1)").build(), ExecutionListener.NONE);

            assertThat(outcome.termination().status()).isEqualTo(Status.START_FAILED);
            assertThat(outcome.message()).contains(words);
        }
    }

    @Test
    void where_nothing_is_configured_all_the_usual_places_are_named() {
        assertThat(EngineTrouble.nowhere(DockerClients.usualSockets()))
                .contains("DOCKER_HOST is not set", "/var/run/docker.sock, ", "podman.sock exists", "Install Docker");
    }

    @Test
    void a_socket_that_nobody_listens_on_refuses() throws IOException {
        Path socket = Files.createFile(temp.resolve("docker.sock"));

        assertThat(reason("unix://" + socket)).contains("no Docker engine answers", "refused", "Start Docker");
    }

    @Test
    void the_first_of_the_usual_sockets_is_looked_for_anew_each_time() throws Exception {
        Path first = temp.resolve("first.sock");
        Path second = Files.createFile(temp.resolve("second.sock"));
        ExecutorService workers = Executors.newCachedThreadPool();
        try (TimeSource time = TimeSource.system();
                DockerEngine engine =
                        engine(() -> Optional.of(DockerClients.firstOf(List.of(first, second))), time, workers)) {
            assertThatThrownBy(engine::ready).hasMessageContaining("no Docker engine answers at unix://" + second);

            Files.createFile(first);

            Availability found = engine.probe();
            while (!TestEngine.reason(found).contains(first.toString())) { // As long as this test may take.
                found = engine.probe();
            }
            assertThat(TestEngine.reason(found)).contains("no Docker engine answers at unix://" + first);
        } finally {
            workers.shutdownNow();
        }
    }

    @Test
    void a_configuration_of_docker_names_an_engine_only_by_a_context() throws Exception {
        assertThat(DockerClients.namesContext(temp)).isFalse();
        Path file = temp.resolve("config.json");
        Files.writeString(file, "{\"auths\": {}, \"credsStore\": \"pass\"}");
        assertThat(DockerClients.namesContext(temp)).isFalse();
        Files.writeString(file, "{\"auths\": {}, \"currentContext\": \"default\"}");
        assertThat(DockerClients.namesContext(temp)).isFalse();
        Files.writeString(file, "{\"auths\": {}, \"currentContext\" : \"attic\"}");
        assertThat(DockerClients.namesContext(temp)).isTrue();
    }

    @Test
    void a_look_that_no_thread_can_take_is_over_and_the_next_one_is_taken() {
        AtomicBoolean noThread = new AtomicBoolean(true);
        Executor workers = task -> {
            if (noThread.getAndSet(false)) {
                throw new OutOfMemoryError("unable to create native thread");
            }
            task.run();
        };
        DockerEngine.Whereabouts failing = () -> {
            throw new OutOfMemoryError("Java heap space");
        };
        try (TimeSource time = TimeSource.system();
                DockerEngine engine = engine(failing, time, workers)) {
            assertThat(TestEngine.reason(engine.probe())).contains("unable to create native thread");
            assertThat(TestEngine.reason(engine.probe())).contains("Java heap space");
        }
    }

    private static DockerEngine engine(DockerEngine.Whereabouts where, TimeSource time, Executor workers) {
        DockerSettings settings = TestEngine.settings(Map.of());
        Containers containers = new Containers(settings, "nobody", workers);
        ContainerRunner runner = new ContainerRunner(containers, settings, time, workers);
        return new DockerEngine(
                settings,
                where,
                containers,
                new Images(settings, runner, time, workers),
                new ContainerPool(settings.pool(), containers::open, time, workers),
                time,
                workers);
    }

    @Test
    void a_port_that_nobody_listens_on_refuses() throws IOException {
        int port;
        try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = socket.getLocalPort();
        }

        assertThat(reason("tcp://127.0.0.1:" + port)).contains("no Docker engine answers", "refused");
    }

    @Test
    void a_denied_permission_is_told_with_both_cures() {
        URI host = URI.create("unix:///var/run/docker.sock");
        String words = EngineTrouble.forbidden("/var/run/docker.sock");

        assertThat(words).contains("permission denied on /var/run/docker.sock", "group docker", "rootless");
        assertThat(EngineTrouble.connecting(new IllegalStateException(new SocketException("Permission denied")), host))
                .isEqualTo(words);
        assertThat(EngineTrouble.connecting(new AccessDeniedException("/var/run/docker.sock"), host))
                .isEqualTo(words);
    }

    @Test
    void an_engine_that_says_nothing_does_not_hold_a_probe_up() throws IOException {
        Path socket = temp.resolve("docker.sock");
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(socket));
            try (DockerExecutor executor = executor("unix://" + socket)) {
                assertThat(TestEngine.reason(executor.probe())).startsWith("still connecting");
                assertThat(TestEngine.reason(TestEngine.probed(executor)))
                        .contains("connecting to the Docker engine", "takes longer than 5 s", "hangs or is overloaded");
            }
        }
    }

    @Test
    void a_host_that_is_no_address_is_told() {
        assertThat(reason("ssh://somewhere")).contains("ssh://somewhere", "docker.host");
    }

    @Test
    void an_engine_too_old_is_told() throws IOException {
        try (FakeEngine engine = new FakeEngine(Map.of("/version", "{\"ApiVersion\":\"1.40\"}", "/info", INFO))) {
            assertThat(reason(engine.host())).contains("API 1.40", "1.41 or later", "20.10");
        }
    }

    @Test
    void an_image_that_is_absent_is_named_and_not_pulled() throws IOException {
        try (FakeEngine engine = new FakeEngine(
                Map.of("/version", "{\"ApiVersion\":\"1.41\"}", "/info", INFO, "/containers/json", "[]"))) {
            assertThat(reason(engine.host()))
                    .isEqualTo("image nobody/nothing:1 is not on this machine; docker pull nobody/nothing:1, or set"
                            + " docker.image");
        }
    }

    @Test
    void the_engines_own_words_are_passed_on() {
        assertThat(EngineTrouble.words(new com.github.dockerjava.api.exception.BadRequestException(
                        "Status 400: {\"message\":\"exec: \\\"python3\\\": not found\"}\n")))
                .isEqualTo("exec: \"python3\": not found");
    }

    @Test
    void an_engine_that_goes_away_and_comes_back_is_noticed() throws Exception {
        TestEngine.executor(Map.of()).close();
        Path real = Path.of(URI.create(TestEngine.host()).getPath());
        Path link = Files.createSymbolicLink(temp.resolve("docker.sock"), real);
        try (DockerExecutor executor = new DockerExecutor(TestEngine.settings(Map.of("host", "unix://" + link)))) {
            assertThat(TestEngine.probed(executor)).isInstanceOf(Available.class);

            Files.delete(link);
            assertThat(TestEngine.awaited(executor, Unavailable.class)).isInstanceOf(Unavailable.class);

            Files.createSymbolicLink(link, real);
            assertThat(TestEngine.awaited(executor, Available.class)).isInstanceOf(Available.class);
            assertThat(executor.execute(Invocation.python("print(1)").build(), ExecutionListener.NONE)
                            .stdout()
                            .text())
                    .isEqualTo("1\n");
        }
    }

    /** Answers some paths of the engine's API, and 404 for the rest, one call a connection. */
    private static final class FakeEngine implements AutoCloseable {
        private final ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        private final Map<String, String> answers;

        FakeEngine(Map<String, String> answers) throws IOException {
            this.answers = answers;
            Thread thread = new Thread(this::serve, "fake-engine");
            thread.setDaemon(true);
            thread.start();
        }

        private void serve() {
            while (!server.isClosed()) {
                try (Socket call = server.accept()) {
                    BufferedReader in =
                            new BufferedReader(new InputStreamReader(call.getInputStream(), StandardCharsets.US_ASCII));
                    String path = in.readLine().split("[ ?]", -1)[1];
                    while (!in.readLine().isEmpty()) {
                        // Headers say nothing of interest.
                    }
                    String answer = answers.get(path);
                    String body = answer == null ? "{\"message\":\"no such thing\"}" : answer;
                    call.getOutputStream()
                            .write(("HTTP/1.1 " + (answer == null ? "404 Not Found" : "200 OK")
                                            + "\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: "
                                            + body.length() + "\r\n\r\n" + body)
                                    .getBytes(StandardCharsets.US_ASCII));
                } catch (IOException e) {
                    // The test is over, or the client left.
                }
            }
        }

        String host() {
            return "tcp://127.0.0.1:" + server.getLocalPort();
        }

        @Override
        public void close() throws IOException {
            server.close();
        }
    }
}
