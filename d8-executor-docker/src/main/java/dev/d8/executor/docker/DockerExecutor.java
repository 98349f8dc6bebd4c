package dev.d8.executor.docker;

import dev.d8.ExecutorInfo;
import dev.d8.Invocation;
import dev.d8.Termination.Status;
import dev.d8.spi.Availability;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.TimeSource;
import java.util.List;
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
 * {@code /tmp} and {@code /dev/shm} only, which lie in memory, count as the task's and hold nothing executable. It is never
 * privileged, never shares a namespace with the host and never sees the Docker socket. What the engine of this machine
 * cannot apply is missing from {@link ExecutorInfo#isolation}.
 *
 * <p>A task's {@code working_dir} is a directory of the slave that is bind-mounted, read-only, at the same path, and only
 * below a root that the slave's owner listed; without one the task starts in {@code /tmp}. A task's memory and process
 * limits take the place of the defaults below; limits on CPU time and file size are kept by the agent inside.
 *
 * <p>Images are never pulled: a task must not wait for a registry, nor run what a tag means today.
 *
 * <p>Options, all optional:
 *
 * <table>
 * <caption>docker.*</caption>
 * <tr><th>option</th><th>default</th><th>meaning</th></tr>
 * <tr><td>{@code docker.host}</td><td>{@code DOCKER_HOST}, else the current Docker context, else {@code
 * unix:///var/run/docker.sock}</td><td>the engine, 20.10 or later: {@code unix://PATH} or {@code tcp://HOST:PORT}</td></tr>
 * <tr><td>{@code docker.image}</td><td>{@code python:3-slim}</td><td>an image on the engine's machine with a
 * {@code python3}, 3.9 or later, on its PATH</td></tr>
 * <tr><td>{@code docker.cpus}</td><td>1.0</td><td>cores, 0.01 or more</td></tr>
 * <tr><td>{@code docker.memory_bytes}</td><td>536870912 (512 MiB)</td><td>memory and swap together, in bytes, at least 6
 * MiB</td></tr>
 * <tr><td>{@code docker.processes}</td><td>256</td><td>processes and threads of a task</td></tr>
 * <tr><td>{@code docker.tmp_bytes}</td><td>67108864 (64 MiB)</td><td>size of {@code /tmp}, in bytes</td></tr>
 * <tr><td>{@code docker.network}</td><td>{@code none}</td><td>{@code none}, or {@code bridge} for the engine's default
 * network</td></tr>
 * <tr><td>{@code docker.mounts}</td><td>none</td><td>comma-separated absolute paths; a {@code working_dir} must lie in
 * one</td></tr>
 * <tr><td>{@code docker.user}</td><td>{@code 65534:65534}</td><td>{@code UID} or {@code UID:GID}, in digits</td></tr>
 * <tr><td>{@code docker.slave_id}</td><td>random</td><td>marks this slave's containers; with one of its own that stays, a
 * slave that starts again removes what an earlier life left behind</td></tr>
 * </table>
 */
public final class DockerExecutor implements Executor {

    private static final Logger LOG = LoggerFactory.getLogger(DockerExecutor.class);

    private final TimeSource time = TimeSource.system();
    private final ExecutorService workers;
    private final Containers containers;
    private final ContainerRunner runner;
    private final DockerEngine engine;
    private final WorkingDirs workingDirs;

    DockerExecutor(DockerSettings settings) {
        AtomicInteger number = new AtomicInteger();
        workers = Executors.newCachedThreadPool(task -> {
            Thread thread = new Thread(task, "d8-docker-" + number.incrementAndGet());
            thread.setDaemon(true);
            return thread;
        });
        containers = new Containers(settings, workers);
        runner = new ContainerRunner(containers, time, workers);
        engine = new DockerEngine(settings, containers, runner, time, workers);
        workingDirs = new WorkingDirs(settings.mounts());
        if (!settings.network().equals("none")) {
            LOG.warn("docker.network is {}: tasks can reach the network of this machine", settings.network());
        }
        if (settings.user().matches("0+(:.*)?")) {
            LOG.warn("docker.user is {}: tasks run as root inside their containers", settings.user());
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
        try {
            ReadyEngine ready = engine.ready();
            Optional<WorkingDirs.Mount> mount = invocation.workingDir().isEmpty()
                    ? Optional.empty()
                    : Optional.of(workingDirs.admit(invocation.workingDir().get(), ready.host()));
            return runner.run(ready, invocation, mount, listener, began);
        } catch (NotReadyException | WorkingDirs.RefusedException e) {
            return ExecutionOutcome.notStarted(
                    Status.START_FAILED,
                    String.valueOf(e.getMessage()),
                    new ExecutorInfo(false, List.of(), Optional.empty()));
        }
    }

    @Override
    public void close() {
        containers.close();
        engine.close();
        workers.shutdownNow();
        time.close();
    }
}
