package dev.d8.launcher;

import dev.d8.TaskId;
import dev.d8.TaskState;
import dev.d8.master.SlaveManager;
import dev.d8.spi.SlaveClient;
import java.time.Duration;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;

/** {@code d8 status}: how a task is. */
@Command(name = "status", mixinStandardHelpOptions = true, description = "Asks a slave how a task is.")
final class StatusCommand extends TaskCommand {

    private static final int LONGEST_WAIT = 60;

    @Parameters(paramLabel = "ID", description = "the task")
    @SuppressWarnings("NullAway.Init") // Required.
    private String id;

    @Option(names = "--wait", paramLabel = "SECONDS", description = "wait for its end for so long, at most 60")
    private double wait;

    @Option(names = "--json", description = "print the answer, and the result in it, as a JSON object")
    private boolean json;

    @Override
    int call(SlaveManager manager, SlaveClient slave) {
        if (!(wait >= 0 && wait <= LONGEST_WAIT)) {
            throw new ParameterException(
                    spec.commandLine(), "--wait: " + wait + " (expected: seconds, 0 to " + LONGEST_WAIT + ")");
        }
        TaskId task = TaskId.parse(id);
        Optional<TaskState> state = Answers.await(slave.find(task, Duration.ofMillis(Math.round(wait * 1000))));
        if (state.isEmpty()) {
            return unknown(task);
        }
        print(state.get(), json);
        return state.get().result().isPresent() && !state.get().result().get().success() ? Main.TASK_FAILED : Main.DONE;
    }
}
