package dev.d8.executor.docker;

import dev.d8.ExecutorInfo;
import dev.d8.Invocation;
import dev.d8.Limits;
import dev.d8.Termination.Status;
import dev.d8.executor.python.engine.AgentConversation;
import dev.d8.executor.python.engine.AgentProgram;
import dev.d8.executor.python.engine.Frame;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.TimeSource;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Runs one task in one container: holds the conversation and has the container removed. Thread-safe. */
final class ContainerRunner {

    private static final Logger LOG = LoggerFactory.getLogger(ContainerRunner.class);

    /** A busy engine on a small machine takes seconds. */
    static final long START_SECONDS = 60;

    private static final long REMOVE_SECONDS = 10;

    private final Containers containers;
    private final DockerSettings settings;
    private final TimeSource time;
    private final Executor workers;

    ContainerRunner(Containers containers, DockerSettings settings, TimeSource time, Executor workers) {
        this.containers = containers;
        this.settings = settings;
        this.time = time;
        this.workers = workers;
    }

    /** Runs a task in a container that is made for it. */
    ExecutionOutcome runCold(
            ReadyEngine engine, Shape shape, Invocation invocation, ExecutionListener listener, long began)
            throws InterruptedException {
        // On another thread: an interrupt would close the socket in the middle of a call, and leave a container of
        // which nobody knows.
        CompletableFuture<ContainerLink> opening =
                CompletableFuture.supplyAsync(() -> containers.open(engine, shape), workers);
        ContainerLink link;
        try {
            link = opening.get(START_SECONDS, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            awaitRemoved(opening.thenCompose(ContainerRunner::abandon), invocation);
            throw e;
        } catch (TimeoutException e) {
            var unused = opening.thenCompose(ContainerRunner::abandon);
            return notStarted("the Docker engine did not start a container within " + START_SECONDS + " s");
        } catch (ExecutionException e) {
            return notStarted("the Docker engine did not start a container: " + EngineTrouble.words(e));
        }
        return converse(engine, shape, link, invocation, listener, began, false)
                .orElseGet(() -> notStarted("its container ended before it could start: " + link.diagnosis()));
    }

    /** Runs a task in a container that waits for one; nothing if it went away before it took the task. */
    Optional<ExecutionOutcome> runWarm(
            ReadyEngine engine,
            Shape shape,
            ContainerLink link,
            Invocation invocation,
            ExecutionListener listener,
            long began)
            throws InterruptedException {
        return converse(engine, shape, link, invocation, listener, began, true);
    }

    private Optional<ExecutionOutcome> converse(
            ReadyEngine engine,
            Shape shape,
            ContainerLink link,
            Invocation invocation,
            ExecutionListener listener,
            long began,
            boolean warm)
            throws InterruptedException {
        LOG.debug("task {}: in container {}", invocation.taskId(), link.container());
        try (link) {
            Invocation inside = inside(shape, invocation);
            Frame.Header header = new Frame.Header();
            shape.mount().ifPresent(mount -> header.put("working_dir_is", mount.is()));
            AgentConversation conversation = new AgentConversation(
                    link,
                    AgentProgram.request(inside, header),
                    inside,
                    listener,
                    time,
                    warm,
                    Walls.of(engine, shape, settings));
            ExecutionOutcome outcome = conversation.run(began);
            if (conversation.over()) {
                link.setOver();
            }
            if (!conversation.lostBeforeStart()) {
                return Optional.of(outcome);
            }
            // An agent says that a task starts before it starts it, but whoever relays that may have gone in between.
            // Only
            // a container that has ended by itself has certainly not started it.
            return Containers.hasEnded(engine, link.container()) ? Optional.empty() : Optional.of(lost(outcome));
        } catch (InterruptedException e) {
            link.close();
            awaitRemoved(link.removed(), invocation);
            throw e;
        }
    }

    /** Memory and processes are limited from outside: inside, they would hit the agent's child a second time, harder. */
    private static Invocation inside(Shape shape, Invocation invocation) {
        Limits limits = invocation.limits();
        Invocation.Builder inside = invocation.toBuilder();
        shape.mount().ifPresent(mount -> inside.workingDir(mount.target().toString()));
        return inside.limits(new Limits(
                        OptionalLong.empty(),
                        limits.cpuTime(),
                        OptionalLong.empty(),
                        limits.outputBytes(),
                        limits.fileBytes()))
                .build();
    }

    private static CompletableFuture<Void> abandon(ContainerLink link) {
        link.close();
        return link.removed();
    }

    private static void awaitRemoved(CompletableFuture<Void> removal, Invocation invocation) {
        try {
            removal.get(REMOVE_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            // It was never made.
        } catch (TimeoutException e) {
            LOG.warn("task {}: cancelled, but its container is still being removed", invocation.taskId());
        } catch (InterruptedException e) {
            LOG.warn("task {}: interrupted twice while its container is removed", invocation.taskId());
        }
    }

    private static ExecutionOutcome lost(ExecutionOutcome outcome) {
        return ExecutionOutcome.notStarted(
                Status.EXECUTOR_LOST,
                outcome.message().orElse("the Docker engine went away") + "; the task may have run",
                outcome.executor());
    }

    static ExecutionOutcome notStarted(String message) {
        return ExecutionOutcome.notStarted(
                Status.START_FAILED, message, new ExecutorInfo(false, List.of(), Optional.empty()));
    }
}
