package dev.d8.executor.docker;

import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.core.DefaultDockerClientConfig;
import com.github.dockerjava.core.DockerClientConfig;
import com.github.dockerjava.core.DockerClientImpl;
import com.github.dockerjava.zerodep.ZerodepDockerHttpClient;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * docker-java's clients for one engine.
 *
 * @param control for calls that answer soon; over TCP it gives up on those that do not, a Unix socket ends with its engine
 * @param streams for attaching: may be silent for as long as a task is
 */
record DockerClients(URI host, DockerClient control, DockerClient streams) implements AutoCloseable {

    private static final Duration CONNECT_WITHIN = Duration.ofSeconds(3);

    private static final Pattern CONTEXT = Pattern.compile("\"currentContext\"\\s*:\\s*\"(?!(default)?\")");

    /** A start on a busy, small machine takes seconds. */
    private static final Duration ANSWER_WITHIN = Duration.ofSeconds(60);

    /**
     * Returns the host that is configured, else the usual socket that exists now; empty: docker-java knows one.
     *
     * @throws NotReadyException if there is none
     */
    static Optional<String> whereabouts(Optional<String> configured) throws NotReadyException {
        Optional<String> host = configured
                .or(() -> Optional.ofNullable(System.getenv("DOCKER_HOST")))
                .filter(named -> !named.isBlank());
        return host.isPresent() || configuredByUser() ? host : Optional.of(firstOf(usualSockets()));
    }

    static String firstOf(List<Path> sockets) throws NotReadyException {
        for (Path socket : sockets) {
            if (Files.exists(socket)) {
                return "unix://" + socket;
            }
        }
        throw new NotReadyException(EngineTrouble.nowhere(sockets));
    }

    /** Returns whether this user may have named an engine: by a Docker context or docker-java's own properties. */
    private static boolean configuredByUser() {
        Path home = Path.of(System.getProperty("user.home", "/"));
        if (Files.exists(home.resolve(".docker-java.properties"))) {
            return true;
        }
        String context = System.getenv("DOCKER_CONTEXT");
        if (context != null && !context.isBlank()) {
            return !context.equals("default");
        }
        String folder = System.getenv("DOCKER_CONFIG");
        return namesContext(folder == null ? home.resolve(".docker") : Path.of(folder));
    }

    /** Returns whether Docker's configuration, which most have for other reasons, names a context. */
    static boolean namesContext(Path folder) {
        try {
            return CONTEXT.matcher(Files.readString(folder.resolve("config.json")))
                    .find();
        } catch (IOException e) {
            return false;
        }
    }

    /** Returns where engines listen that nobody has named: Docker, rootless Docker, and Podman's that speak its API. */
    static List<Path> usualSockets() {
        List<Path> sockets = new ArrayList<>(List.of(Path.of("/var/run/docker.sock")));
        String runtime = System.getenv("XDG_RUNTIME_DIR");
        if (runtime != null && runtime.startsWith("/")) {
            sockets.add(Path.of(runtime, "docker.sock"));
            sockets.add(Path.of(runtime, "podman", "podman.sock"));
        }
        sockets.add(Path.of("/run/podman/podman.sock"));
        return sockets;
    }

    /** Makes clients for a host; without one, for the host of the current Docker context. Connects to nothing. */
    static DockerClients of(Optional<String> host) {
        DefaultDockerClientConfig.Builder builder = DefaultDockerClientConfig.createDefaultConfigBuilder();
        host.ifPresent(builder::withDockerHost);
        DockerClientConfig config = builder.build();
        return new DockerClients(
                config.getDockerHost(), client(config, Optional.of(ANSWER_WITHIN)), client(config, Optional.empty()));
    }

    private static DockerClient client(DockerClientConfig config, Optional<Duration> answerWithin) {
        ZerodepDockerHttpClient.Builder http = new ZerodepDockerHttpClient.Builder()
                .dockerHost(config.getDockerHost())
                .sslConfig(config.getSSLConfig())
                .connectionTimeout(CONNECT_WITHIN);
        answerWithin.ifPresent(http::responseTimeout);
        return DockerClientImpl.getInstance(config, http.build());
    }

    @Override
    public void close() {
        try (control;
                streams) {
            // Closes both.
        } catch (IOException e) {
            // Nothing is lost.
        }
    }
}
