package dev.d8.launcher;

import dev.d8.TaskId;
import dev.d8.TaskState;
import dev.d8.master.SlaveManager;
import dev.d8.spi.SlaveClient;
import java.util.Optional;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code d8 cancel}: ends a task. */
@Command(
        name = "cancel",
        mixinStandardHelpOptions = true,
        description = "Ends a task and everything that it started; one that is over stays as it is.")
final class CancelCommand extends TaskCommand {

    @Parameters(paramLabel = "ID", description = "the task")
    @SuppressWarnings("NullAway.Init") // Required.
    private String id;

    @Override
    int call(SlaveManager manager, SlaveClient slave) {
        TaskId task = TaskId.parse(id);
        Optional<TaskState> state = Answers.await(slave.cancel(task));
        if (state.isEmpty()) {
            return unknown(task);
        }
        print(state.get(), false);
        return Main.DONE;
    }
}
