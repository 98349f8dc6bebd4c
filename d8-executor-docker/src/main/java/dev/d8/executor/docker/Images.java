package dev.d8.executor.docker;

import com.github.dockerjava.api.exception.NotFoundException;
import dev.d8.Invocation;
import dev.d8.executor.python.engine.AgentProgram;
import dev.d8.executor.python.engine.PythonInterpreter;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.TimeSource;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Finds images on an engine, and tries each out once: it tells its Python's version, that all this works, and the agent as
 * that Python compiles it, which spares every container to come the compiler's time and memory. Thread-safe.
 */
final class Images {

    private static final String QUESTION =
            "import sys\nprint(sys.version.replace('\\n', ''), flush=True)\n" + AgentProgram.compiler();

    private final DockerSettings settings;
    private final ContainerRunner runner;
    private final TimeSource time;
    private final Map<String, Image> tried = new ConcurrentHashMap<>();

    Images(DockerSettings settings, ContainerRunner runner, TimeSource time) {
        this.settings = settings;
        this.runner = runner;
        this.time = time;
    }

    /**
     * Returns what an image's name means now. Starts a container where that has not been seen before.
     *
     * @throws NotReadyException if tasks cannot run on it; the message says what to do about it
     */
    Image find(ReadyEngine engine, String name) throws NotReadyException, InterruptedException {
        String id = id(engine, name);
        Image known = tried.get(id);
        if (known == null) {
            known = tryOut(engine, name, id);
            tried.put(id, known);
        }
        return known;
    }

    private static String id(ReadyEngine engine, String name) throws NotReadyException {
        try {
            return String.valueOf(engine.control().inspectImageCmd(name).exec().getId());
        } catch (NotFoundException e) {
            throw new NotReadyException(
                    "image " + name + " is not on this machine; docker pull " + name + ", or set docker.image");
        } catch (RuntimeException e) {
            throw new NotReadyException(EngineTrouble.connecting(e, engine.host()));
        }
    }

    private Image tryOut(ReadyEngine engine, String name, String id) throws NotReadyException, InterruptedException {
        Image unknown = new Image(id, "", AgentProgram.source());
        Invocation question = Invocation.python(QUESTION)
                .stdin(AgentProgram.text())
                .timeout(Duration.ofSeconds(20))
                .build();
        ExecutionOutcome outcome = runner.runCold(
                engine, Shape.usual(settings, unknown), question, ExecutionListener.NONE, time.nanoTime());
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
        return new Image(id, version, AgentProgram.compiled(agent));
    }
}
