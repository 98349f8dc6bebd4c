package dev.d8.executor.venv;

import dev.d8.Invocation;
import dev.d8.Termination.Status;
import dev.d8.executor.python.engine.PythonEngine;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Builds virtual environments, as tasks of an engine: a package's set-up runs code of whoever wrote it, so it gets the
 * walls, the time-out and the end of a task.
 */
final class VenvBuilder {

    /** How much of what pip says goes into an error, in lines. */
    private static final int LAST_LINES = 12;

    /** Where the packages come from, who may be asked for them, and how: what pip and uv read from the environment. */
    static final List<String> ENVIRONMENT = List.of(
            "PIP_INDEX_URL",
            "PIP_EXTRA_INDEX_URL",
            "PIP_FIND_LINKS",
            "PIP_NO_INDEX",
            "PIP_TRUSTED_HOST",
            "PIP_CERT",
            "PIP_CONFIG_FILE",
            "PIP_CACHE_DIR",
            "UV_INDEX_URL",
            "UV_EXTRA_INDEX_URL",
            "UV_FIND_LINKS",
            "UV_NO_INDEX",
            "UV_CACHE_DIR",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "REQUESTS_CA_BUNDLE",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "NO_PROXY",
            "http_proxy",
            "https_proxy",
            "no_proxy");

    private static final String WITH_PIP = """
            import subprocess, sys
            target, *rest = sys.argv[1:]
            subprocess.run([sys.executable, '-m', 'venv', target], check=True, stdout=sys.stderr)
            subprocess.run([target + '/bin/python', '-m', 'pip', 'install', '--no-input', '--disable-pip-version-check',
                            '--progress-bar=off', *rest], check=True, stdout=sys.stderr)
            """;

    private static final String WITH_UV = """
            import subprocess, sys
            uv, target, *rest = sys.argv[1:]
            subprocess.run([uv, 'venv', '--python', sys.executable, target], check=True, stdout=sys.stderr)
            subprocess.run([uv, 'pip', 'install', '--python', target + '/bin/python', *rest], check=True, stdout=sys.stderr)
            """;

    private final PythonEngine engine;
    private final Map<String, String> environment;
    private final List<String> pipArguments;
    private final Duration timeout;
    private final Optional<Path> uv;

    VenvBuilder(
            PythonEngine engine,
            Map<String, String> environment,
            List<String> pipArguments,
            Duration timeout,
            Optional<Path> uv) {
        this.engine = engine;
        this.environment = environment;
        this.pipArguments = pipArguments;
        this.timeout = timeout;
        this.uv = uv;
    }

    /** Says what it builds with. */
    String tool() {
        return uv.isPresent() ? "uv" : "pip";
    }

    /**
     * Builds an environment at a path where nothing is. Blocks.
     *
     * @throws BuildException if it cannot be built
     */
    void build(Path target, Requirements requirements) throws BuildException, InterruptedException {
        List<String> arguments = new ArrayList<>();
        uv.ifPresent(path -> arguments.add(path.toString()));
        arguments.add(target.toString());
        arguments.addAll(pipArguments);
        arguments.addAll(requirements.lines());
        ExecutionOutcome outcome = engine.execute(
                Invocation.python(uv.isPresent() ? WITH_UV : WITH_PIP)
                        .args(arguments)
                        .env(environment)
                        .timeout(timeout)
                        .build(),
                ExecutionListener.NONE);
        if (outcome.termination().success()) {
            return;
        }
        String message = outcome.termination().status() == Status.NONZERO_EXIT
                ? tool() + " failed"
                : outcome.message().orElse(outcome.termination().toString());
        throw new BuildException("the environment for " + String.join(", ", requirements.lines()) + " cannot be built: "
                + message + lastLines(outcome.stderr().text()));
    }

    private static String lastLines(String text) {
        // The last words of the program above are about the tool's exit code, which says nothing new.
        int ours = text.lastIndexOf("Traceback (most recent call last):");
        List<String> lines =
                (ours < 0 ? text : text.substring(0, ours)).strip().lines().toList();
        List<String> last = lines.subList(Math.max(0, lines.size() - LAST_LINES), lines.size());
        return last.isEmpty() ? "" : "\n" + String.join("\n", last);
    }
}
