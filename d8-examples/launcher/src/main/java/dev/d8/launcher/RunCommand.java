package dev.d8.launcher;

import dev.d8.ConfigurationException;
import dev.d8.InvalidTaskException;
import dev.d8.Task;
import dev.d8.TaskResult;
import dev.d8.master.ConnectionPolicy;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import dev.d8.master.SlaveStatus;
import dev.d8.spi.WireFormat;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code d8 run}: one task on one slave, its output to standard output and its error to standard error. */
@Command(
        name = "run",
        mixinStandardHelpOptions = true,
        description = "Runs one task on a slave; its output goes to standard output, its error to standard error.")
final class RunCommand implements Callable<Integer> {

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it.
    private CommandSpec spec;

    @Mixin
    private final MasterOptions master = new MasterOptions();

    @Option(
            names = "--slave",
            required = true,
            paramLabel = "HOST:PORT",
            converter = SlaveAddress.class,
            description = "the slave that runs it")
    @SuppressWarnings("NullAway.Init") // Required.
    private URI slave;

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

    @Option(names = "--json", description = "print the whole result as a JSON object")
    private boolean json;

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

    @Override
    public Integer call() throws InterruptedException {
        Task task = task();
        URI address = master.complete(slave);
        // A person waits: one try, and the reason at once.
        try (SlaveManager manager =
                master.manager(ConnectionPolicy.DEFAULT.withTries(1)).build()) {
            Slave registered = Answers.await(manager.register("slave", address));
            if (registered.status() != SlaveStatus.ALIVE) {
                throw Answers.unusable(registered, address);
            }
            CompletableFuture<CompletableFuture<TaskResult>> sent = new CompletableFuture<>();
            Runnable hangUp = manager::close;
            // Before the task is sent: Ctrl-C may come as soon as it runs, and the slave would keep it, since it has an
            // id.
            Thread whenStopped = new Thread(() -> {
                if (sent.completeOnTimeout(new CompletableFuture<>(), 2, TimeUnit.SECONDS)
                        .join()
                        .cancel(true)) {
                    hangUp.run();
                }
            });
            Runtime.getRuntime().addShutdownHook(whenStopped);
            CompletableFuture<TaskResult> result = manager.execute("slave", task);
            sent.complete(result);
            try {
                // A copy: whoever waits for a future runs what depends on it, and this here would race with the thread
                // above.
                return report(Answers.await(result.copy()));
            } catch (CompletionException e) {
                if (!result.isCancelled()) {
                    throw e;
                }
                whenStopped.join(); // It may have the slave still to tell.
                return Main.TASK_FAILED; // Nobody hears it: the signal is the exit status.
            }
        }
    }

    private Task task() {
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

    private int report(TaskResult result) {
        if (json) {
            print(System.out, WireFormat.json().encode(result));
            System.out.println();
        } else {
            print(System.out, result.stdout().bytes());
            print(System.err, result.stderr().bytes());
        }
        return result.success() ? Main.DONE : Main.TASK_FAILED;
    }

    /** Bytes as the task wrote them, whatever this terminal's character set is. */
    private static void print(PrintStream stream, byte[] bytes) {
        stream.write(bytes, 0, bytes.length);
        stream.flush();
    }
}
