package dev.d8.launcher;

import dev.d8.Invocation;
import dev.d8.master.SlaveManager;
import dev.d8.spi.SlaveClient;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code d8 submit}: hands a task over and prints its id. */
@Command(
        name = "submit",
        mixinStandardHelpOptions = true,
        description = "Hands a task over to a slave, which runs it whoever goes, and prints its id.")
final class SubmitCommand extends TaskCommand {

    @Mixin
    private final TaskOptions asked = new TaskOptions();

    @Override
    boolean needsAlive() {
        return true;
    }

    @Override
    int call(SlaveManager manager, SlaveClient slave) {
        Invocation invocation = manager.prepare(asked.task(spec));
        Answers.await(slave.submit(invocation));
        out().println(invocation.taskId());
        out().flush();
        return Main.DONE;
    }
}
