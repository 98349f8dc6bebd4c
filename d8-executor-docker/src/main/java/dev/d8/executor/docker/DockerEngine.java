package dev.d8.executor.docker;

import com.github.dockerjava.api.model.Info;
import com.github.dockerjava.api.model.Version;
import dev.d8.Isolation;
import dev.d8.spi.Availability;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.Availability.Unavailable;
import dev.d8.spi.TimeSource;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * Knows whether tasks can run on an engine right now. A look at it is taken on a thread of its own, since the first one
 * takes more than a second; {@link #probe} waits for a moment and else tells what is known so far. Thread-safe.
 */
final class DockerEngine implements AutoCloseable {

    private static final Duration ANSWER_WITHIN = Duration.ofMillis(700);

    /** After this the last good answer is no longer believed. */
    private static final Duration PATIENCE = Duration.ofSeconds(5);

    /** The first look includes the start of a container. */
    private static final Duration FIRST_LOOK = Duration.ofSeconds(30);

    /** Tells where the engine is by now; empty: where docker-java finds it by this user's files. */
    interface Whereabouts {
        Optional<String> host() throws NotReadyException;
    }

    private final DockerSettings settings;
    private final Whereabouts where;
    private final Containers containers;
    private final Images images;
    private final ContainerPool pool;
    private final TimeSource time;
    private final Executor workers;

    private volatile @Nullable Look look;
    private volatile @Nullable State last;

    /** By host. Of several that were found one after the other all are kept: tasks may still run there. */
    private final Map<String, Connection> connections = new ConcurrentHashMap<>();

    DockerEngine(
            DockerSettings settings,
            Whereabouts where,
            Containers containers,
            Images images,
            ContainerPool pool,
            TimeSource time,
            Executor workers) {
        this.settings = settings;
        this.where = where;
        this.containers = containers;
        this.images = images;
        this.pool = pool;
        this.time = time;
        this.workers = workers;
    }

    /** An engine and what tasks that ask for no image run on. */
    record Ready(ReadyEngine engine, Image image) {}

    /** What a look found: what to run on unless tasks cannot run. */
    private record State(
            Availability availability, @Nullable Ready ready) {}

    private record Connection(DockerClients clients, HostsFile hosts) {}

    /** A look that was begun. */
    private static final class Look {
        final CompletableFuture<State> result = new CompletableFuture<>();
        final long began;
        volatile String step = "connecting to the Docker engine";

        Look(long began) {
            this.began = began;
        }
    }

    Availability probe() {
        Look current = begin();
        try {
            return current.result
                    .get(ANSWER_WITHIN.toNanos(), TimeUnit.NANOSECONDS)
                    .availability();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (ExecutionException e) {
            return new Unavailable("the Docker engine cannot be looked at: " + EngineTrouble.words(e));
        } catch (TimeoutException e) {
            // Told below.
        }
        State before = last;
        Duration spent = time.since(current.began);
        if (before != null && spent.compareTo(PATIENCE) < 0) {
            return before.availability();
        }
        return new Unavailable(
                spent.compareTo(PATIENCE) < 0
                        ? "still " + current.step + "; ask again in a moment"
                        : current.step + " takes longer than " + PATIENCE.toSeconds()
                                + " s: the Docker engine hangs or is overloaded. See whether docker version answers");
    }

    /**
     * Returns what the last look found; waits for the first look.
     *
     * @throws NotReadyException if no task can run
     */
    Ready ready() throws NotReadyException, InterruptedException {
        State state = last;
        try {
            if (state == null) {
                state = begin().result.get(FIRST_LOOK.toNanos(), TimeUnit.NANOSECONDS);
            }
        } catch (ExecutionException e) {
            throw new NotReadyException("the Docker engine cannot be looked at: " + EngineTrouble.words(e));
        } catch (TimeoutException e) {
            throw new NotReadyException("the Docker engine did not answer within " + FIRST_LOOK.toSeconds() + " s");
        }
        Ready ready = state.ready();
        if (ready == null) {
            throw new NotReadyException(
                    state.availability() instanceof Unavailable missing ? missing.reason() : "no Docker engine");
        }
        return ready;
    }

    private synchronized Look begin() {
        Look running = look;
        if (running != null && !running.result.isDone()) {
            return running;
        }
        Look started = new Look(time.nanoTime());
        look = started;
        try {
            workers.execute(() -> take(started));
        } catch (RejectedExecutionException e) {
            started.result.complete(new State(new Unavailable("the executor is closed"), null));
        } catch (Throwable e) { // The machine has no thread left.
            started.result.completeExceptionally(e);
        }
        return started;
    }

    private void take(Look current) {
        try {
            State state = found(current);
            last = state;
            Ready ready = state.ready();
            if (ready == null) {
                pool.suspend();
            } else {
                pool.serve(ready.engine(), Shape.usual(settings, ready.image()));
            }
            current.result.complete(state);
        } catch (Throwable e) { // Whoever waits is told, and the next look may find more.
            current.result.completeExceptionally(e);
        }
    }

    private State found(Look current) {
        try {
            return look(current);
        } catch (NotReadyException e) {
            return new State(new Unavailable(String.valueOf(e.getMessage())), null);
        } catch (InterruptedException e) {
            return new State(new Unavailable("the executor is closed"), null);
        } catch (RuntimeException | Error e) {
            return new State(new Unavailable("the Docker engine cannot be used: " + EngineTrouble.words(e)), null);
        }
    }

    private State look(Look current) throws NotReadyException, InterruptedException {
        // docker-java is loaded only where there may be something to talk to.
        Optional<String> found = where.host();
        requireSocket(found.orElse(""));
        Connection connection = connect(found);
        DockerClients connected = connection.clients();
        URI host = connected.host();
        requireSocket(host.toString());
        current.step = "connecting to the Docker engine at " + host;
        Version version;
        Info info;
        try {
            version = connected.control().versionCmd().exec();
            info = connected.control().infoCmd().exec();
        } catch (RuntimeException e) {
            throw new NotReadyException(EngineTrouble.connecting(e, host));
        }
        Walls.requireApi(String.valueOf(version.getApiVersion()));
        ReadyEngine engine = new ReadyEngine(
                host,
                connected.control(),
                connected.streams(),
                Walls.of(settings, info),
                connection.hosts(),
                clock(info));
        containers.sweep(engine);
        if (settings.network().equals(DockerSettings.NO_NETWORK)) {
            connection.hosts().prepare(containers, connected.control(), settings.image());
        }
        current.step = "trying out the image " + settings.image();
        Image image = images.find(engine, settings.image());
        return new State(
                new Available(
                        "Docker " + version.getVersion() + ", " + settings.image() + ", Python "
                                + image.python().replaceAll(" .*", ""),
                        Isolation.CONTAINER,
                        Optional.of(image.python())),
                new Ready(engine, image));
    }

    private static void requireSocket(String host) throws NotReadyException {
        if (host.startsWith("unix://")) {
            String socket = host.substring("unix://".length());
            if (!Files.exists(Path.of(socket))) {
                throw new NotReadyException(EngineTrouble.missing(socket));
            }
            if (!Files.isWritable(Path.of(socket))) {
                throw new NotReadyException(EngineTrouble.forbidden(socket));
            }
        }
    }

    private Connection connect(Optional<String> host) throws NotReadyException {
        try {
            return connections.computeIfAbsent(
                    host.orElse(""), key -> new Connection(DockerClients.of(host), new HostsFile()));
        } catch (RuntimeException e) {
            throw new NotReadyException("the Docker host " + host.orElse("of the Docker context") + " cannot be used: "
                    + EngineTrouble.words(e) + ". Set docker.host to unix://PATH or tcp://HOST:PORT");
        }
    }

    private static Instant clock(Info info) throws NotReadyException {
        try {
            return java.time.OffsetDateTime.parse(String.valueOf(info.getSystemTime()))
                    .toInstant();
        } catch (DateTimeException e) {
            throw new NotReadyException("the Docker engine does not tell its time: " + info.getSystemTime());
        }
    }

    @Override
    public void close() {
        connections.values().forEach(connection -> connection.clients().close());
    }
}
