package dev.d8.executor.docker;

import com.github.dockerjava.api.command.InspectImageResponse;
import com.github.dockerjava.api.exception.NotFoundException;
import com.github.dockerjava.api.model.ContainerConfig;
import dev.d8.Invocation;
import dev.d8.Termination;
import dev.d8.executor.python.engine.AgentProgram;
import dev.d8.executor.python.engine.PythonInterpreter;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.TimeSource;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Finds images on an engine, and tries each out once: it tells its Python's version, that all this works, that the agent is
 * out of a task's reach, and the agent as that Python compiles it, which spares every container to come the compiler's time
 * and memory. Thread-safe.
 */
final class Images {

    private static final int EXPOSED = 77;

    private static final String QUESTION = """
            import os, sys
            try:
                os.close(os.open('/proc/1/fd/1', os.O_WRONLY))
                sys.exit(%d)
            except OSError:
                pass
            print(sys.version.replace('\\n', ''), flush=True)
            """.formatted(EXPOSED) + AgentProgram.compiler();

    private static final long INSPECT_SECONDS = ContainerRunner.START_SECONDS;
    private static final long RUN_SECONDS = 20;

    /** Starts, runs, and is waited for until it has ended. */
    private static final long TRY_OUT_SECONDS = 2 * ContainerRunner.START_SECONDS + RUN_SECONDS;

    private final DockerSettings settings;
    private final ContainerRunner runner;
    private final TimeSource time;
    private final Executor workers;
    private final Map<String, CompletableFuture<Image>> tried = new ConcurrentHashMap<>();

    Images(DockerSettings settings, ContainerRunner runner, TimeSource time, Executor workers) {
        this.settings = settings;
        this.runner = runner;
        this.time = time;
        this.workers = workers;
    }

    /**
     * Returns what an image's name means now. Starts a container where that has not been seen before.
     *
     * @throws NotReadyException if tasks cannot run on it; the message says what to do about it
     */
    Image find(ReadyEngine engine, String name) throws NotReadyException, InterruptedException {
        Image unknown = await(inBackground(() -> inspect(engine, name)), name, INSPECT_SECONDS);
        // Whoever comes while it is tried out waits for the same answer.
        return await(
                tried.computeIfAbsent(
                        unknown.id(),
                        id -> inBackground(() -> {
                            boolean works = false;
                            try {
                                Image known = tryOut(engine, name, unknown);
                                works = true;
                                return known;
                            } finally {
                                if (!works) {
                                    tried.remove(id);
                                }
                            }
                        })),
                name,
                TRY_OUT_SECONDS);
    }

    /** Off the task's thread: an engine that hangs holds a call for ever, and an interrupt breaks it. */
    private <T> CompletableFuture<T> inBackground(Callable<T> work) {
        CompletableFuture<T> result = new CompletableFuture<>();
        workers.execute(() -> {
            try {
                result.complete(work.call());
            } catch (Throwable e) {
                result.completeExceptionally(e);
            }
        });
        return result;
    }

    private static <T> T await(CompletableFuture<T> answer, String name, long seconds)
            throws NotReadyException, InterruptedException {
        try {
            return answer.get(seconds, TimeUnit.SECONDS);
        } catch (TimeoutException e) {
            throw new NotReadyException("the Docker engine says nothing of image " + name + " within " + seconds
                    + " s: it hangs or is overloaded. See whether docker version answers");
        } catch (ExecutionException e) {
            throw new NotReadyException(
                    e.getCause() instanceof NotReadyException known
                            ? String.valueOf(known.getMessage())
                            : "image " + name + " cannot be tried out: " + EngineTrouble.words(e));
        }
    }

    private static Image inspect(ReadyEngine engine, String name) throws NotReadyException {
        try {
            InspectImageResponse image = engine.control().inspectImageCmd(name).exec();
            ContainerConfig config = image.getConfig();
            Map<String, ?> volumes = config == null ? null : config.getVolumes();
            return new Image(
                    String.valueOf(image.getId()),
                    volumes == null
                            ? List.of()
                            : volumes.keySet().stream()
                                    .map(path -> Path.of(path).normalize().toString())
                                    .sorted()
                                    .toList(),
                    "",
                    AgentProgram.source());
        } catch (NotFoundException e) {
            throw new NotReadyException(
                    "image " + name + " is not on this machine; docker pull " + name + ", or set docker.image");
        } catch (RuntimeException e) {
            throw new NotReadyException(EngineTrouble.connecting(e, engine.host()));
        }
    }

    private Image tryOut(ReadyEngine engine, String name, Image unknown)
            throws NotReadyException, InterruptedException {
        Invocation question = Invocation.python(QUESTION)
                .stdin(AgentProgram.text())
                .timeout(Duration.ofSeconds(RUN_SECONDS))
                .build();
        ExecutionOutcome outcome = runner.runCold(
                engine, Shape.usual(settings, unknown), question, ExecutionListener.NONE, time.nanoTime());
        if (outcome.termination().equals(Termination.exited(EXPOSED))) {
            throw new NotReadyException(
                    "image " + name + ": its Python has no ctypes that works, so the agent cannot hide"
                            + " from tasks, which could forge their results. Set docker.image to one with the whole standard library"
                            + " (Debian: python3, not python3-minimal)");
        }
        if (!outcome.termination().success()) {
            throw new NotReadyException("image " + name + " runs no Python: "
                    + outcome.message().orElseGet(() -> outcome.stderr().text().strip())
                    + ". Set docker.image to one with a python3 3." + PythonInterpreter.OLDEST_MINOR + " or later");
        }
        byte[] answer = outcome.stdout().bytes();
        int line = 0;
        while (line < answer.length && answer[line] != '\n') {
            line++;
        }
        String version = new String(answer, 0, line, StandardCharsets.UTF_8).strip();
        String[] parts = version.split("[. ]", -1);
        if (parts.length < 2 || !parts[0].equals("3") || Integer.parseInt(parts[1]) < PythonInterpreter.OLDEST_MINOR) {
            throw new NotReadyException("image " + name + " has Python " + version + " (expected: 3."
                    + PythonInterpreter.OLDEST_MINOR + " or later). Set docker.image");
        }
        byte[] agent = Arrays.copyOfRange(answer, Math.min(line + 1, answer.length), answer.length);
        return new Image(unknown.id(), unknown.volumes(), version, AgentProgram.compiled(agent));
    }
}
