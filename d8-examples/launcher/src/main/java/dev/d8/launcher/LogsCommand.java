package dev.d8.launcher;

import dev.d8.TaskEvent;
import dev.d8.TaskId;
import dev.d8.TaskState;
import dev.d8.UnknownOutcomeException;
import dev.d8.master.SlaveManager;
import dev.d8.spi.SlaveClient;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code d8 logs}: what a task writes. */
@Command(
        name = "logs",
        mixinStandardHelpOptions = true,
        description = "Shows what a task writes, until it is over: its output, its error and its progress.")
final class LogsCommand extends TaskCommand {

    /** How often one comes back to a slave that was lost from sight. */
    private static final int RETURNS = 5;

    @Parameters(paramLabel = "ID", description = "the task")
    @SuppressWarnings("NullAway.Init") // Required.
    private String id;

    @Option(names = "--from", paramLabel = "OFFSET", description = "begin at this byte (default: 0)")
    private long from;

    @Override
    int call(SlaveManager manager, SlaveClient slave) {
        TaskId task = TaskId.parse(id);
        Optional<TaskState> known = Answers.await(slave.find(task, Duration.ZERO));
        if (known.isEmpty()) {
            return unknown(task);
        }
        Terminal terminal = new Terminal();
        long[] next = {Math.max(0, from)};
        for (int tries = 1; ; tries++) {
            CompletableFuture<Optional<TaskEvent>> end = slave.follow(task, next[0], event -> {
                if (event instanceof TaskEvent.Wrote wrote) {
                    next[0] = wrote.next();
                } else if (event instanceof TaskEvent.Skipped skipped) {
                    next[0] = skipped.next();
                }
                terminal.show(event);
            });
            try {
                Optional<TaskEvent> last = Answers.await(end);
                if (last.isEmpty()) {
                    return unknown(task);
                }
                return last.get() instanceof TaskEvent.Ended ended
                                && ended.result().success()
                        ? Main.DONE
                        : Main.TASK_FAILED;
            } catch (UnknownOutcomeException e) {
                terminal.wipe();
                if (tries >= RETURNS) {
                    throw e;
                }
                // On from where it was.
            }
        }
    }
}
