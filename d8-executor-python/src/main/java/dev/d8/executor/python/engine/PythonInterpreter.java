package dev.d8.executor.python.engine;

import dev.d8.ConfigurationException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * A Python interpreter that tasks can run on.
 *
 * @param executable the real one, {@code sys.executable}: never a shim that costs 200 ms at every start
 * @param version {@code 3.11.2}
 * @param fullVersion {@code sys.version}, on one line
 */
public record PythonInterpreter(Path executable, String version, String fullVersion) {

    /** The oldest Python that the agent runs on: 3.9. */
    public static final int OLDEST_MINOR = 9;

    private static final Set<String> HEEDED_AT_START = Set.of("LANG", "LANGUAGE", "TZ", "GLIBC_TUNABLES");

    private static final List<String> HEEDED_PREFIXES = List.of("PYTHON", "LD_", "LC_", "MALLOC_");

    private static final long ANSWER_SECONDS = 5;

    private static final String QUESTION =
            "import sys\nprint(sys.executable)\nprint('%d.%d.%d' % sys.version_info[:3])\nprint(sys.version.replace('\\n', ''))";

    /** Returns whether an interpreter reads a variable while it starts, so that it must be there before. */
    public static boolean heedsAtStart(String variable) {
        return HEEDED_AT_START.contains(variable) || HEEDED_PREFIXES.stream().anyMatch(variable::startsWith);
    }

    /** Returns where on the {@code PATH} a program of this name stands. */
    public static Optional<Path> onPath(String name) {
        for (String directory : System.getenv().getOrDefault("PATH", "").split(":", -1)) {
            if (!directory.isEmpty()) {
                Path candidate = Path.of(directory).resolve(name);
                if (Files.isExecutable(candidate) && !Files.isDirectory(candidate)) {
                    return Optional.of(candidate);
                }
            }
        }
        return Optional.empty();
    }

    /**
     * Asks a program who it is.
     *
     * @param candidate an interpreter, or a shim that starts one
     * @param environment what it is started with
     * @throws ConfigurationException if it is no usable Python; the message says why
     */
    public static PythonInterpreter ask(Path candidate, Map<String, String> environment) {
        List<String> lines = run(candidate, environment, QUESTION);
        if (lines.size() != 3) {
            throw new ConfigurationException(candidate + " is no working Python: it does not say its version");
        }
        String[] parts = lines.get(1).split("\\.", -1);
        if (!parts[0].equals("3") || Integer.parseInt(parts[1]) < OLDEST_MINOR) {
            throw new ConfigurationException(
                    candidate + " is Python " + lines.get(1) + " (expected: 3." + OLDEST_MINOR + " or later)");
        }
        return new PythonInterpreter(Path.of(lines.get(0)), lines.get(1), lines.get(2));
    }

    /** Returns this interpreter as it is started by another path, such as the link in a virtual environment. */
    public PythonInterpreter at(Path path) {
        return new PythonInterpreter(path, version, fullVersion);
    }

    /**
     * Sees whether modules can be imported.
     *
     * @throws ConfigurationException if one cannot; the message says which and why
     */
    public void requireModules(List<String> modules, Map<String, String> environment) {
        for (String module : modules) {
            if (!module.matches("[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)*")) {
                throw new ConfigurationException("option preload: \"" + module + "\" (expected: names of modules)");
            }
            String question = "import sys; sys.path.pop(0)\ntry:\n    import " + module
                    + "\nexcept BaseException as e:\n    print('%s: %s' % (type(e).__name__, e))";
            List<String> trouble = run(executable, environment, question);
            if (!trouble.isEmpty()) {
                throw new ConfigurationException(
                        executable + " cannot import " + module + ": " + trouble.get(trouble.size() - 1));
            }
        }
    }

    private static List<String> run(Path python, Map<String, String> environment, String program) {
        byte[] output = run(python, environment, program, new byte[0]);
        return new String(output, StandardCharsets.UTF_8).lines().toList();
    }

    /** Returns what a short program prints when it is given some input. */
    static byte[] run(Path python, Map<String, String> environment, String program, byte[] input) {
        try {
            ProcessBuilder builder = new ProcessBuilder(python.toString(), "-c", program);
            builder.environment().clear();
            builder.environment().putAll(environment);
            builder.redirectError(ProcessBuilder.Redirect.DISCARD);
            Process process = builder.start();
            // Once more: a slave that was stopped for a while finds its own time-out over, and the answer there.
            CompletableFuture<Process> end = process.onExit()
                    .orTimeout(ANSWER_SECONDS, TimeUnit.SECONDS)
                    .exceptionallyCompose(late -> process.onExit().orTimeout(1, TimeUnit.SECONDS));
            var unused = end.whenComplete((ended, late) -> {
                if (late != null) {
                    process.destroyForcibly(); // Which ends the reading below.
                }
            });
            try (OutputStream out = process.getOutputStream()) {
                out.write(input);
            } catch (IOException e) {
                // It does not want it.
            }
            byte[] output;
            try (InputStream in = process.getInputStream()) {
                output = in.readAllBytes();
            }
            process.waitFor();
            if (end.isCompletedExceptionally()) {
                throw new ConfigurationException(python + " did not answer within " + ANSWER_SECONDS + " s");
            }
            return output;
        } catch (IOException e) {
            throw new ConfigurationException(python + " cannot be started: " + e.getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new ConfigurationException("interrupted while asking " + python, e);
        }
    }
}
