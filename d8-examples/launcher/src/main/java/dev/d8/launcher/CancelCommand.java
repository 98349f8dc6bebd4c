package dev.d8.launcher;

import dev.d8.TaskId;
import dev.d8.master.SlaveManager;
import dev.d8.spi.SlaveClient;
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
        print(Answers.await(slave.cancel(TaskId.parse(id))), false);
        return Main.DONE;
    }
}
