package dev.d8.executor.docker;

import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.api.exception.ConflictException;
import com.github.dockerjava.api.exception.NotFoundException;
import com.github.dockerjava.api.model.Capability;
import com.github.dockerjava.api.model.Container;
import com.github.dockerjava.api.model.HostConfig;
import com.github.dockerjava.api.model.LogConfig;
import com.github.dockerjava.api.model.Mount;
import com.github.dockerjava.api.model.MountType;
import com.github.dockerjava.api.model.Ulimit;
import dev.d8.Invocation;
import dev.d8.executor.python.engine.AgentProgram;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Makes this slave's containers, and sees to it that none stays. Thread-safe. */
final class Containers implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(Containers.class);

    private static final String SLAVE = "d8.slave";
    private static final String TASK = "d8.task";
    private static final String DEADLINE = "d8.deadline";

    /** Beside the task's own processes stand Docker's init and the agent. */
    private static final long OUR_PROCESSES = 2;

    private static final long ATTACH_SECONDS = 30;
    private static final long CLOSE_SECONDS = 10;

    private final DockerSettings settings;
    private final Executor workers;
    private final Map<String, DockerClient> alive = new ConcurrentHashMap<>();
    /** Shared by those who create, so that closing knows of every container that was made. */
    private final ReadWriteLock creating = new ReentrantReadWriteLock();

    private volatile boolean closed;

    Containers(DockerSettings settings, Executor workers) {
        this.settings = settings;
        this.workers = workers;
    }

    /**
     * Starts a container whose agent waits for its greeting. Blocks for some hundred milliseconds.
     *
     * @param deadline when it is certainly left over, by the engine's clock
     * @throws RuntimeException if the engine does not make it; nothing of it is left then
     */
    ContainerLink open(ReadyEngine engine, Invocation invocation, Optional<WorkingDirs.Mount> mount, Instant deadline) {
        String id = create(engine, invocation, mount, deadline);
        ContainerLink link = new ContainerLink(() -> remove(engine.control(), id));
        try {
            // Before it starts, so that nothing it says is lost: there is no log to read later.
            engine.streams()
                    .attachContainerCmd(id)
                    .withStdIn(link.stdin())
                    .withStdOut(true)
                    .withStdErr(true)
                    .withFollowStream(true)
                    .exec(link);
            link.attached().get(ATTACH_SECONDS, TimeUnit.SECONDS);
            engine.control().startContainerCmd(id).exec();
            return link;
        } catch (ExecutionException e) {
            link.close();
            throw new IllegalStateException("cannot attach: " + EngineTrouble.words(e), e);
        } catch (TimeoutException e) {
            link.close();
            throw new IllegalStateException("cannot attach within " + ATTACH_SECONDS + " s", e);
        } catch (InterruptedException e) {
            link.close();
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted: the executor is being closed", e);
        } catch (RuntimeException e) {
            link.close();
            throw e;
        }
    }

    private String create(
            ReadyEngine engine, Invocation invocation, Optional<WorkingDirs.Mount> mount, Instant deadline) {
        Map<String, String> labels = Map.of(
                SLAVE, settings.slaveId(),
                TASK, invocation.taskId().toString(),
                DEADLINE, Long.toString(deadline.getEpochSecond()));
        List<String> env = new ArrayList<>(List.of("HOME=/tmp"));
        invocation.env().forEach((name, value) -> env.add(name + "=" + value));
        creating.readLock().lock();
        try {
            if (closed) {
                throw new IllegalStateException("the executor is closed");
            }
            String id = engine.control()
                    .createContainerCmd(engine.imageId())
                    .withEntrypoint(AgentProgram.command("python3"))
                    .withEnv(env)
                    .withUser(settings.user())
                    .withWorkingDir("/tmp")
                    .withLabels(labels)
                    .withAttachStdin(true)
                    .withAttachStdout(true)
                    .withAttachStderr(true)
                    // Open once: when the slave detaches or dies, the agent reads an end of file and ends its task.
                    .withStdinOpen(true)
                    .withStdInOnce(true)
                    .withHostConfig(walls(engine, invocation, mount))
                    .exec()
                    .getId();
            alive.put(id, engine.control());
            return id;
        } finally {
            creating.readLock().unlock();
        }
    }

    private HostConfig walls(ReadyEngine engine, Invocation invocation, Optional<WorkingDirs.Mount> mount) {
        long memory = invocation.limits().memoryBytes().orElse(settings.memoryBytes());
        HostConfig host = HostConfig.newHostConfig()
                .withNetworkMode(settings.network())
                .withReadonlyRootfs(true)
                .withCapDrop(Capability.ALL)
                .withSecurityOpts(List.of("no-new-privileges"))
                .withPidsLimit(invocation.limits().processes().orElse(settings.processes()) + OUR_PROCESSES)
                .withMemory(memory)
                .withMemorySwap(memory)
                .withTmpFs(Map.of("/tmp", "rw,noexec,nosuid,nodev,mode=1777,size=" + settings.tmpBytes()))
                .withUlimits(List.of(new Ulimit("core", 0L, 0L), new Ulimit("nofile", 1024L, 4096L)))
                .withLogConfig(new LogConfig(LogConfig.LoggingType.NONE))
                .withIpcMode("private")
                .withInit(true)
                .withAutoRemove(true);
        if (engine.can("cpu_limit")) { // Docker fails where the kernel cannot; what it says of the others is a warning.
            host.withNanoCPUs(settings.nanoCpus());
        }
        mount.ifPresent(directory -> host.withMounts(List.of(new Mount()
                .withType(MountType.BIND)
                .withSource(directory.source().toString())
                .withTarget(directory.target().toString())
                .withReadOnly(true))));
        return host;
    }

    /** Ends and removes a container in the background; done when it is gone, never fails. */
    private CompletableFuture<Void> remove(DockerClient client, String id) {
        if (!alive.containsKey(id)) {
            return CompletableFuture.completedFuture(null); // Another was faster.
        }
        try {
            return CompletableFuture.runAsync(() -> removeNow(client, id), workers);
        } catch (RejectedExecutionException e) {
            removeNow(client, id); // The executor is closed.
            return CompletableFuture.completedFuture(null);
        }
    }

    private void removeNow(DockerClient client, String id) {
        try {
            client.removeContainerCmd(id)
                    .withForce(true)
                    .withRemoveVolumes(true)
                    .exec();
        } catch (NotFoundException | ConflictException e) {
            // It ended by itself, and the engine removed it or is about to.
        } catch (RuntimeException e) {
            if (alive.containsKey(id)) { // Else another was faster, and this one hung on a closed connection.
                LOG.warn("container {} cannot be removed: {}", id, EngineTrouble.words(e));
            }
            return; // Another attempt when this is closed.
        }
        alive.remove(id);
    }

    /** Removes what an earlier life of this slave left behind: containers with its mark whose deadline has passed. */
    void sweep(ReadyEngine engine) {
        for (Container container : marked(engine.control())) {
            if (passed(container.getLabels().get(DEADLINE), engine.clock())) {
                LOG.warn("container {} outlived its deadline and is removed", container.getId());
                removeNow(engine.control(), container.getId());
            }
        }
    }

    private List<Container> marked(DockerClient client) {
        return client.listContainersCmd()
                .withShowAll(true)
                .withLabelFilter(Map.of(SLAVE, settings.slaveId()))
                .exec();
    }

    private static boolean passed(@Nullable String deadline, Instant now) {
        try {
            return deadline != null
                    && Instant.ofEpochSecond(Long.parseLong(deadline)).isBefore(now);
        } catch (NumberFormatException | DateTimeException e) {
            return false;
        }
    }

    /** Removes every container that is still there, each in parallel. */
    @Override
    public void close() {
        closed = true;
        awaitCreation();
        List<CompletableFuture<Void>> removals = new ArrayList<>();
        alive.forEach((id, client) -> removals.add(remove(client, id)));
        try {
            CompletableFuture.allOf(removals.toArray(CompletableFuture[]::new)).get(CLOSE_SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (ExecutionException | TimeoutException e) {
            LOG.warn("some containers could not be removed within {} s", CLOSE_SECONDS);
        }
    }

    private void awaitCreation() {
        try {
            if (creating.writeLock().tryLock(CLOSE_SECONDS, TimeUnit.SECONDS)) {
                creating.writeLock().unlock();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
