package dev.d8.executor.docker;

import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.api.command.CreateContainerCmd;
import com.github.dockerjava.api.command.WaitContainerResultCallback;
import com.github.dockerjava.api.exception.ConflictException;
import com.github.dockerjava.api.exception.NotFoundException;
import com.github.dockerjava.api.model.Capability;
import com.github.dockerjava.api.model.Container;
import com.github.dockerjava.api.model.HealthCheck;
import com.github.dockerjava.api.model.HostConfig;
import com.github.dockerjava.api.model.LogConfig;
import com.github.dockerjava.api.model.Mount;
import com.github.dockerjava.api.model.MountType;
import com.github.dockerjava.api.model.Ulimit;
import dev.d8.executor.python.engine.AgentProgram;
import dev.d8.executor.python.engine.Frame;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Makes this slave's containers, and sees to it that none stays. Thread-safe. */
final class Containers implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(Containers.class);

    private static final String SLAVE = "d8.slave";
    private static final String BOOT = "d8.boot";

    /** Beside the task's own processes stands the agent. */
    private static final long OUR_PROCESSES = 1;

    /** What the engine may take until it has told us of a container that it lists already. */
    private static final Duration CREATION = Duration.ofSeconds(120);

    /** What an agent in a container waits beyond the longest time that it may be parked: then its slave is out of reach. */
    private static final Duration PATIENCE = Duration.ofMinutes(5);

    private static final long END_SECONDS = 2;
    private static final long ATTACH_SECONDS = 30;
    private static final long CLOSE_SECONDS = 10;

    private final DockerSettings settings;
    private final String slaveId;
    private final String boot = UUID.randomUUID().toString();
    private final Executor workers;
    private final Map<String, DockerClient> alive = new ConcurrentHashMap<>();
    /** Those of {@link #alive} that nobody needs any more and that could not be removed. */
    private final Set<String> stuck = ConcurrentHashMap.newKeySet();
    /** Shared by those who create, so that closing knows of every container that was made. */
    private final ReadWriteLock creating = new ReentrantReadWriteLock();

    private volatile boolean closed;

    Containers(DockerSettings settings, String slaveId, Executor workers) {
        this.settings = settings;
        this.slaveId = slaveId;
        this.workers = workers;
    }

    /**
     * Starts a container whose agent waits for a task. Blocks for some hundred milliseconds.
     *
     * @throws RuntimeException if the engine does not make it; nothing of it is left then
     */
    ContainerLink open(ReadyEngine engine, Shape shape) {
        Optional<HostsFile.Place> hosts = engine.hosts().place();
        if (hosts.isPresent()) {
            try {
                ContainerLink link = open(engine, shape, hosts.map(HostsFile.Place::path));
                engine.hosts().worked();
                return link;
            } catch (RuntimeException e) {
                // Whatever it is, it may be that.
                ContainerLink link = open(engine, shape, Optional.empty());
                engine.hosts().failed(hosts.get(), EngineTrouble.words(e));
                return link;
            }
        }
        return open(engine, shape, Optional.empty());
    }

    private ContainerLink open(ReadyEngine engine, Shape shape, Optional<String> hosts) {
        String id = create(engine, shape, hosts);
        ContainerLink link = new ContainerLink(id, ended -> remove(engine.control(), ended));
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
            link.send(shape.image()
                    .agent()
                    .greeting(new Frame.Header()
                            .put("mode", "task")
                            .put("walls", "container")
                            .put("isolation", "none")
                            .put(
                                    "patience",
                                    settings.pool().idle().plus(PATIENCE).toSeconds())));
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

    private String create(ReadyEngine engine, Shape shape, Optional<String> hosts) {
        return create(
                engine.control(),
                engine.control()
                        .createContainerCmd(shape.image().id())
                        .withEntrypoint(AgentProgram.command("python3"))
                        .withEnv(List.of("HOME=/tmp"))
                        .withUser(settings.user())
                        .withWorkingDir("/tmp")
                        // A first process heeds no other signal, and an engine that stops would wait for it.
                        .withStopSignal("SIGKILL")
                        .withAttachStdin(true)
                        .withAttachStdout(true)
                        .withAttachStderr(true)
                        // Open once: when the slave detaches or dies, the agent reads an end of file and ends its task.
                        .withStdinOpen(true)
                        .withStdInOnce(true)
                        .withNetworkDisabled(hosts.isPresent())
                        .withHealthcheck(new HealthCheck().withTest(List.of("NONE")))
                        .withHostConfig(walls(engine, shape, hosts)));
    }

    /** Has an engine make a container with this slave's mark, which is removed whatever happens. */
    String create(DockerClient client, CreateContainerCmd command) {
        creating.readLock().lock();
        try {
            if (closed) {
                throw new IllegalStateException("the executor is closed");
            }
            String id = command.withLabels(Map.of(SLAVE, slaveId, BOOT, boot))
                    .exec()
                    .getId();
            alive.put(id, client);
            return id;
        } finally {
            creating.readLock().unlock();
        }
    }

    private HostConfig walls(ReadyEngine engine, Shape shape, Optional<String> hosts) {
        HostConfig host = HostConfig.newHostConfig()
                .withNetworkMode(settings.network())
                .withReadonlyRootfs(true)
                .withCapDrop(Capability.ALL)
                .withSecurityOpts(List.of("no-new-privileges"))
                .withPidsLimit(shape.processes() + OUR_PROCESSES)
                .withMemory(shape.memoryBytes())
                .withMemorySwap(shape.memoryBytes())
                .withTmpFs(writable(shape))
                .withUlimits(List.of(new Ulimit("core", 0L, 0L), new Ulimit("nofile", 1024L, 4096L)))
                .withLogConfig(new LogConfig(LogConfig.LoggingType.NONE))
                .withIpcMode("private")
                .withAutoRemove(true);
        if (engine.can("cpu_limit")) { // Docker fails where the kernel cannot; what it says of the others is a warning.
            host.withNanoCPUs(settings.nanoCpus());
        }
        List<Mount> mounts = new ArrayList<>();
        hosts.ifPresent(file -> mounts.add(bind(file, "/etc/hosts").withReadOnly(true)));
        shape.mount()
                .ifPresent(directory -> mounts.add(
                        bind(directory.source().toString(), directory.target().toString())
                                .withReadOnly(!directory.writable())));
        host.withMounts(mounts);
        return host;
    }

    /** Returns what can be written to: in memory, so that it counts as the task's and is gone with it. */
    private Map<String, String> writable(Shape shape) {
        Set<String> paths = new TreeSet<>(shape.image().volumes()); // Else the engine makes volumes on its disk.
        shape.mount().ifPresent(mount -> paths.remove(mount.target().toString()));
        paths.add("/tmp");
        String options = "rw,noexec,nosuid,nodev,mode=1777,size=" + settings.tmpBytes();
        return paths.stream().collect(Collectors.toMap(path -> path, path -> options));
    }

    /** Waits for a moment; returns whether the engine says that a container has ended. */
    static boolean hasEnded(ReadyEngine engine, String id) throws InterruptedException {
        try (WaitContainerResultCallback end =
                engine.streams().waitContainerCmd(id).exec(new WaitContainerResultCallback())) {
            return end.awaitCompletion(END_SECONDS, TimeUnit.SECONDS);
        } catch (NotFoundException e) {
            return true;
        } catch (IOException | RuntimeException e) {
            return false;
        }
    }

    private static Mount bind(String source, String target) {
        return new Mount().withType(MountType.BIND).withSource(source).withTarget(target);
    }

    private CompletableFuture<Void> remove(DockerClient client, ContainerLink link) {
        String id = link.container();
        if (!link.over()) {
            return remove(client, id);
        }
        // The engine removes it by itself; to tell it to do so would be more work for both.
        return link.ended()
                .copy()
                .orTimeout(END_SECONDS, TimeUnit.SECONDS)
                .handle((nothing, late) -> late == null)
                .thenCompose(ended -> {
                    if (!ended) {
                        return remove(client, id);
                    }
                    forget(id);
                    return CompletableFuture.completedFuture(null);
                });
    }

    /** Ends and removes a container in the background; done when it is gone, never fails. */
    private CompletableFuture<Void> remove(DockerClient client, String id) {
        if (!alive.containsKey(id)) {
            return CompletableFuture.completedFuture(null); // Another was faster.
        }
        try {
            return CompletableFuture.runAsync(() -> removeNow(client, id), workers);
        } catch (RejectedExecutionException | OutOfMemoryError e) {
            removeNow(client, id); // The executor is closed, or the machine has no thread left.
            return CompletableFuture.completedFuture(null);
        }
    }

    /** Ends and removes a container; one that cannot be removed is tried again by {@link #sweep} and {@link #close}. */
    void removeNow(DockerClient client, String id) {
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
            stuck.add(id);
            return;
        }
        forget(id);
    }

    private void forget(String id) {
        alive.remove(id);
        stuck.remove(id);
    }

    /**
     * Removes containers with this slave's mark that an earlier life left behind, of which nobody heard, or that could not
     * be removed, and forgets those that are gone.
     */
    void sweep(ReadyEngine engine) {
        Set<String> gone = new HashSet<>(); // Those that are made from here on are in no list yet.
        alive.forEach((id, client) -> {
            if (client.equals(engine.control())) {
                gone.add(id);
            }
        });
        List<Container> marked = engine.control()
                .listContainersCmd()
                .withShowAll(true)
                .withLabelFilter(Map.of(SLAVE, slaveId))
                .exec();
        marked.forEach(container -> gone.remove(container.getId()));
        gone.forEach(this::forget);
        for (Container container : marked) {
            boolean ours = boot.equals(container.getLabels().get(BOOT));
            Instant created = Instant.ofEpochSecond(container.getCreated());
            if (!ours
                    || stuck.contains(container.getId())
                    || (!alive.containsKey(container.getId())
                            && created.plus(CREATION).isBefore(engine.clock()))) {
                LOG.info(
                        "container {} was left {} and is removed",
                        container.getId(),
                        ours ? "over" : "by an earlier life");
                alive.put(container.getId(), engine.control());
                removeNow(engine.control(), container.getId());
            }
        }
    }

    /** Returns the ids of the containers that are there as far as is known. */
    Set<String> known() {
        return Set.copyOf(alive.keySet());
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
