package dev.d8.executor.docker;

import dev.d8.ExecutorInfo;
import dev.d8.Invocation;
import dev.d8.spi.Availability;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.TimeSource;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs each Python task in a Docker container of its own, thrown away afterwards. Thread-safe.
 *
 * <p>The container has no network, a read-only root, no capabilities, no way to gain privileges, the engine's default
 * seccomp profile, an unprivileged user, and limits on memory (swap included), CPU and processes. It can write to
 * {@code /tmp}, {@code /dev/shm} and its image's volumes only, which lie in memory, count as the task's and hold nothing
 * executable. It is never privileged, never shares a namespace with the host and never sees the Docker socket. What the
 * engine of this machine cannot apply is missing from {@link ExecutorInfo#isolation}.
 *
 * <p>Containers are made ahead of tasks, each for one task: a task waits for none while {@code docker.pool} has one of its
 * shape, that is its image and limits; one with a {@code working_dir} always waits. {@link ExecutorInfo#warm} tells.
 *
 * <p>A task's {@code working_dir} is a directory of the slave that is mounted at the same path, read-only unless it lies in
 * {@code docker.writable_mounts}, and only below a root that the slave's owner listed; without one the task starts in
 * {@code /tmp}. A task's memory and process limits take the place of the defaults below; limits on CPU time and file size
 * are kept by the agent inside.
 *
 * <p>Images are never pulled: a task must not wait for a registry, nor run what a tag means today.
 *
 * <p>Options, all optional:
 *
 * <table>
 * <caption>docker.*</caption>
 * <tr><th>option</th><th>default</th><th>meaning</th></tr>
 * <tr><td>{@code docker.host}</td><td>{@code DOCKER_HOST}, else the current Docker context, else the first socket of
 * Docker, rootless Docker or Podman that exists</td><td>the engine, 20.10 or later: {@code unix://PATH} or {@code tcp://HOST:PORT}</td></tr>
 * <tr><td>{@code docker.image}</td><td>{@code python:3-slim}</td><td>an image on the engine's machine with a
 * {@code python3}, 3.9 or later, with {@code ctypes}, on its PATH</td></tr>
 * <tr><td>{@code docker.images}</td><td>none</td><td>comma-separated images beside that one which a task may ask for by its
 * field {@code image}</td></tr>
 * <tr><td>{@code docker.cpus}</td><td>1.0</td><td>cores, 0.01 or more</td></tr>
 * <tr><td>{@code docker.memory_bytes}</td><td>536870912 (512 MiB)</td><td>memory and swap together, in bytes, at least 6
 * MiB</td></tr>
 * <tr><td>{@code docker.processes}</td><td>256</td><td>processes and threads of a task</td></tr>
 * <tr><td>{@code docker.tmp_bytes}</td><td>67108864 (64 MiB)</td><td>size of {@code /tmp}, in bytes</td></tr>
 * <tr><td>{@code docker.network}</td><td>{@code none}</td><td>{@code none}, or {@code bridge} for the engine's default
 * network</td></tr>
 * <tr><td>{@code docker.mounts}</td><td>none</td><td>comma-separated absolute paths; a {@code working_dir} must lie in
 * one</td></tr>
 * <tr><td>{@code docker.writable_mounts}</td><td>none</td><td>likewise; tasks may also write there</td></tr>
 * <tr><td>{@code docker.user}</td><td>{@code 65534:65534}</td><td>{@code UID} or {@code UID:GID}, in digits</td></tr>
 * <tr><td>{@code docker.slave_id}</td><td>one that stays, kept in {@code ~/.local/state/d8}</td><td>marks this slave's
 * containers, so that a slave which starts again removes what an earlier life left behind; no two slaves may share
 * one</td></tr>
 * <tr><td>{@code docker.pool}</td><td>2</td><td>containers at the most that wait for tasks, 0 to 100</td></tr>
 * <tr><td>{@code docker.prefetch}</td><td>{@code docker.pool}</td><td>how many of these are there before the first task, and
 * again when none has come for {@code docker.pool_idle}</td></tr>
 * <tr><td>{@code docker.pool_idle}</td><td>3600</td><td>seconds after which a container that waits is replaced, and what
 * tasks asked for is forgotten</td></tr>
 * </table>
 */
public final class DockerExecutor implements Executor {

    private static final Logger LOG = LoggerFactory.getLogger(DockerExecutor.class);

    private final DockerSettings settings;
    private final TimeSource time = TimeSource.system();
    private final SlaveIdentity identity;
    private final ExecutorService workers;
    private final Containers containers;
    private final ContainerRunner runner;
    private final ContainerPool pool;
    private final Images images;
    private final DockerEngine engine;
    private final WorkingDirs workingDirs;
    private final DockerMetrics metrics = new DockerMetrics();

    DockerExecutor(DockerSettings settings) {
        this.settings = settings;
        identity = SlaveIdentity.claim(settings.slaveId(), SlaveIdentity.directory(), SlaveIdentity.machine());
        AtomicInteger number = new AtomicInteger();
        workers = Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task, "d8-docker-" + number.incrementAndGet());
            thread.setDaemon(true);
            return thread;
        });
        containers = new Containers(settings, identity.id(), workers);
        runner = new ContainerRunner(containers, settings, time, workers);
        pool = new ContainerPool(settings.pool(), containers::open, time, workers);
        images = new Images(settings, runner, time, workers);
        engine = new DockerEngine(
                settings, () -> DockerClients.whereabouts(settings.host()), containers, images, pool, time, workers);
        workingDirs = new WorkingDirs(settings.mounts(), settings.writableMounts());
        warnOfWhatIsWidened();
    }

    private void warnOfWhatIsWidened() {
        if (!settings.network().equals(DockerSettings.NO_NETWORK)) {
            LOG.warn("docker.network is {}: tasks can reach the network of this machine", settings.network());
        }
        if (settings.user().matches("0+(:.*)?")) {
            LOG.warn("docker.user is {}: tasks run as root inside their containers", settings.user());
        }
        if (!settings.mounts().isEmpty()) {
            LOG.warn("docker.mounts: tasks can read {} of this machine", settings.mounts());
        }
        if (!settings.writableMounts().isEmpty()) {
            LOG.warn("docker.writable_mounts: tasks can change {} of this machine", settings.writableMounts());
        }
    }

    @Override
    public Availability probe() {
        return engine.probe();
    }

    @Override
    public Optional<String> objection(Invocation invocation) {
        if (!invocation.runtime().equals(Invocation.PYTHON)) {
            return Optional.of("runs python only, not " + invocation.runtime());
        }
        if (!invocation.requirements().isEmpty()) {
            return Optional.of("installs no requirements; make an image that has them and set docker.image");
        }
        Optional<String> image = invocation.image();
        if (image.isPresent()
                && !image.get().equals(settings.image())
                && !settings.images().contains(image.get())) {
            return Optional.of("image " + image.get() + " is not among those that tasks may run on: docker.images");
        }
        Optional<String> place = invocation.workingDir().flatMap(workingDirs::objection);
        if (place.isPresent()) {
            return place;
        }
        OptionalLong memory = invocation.limits().memoryBytes();
        if (memory.isPresent() && memory.getAsLong() < DockerSettings.LEAST_MEMORY) {
            return Optional.of("limits.memory_bytes: " + memory.getAsLong() + " (Docker takes no less than "
                    + DockerSettings.LEAST_MEMORY + ")");
        }
        return Optional.empty();
    }

    @Override
    public ExecutionOutcome execute(Invocation invocation, ExecutionListener listener) throws InterruptedException {
        long began = time.nanoTime();
        ReadyEngine ready;
        Shape shape;
        try {
            DockerEngine.Ready found = engine.ready();
            ready = found.engine();
            Image image = invocation.image().isEmpty()
                    ? found.image()
                    : images.find(ready, invocation.image().get());
            Optional<WorkingDirs.Mount> mount = invocation.workingDir().isEmpty()
                    ? Optional.empty()
                    : Optional.of(workingDirs.admit(invocation.workingDir().get(), ready.host()));
            shape = Shape.of(settings, image, invocation, mount);
        } catch (NotReadyException | WorkingDirs.RefusedException e) {
            return ContainerRunner.notStarted(String.valueOf(e.getMessage()));
        }
        ContainerLink waiting = pool.take(shape);
        if (waiting != null) {
            Optional<ExecutionOutcome> outcome = runner.runWarm(ready, shape, waiting, invocation, listener, began);
            if (outcome.isPresent()) {
                metrics.warmStarts.increment();
                return outcome.get();
            }
        }
        metrics.coldStarts.increment();
        return runner.runCold(ready, shape, invocation, listener, began);
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        metrics.bindTo(registry, pool::parked);
    }

    @Override
    public void close() {
        pool.close();
        containers.close();
        engine.close();
        workers.shutdownNow();
        time.close();
        identity.close();
    }
}
