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
import java.time.Duration;
import java.time.Instant;
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

/** Runs one task in one container: makes it, holds the conversation, has it removed. Thread-safe. */
final class ContainerRunner {

    private static final Logger LOG = LoggerFactory.getLogger(ContainerRunner.class);

    /** A busy engine on a small machine takes seconds. */
    private static final long START_SECONDS = 60;

    private static final long REMOVE_SECONDS = 10;

    /** What a container may live beyond its task's time-out: its start, the agent's grace, and a slow machine. */
    private static final Duration DEADLINE_MARGIN = Duration.ofSeconds(120);

    private final Containers containers;
    private final TimeSource time;
    private final Executor workers;
    private final AgentProgram program = AgentProgram.source();

    ContainerRunner(Containers containers, TimeSource time, Executor workers) {
        this.containers = containers;
        this.time = time;
        this.workers = workers;
    }

    ExecutionOutcome run(
            ReadyEngine engine,
            Invocation invocation,
            Optional<WorkingDirs.Mount> mount,
            ExecutionListener listener,
            long began)
            throws InterruptedException {
        Instant deadline = engine.timeAfter(invocation.timeout().plus(DEADLINE_MARGIN), time.nanoTime());
        // On another thread: an interrupt would close the socket in the middle of a call, and leave a container of
        // which nobody knows.
        CompletableFuture<ContainerLink> opening =
                CompletableFuture.supplyAsync(() -> containers.open(engine, invocation, mount, deadline), workers);
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
        try (link) {
            link.send(program.greeting(new Frame.Header()
                    .put("mode", "task")
                    .put("walls", "container")
                    .put("isolation", "none")));
            Invocation inside = inside(invocation);
            return new AgentConversation(
                            link, AgentProgram.request(inside, false), inside, listener, time, false, engine.walls())
                    .run(began);
        } catch (InterruptedException e) {
            link.close();
            awaitRemoved(link.removed(), invocation);
            throw e;
        }
    }

    /** Memory and processes are limited from outside: inside, they would hit the agent's child a second time, harder. */
    private static Invocation inside(Invocation invocation) {
        Limits limits = invocation.limits();
        return invocation.toBuilder()
                .limits(new Limits(
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

    private static ExecutionOutcome notStarted(String message) {
        return ExecutionOutcome.notStarted(
                Status.START_FAILED, message, new ExecutorInfo(false, List.of(), Optional.empty()));
    }
}
