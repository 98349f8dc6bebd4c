package dev.d8.launcher;

import dev.d8.Task;
import dev.d8.TaskResult;
import dev.d8.master.ConnectionPolicy;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import dev.d8.master.SlaveStatus;
import dev.d8.spi.ExecutionListener;
import java.net.URI;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
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

    @Mixin
    private final TaskOptions asked = new TaskOptions();

    @Option(names = "--json", description = "print the whole result as a JSON object")
    private boolean json;

    @Option(
            names = {"-f", "--follow"},
            description = "show the output and the progress while the task runs")
    private boolean follow;

    @Override
    public Integer call() throws InterruptedException {
        Task task = asked.task(spec);
        Terminal terminal = new Terminal();
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
            CompletableFuture<TaskResult> result =
                    manager.execute("slave", task, follow ? terminal : ExecutionListener.NONE);
            sent.complete(result);
            try {
                // A copy: whoever waits for a future runs what depends on it, and this here would race with the thread
                // above.
                TaskResult answer = Answers.await(result.copy());
                terminal.wipe();
                if (json || !follow) {
                    Terminal.show(answer, json);
                }
                return answer.success() ? Main.DONE : Main.TASK_FAILED;
            } catch (CompletionException e) {
                if (!result.isCancelled()) {
                    throw e;
                }
                whenStopped.join(); // It may have the slave still to tell.
                return Main.TASK_FAILED; // Nobody hears it: the signal is the exit status.
            }
        }
    }
}
