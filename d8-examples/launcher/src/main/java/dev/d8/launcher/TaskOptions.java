package dev.d8.launcher;

import dev.d8.ConfigurationException;
import dev.d8.InvalidTaskException;
import dev.d8.Task;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;

/** A task, as people type it. */
final class TaskOptions {

    @Option(
            names = "--type",
            defaultValue = Task.PYTHON_CODE,
            description = "the task type (default: ${DEFAULT-VALUE})")
    private String type = Task.PYTHON_CODE;

    @Option(names = "--data", paramLabel = "JSON", description = "the task's data as a JSON object")
    private String data = "{}";

    @Option(names = "--timeout", paramLabel = "SECONDS", description = "how long it may run (default: 300)")
    private @Nullable Double timeout;

    @Option(names = "--method", paramLabel = "NAME", description = "this executor or fail (default: the best)")
    private @Nullable String method;

    @ArgGroup
    private @Nullable Source source;

    /** Where a program comes from. */
    static final class Source {
        @Parameters(paramLabel = "CODE", description = "the program; - reads it from standard input")
        private @Nullable String code;

        @Option(names = "--file", paramLabel = "FILE", description = "read the program from a file")
        private @Nullable Path file;

        String read() throws IOException {
            if (file != null) {
                return Files.readString(file);
            }
            return "-".equals(code)
                    ? new String(System.in.readAllBytes(), StandardCharsets.UTF_8)
                    : String.valueOf(code);
        }
    }

    /**
     * Returns the task.
     *
     * @throws ParameterException if it is incomplete or malformed
     */
    Task task(CommandSpec spec) {
        try {
            Task.Builder builder = Task.builder(type).data(data);
            if (source != null) {
                builder.with("command", source.read());
            } else if (type.equals(Task.PYTHON_CODE) && data.equals("{}")) {
                throw new ParameterException(spec.commandLine(), "the program is missing: CODE, --file FILE or -");
            }
            if (timeout != null) {
                if (!(timeout > 0 && timeout < 1e9)) {
                    throw new ConfigurationException("--timeout: " + timeout + " (expected: seconds above 0)");
                }
                builder.timeout(Duration.ofNanos(Math.round(timeout * 1e9)));
            }
            if (method != null) {
                builder.method(method);
            }
            return builder.build();
        } catch (InvalidTaskException e) {
            throw new ParameterException(spec.commandLine(), "--data: " + e.getMessage());
        } catch (IOException e) {
            throw new ParameterException(spec.commandLine(), "--file: cannot be read: " + e);
        }
    }
}
