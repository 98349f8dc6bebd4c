package dev.d8.examples.shell;

import dev.d8.ExecutorInfo;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Limits;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.spi.Availability;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs shell source with {@code /bin/sh}, a fresh process for each task.
 *
 * <p>The source goes into a private folder that is gone afterwards, so standard input is the task's and nobody reads the
 * source in a list of processes. Where the task names no working directory it runs in that folder. The environment starts
 * empty; a few names are let through.
 *
 * <p>What it cannot do, so that nobody who copies it is surprised: it sets no limit but that of output; it runs tasks as
 * the slave's own user; and since Java reports a process ended by signal <i>n</i> as exit code 128 + <i>n</i>, so does
 * this, as a shell would. {@link ProcessTree} says which processes it cannot find.
 */
final class ShellExecutor implements Executor {

    private static final Path SHELL = Path.of("/bin/sh");
    private static final Path SETSID = Path.of("/usr/bin/setsid");
    private static final List<String> PASSED_ON = List.of("PATH", "HOME", "LANG", "TMPDIR");
    private static final Duration GRACE = Duration.ofSeconds(2);
    private static final ExecutorInfo INFO = new ExecutorInfo(
            false, Files.isExecutable(SETSID) ? List.of("process", "session") : List.of("process"), Optional.empty());

    private static final Logger LOG = LoggerFactory.getLogger(ShellExecutor.class);

    private final Set<ProcessTree> running = ConcurrentHashMap.newKeySet();

    @Override
    public Availability probe() {
        return Files.isExecutable(SHELL)
                ? new Availability.Available(SHELL.toString(), Isolation.PROCESS, Optional.empty())
                : new Availability.Unavailable(SHELL + " is not there or cannot be executed; is this a POSIX system?");
    }

    @Override
    public Optional<String> objection(Invocation invocation) {
        if (!invocation.runtime().equals("shell")) {
            return Optional.of("runs the runtime shell, not " + invocation.runtime());
        }
        if (!invocation.requirements().isEmpty()) {
            return Optional.of("cannot install requirements");
        }
        if (invocation.image().isPresent()) {
            return Optional.of("runs on the machine itself, not on an image");
        }
        Limits limits = invocation.limits();
        return limits.memoryBytes().isPresent()
                        || limits.cpuTime().isPresent()
                        || limits.processes().isPresent()
                        || limits.fileBytes().isPresent()
                ? Optional.of("can limit output, but not memory, CPU time, processes or files")
                : Optional.empty();
    }

    @Override
    public ExecutionOutcome execute(Invocation invocation, ExecutionListener listener) throws InterruptedException {
        long called = System.nanoTime();
        Optional<String> dir = invocation.workingDir();
        if (dir.isPresent() && !Files.isDirectory(Path.of(dir.get()))) {
            return notStarted("working_dir: " + dir.get() + " does not exist on this slave, or is not a directory");
        }
        Path folder;
        try {
            folder = Files.createTempDirectory("d8-shell-"); // For this user only: mode 0700.
        } catch (IOException e) {
            return notStarted("cannot make a folder for the source: " + e.getMessage());
        }
        try {
            Path script = Files.writeString(folder.resolve("script"), invocation.source());
            Process process = start(invocation, script, dir.map(Path::of).orElse(folder));
            return follow(process, invocation, listener, called);
        } catch (IOException e) {
            return notStarted("cannot start " + SHELL + ": " + e.getMessage());
        } finally {
            delete(folder);
        }
    }

    @Override
    public void close() {
        running.forEach(ProcessTree::kill);
    }

    private static Process start(Invocation invocation, Path script, Path dir) throws IOException {
        List<String> command = new ArrayList<>();
        if (Files.isExecutable(SETSID)) {
            command.add(SETSID.toString()); // It becomes the shell, so the process leads a session of its own.
        }
        command.addAll(List.of(SHELL.toString(), script.toString()));
        command.addAll(invocation.args());
        ProcessBuilder builder = new ProcessBuilder(command).directory(dir.toFile());
        Map<String, String> environment = builder.environment();
        environment.keySet().retainAll(PASSED_ON);
        environment.putAll(invocation.env());
        return builder.start();
    }

    private ExecutionOutcome follow(Process process, Invocation invocation, ExecutionListener listener, long called)
            throws InterruptedException {
        Duration startup = Duration.ofNanos(System.nanoTime() - called);
        ProcessTree tree = new ProcessTree(process);
        running.add(tree);
        try (Conversation conversation = new Conversation(process, invocation, listener)) {
            boolean inTime = conversation.hold(invocation.timeout());
            if (!inTime) {
                tree.terminate();
                conversation.hold(GRACE);
            }
            tree.kill();
            conversation.finish();
            return new ExecutionOutcome(
                    inTime ? Termination.exited(process.exitValue()) : Termination.of(Status.TIMEOUT),
                    conversation.stdout(),
                    conversation.stderr(),
                    inTime ? Optional.empty() : Optional.of("timed out after " + seconds(invocation.timeout())),
                    startup,
                    Optional.empty(),
                    INFO,
                    tree.leftoversKilled());
        } catch (InterruptedException e) {
            tree.end(GRACE);
            throw e;
        } finally {
            tree.kill();
            running.remove(tree);
        }
    }

    private static ExecutionOutcome notStarted(String why) {
        return ExecutionOutcome.notStarted(Status.START_FAILED, why, INFO);
    }

    private static String seconds(Duration time) {
        return BigDecimal.valueOf(time.toMillis(), 3).stripTrailingZeros().toPlainString() + " s";
    }

    private static void delete(Path folder) {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.delete(file);
            }
        } catch (IOException | UncheckedIOException e) {
            LOG.warn("Cannot delete {}: {}", folder, e.toString());
        }
    }
}
