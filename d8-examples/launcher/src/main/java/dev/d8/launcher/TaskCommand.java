package dev.d8.launcher;

import dev.d8.TaskId;
import dev.d8.TaskState;
import dev.d8.master.ConnectionPolicy;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import dev.d8.master.SlaveStatus;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.WireFormat;
import java.io.PrintWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Callable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Something about tasks that one slave keeps by their ids. */
abstract class TaskCommand implements Callable<Integer> {

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it.
    CommandSpec spec;

    @Mixin
    private final MasterOptions master = new MasterOptions();

    @Option(
            names = "--slave",
            required = true,
            paramLabel = "HOST:PORT",
            converter = SlaveAddress.class,
            description = "the slave that has it")
    @SuppressWarnings("NullAway.Init") // Required.
    private URI named;

    /** Does it on a slave that is there; one of another commit will do, since nothing is started. */
    abstract int call(SlaveManager manager, SlaveClient slave);

    @Override
    public final Integer call() {
        URI address = master.complete(named);
        try (SlaveManager manager =
                master.manager(ConnectionPolicy.DEFAULT.withTries(1)).build()) {
            Slave registered = Answers.await(manager.register("slave", address));
            if (registered.status() == SlaveStatus.DEAD || (needsAlive() && registered.status() != SlaveStatus.ALIVE)) {
                throw Answers.unusable(registered, address);
            }
            return call(manager, manager.connection("slave"));
        }
    }

    /** Returns whether the slave has to run this side's commit. */
    boolean needsAlive() {
        return false;
    }

    PrintWriter out() {
        return spec.commandLine().getOut();
    }

    /** Says that the slave knows nothing of a task. */
    final int unknown(TaskId id) {
        spec.commandLine().getErr().println("d8: this slave has never heard of the task " + id);
        return Main.NOT_RUN;
    }

    /** Prints how a task is, on one line. */
    final void print(TaskState state, boolean json) {
        out().println(json ? new String(WireFormat.json().encode(state), StandardCharsets.UTF_8) : describe(state));
        out().flush();
    }

    private static String describe(TaskState state) {
        return state.phase().wireName()
                + state.result()
                        .map(result -> ": " + result.termination().status().wireName()
                                + (result.termination().exitCode() == null
                                        ? ""
                                        : ", exit code " + result.termination().exitCode())
                                + (result.termination().signal() == null
                                        ? ""
                                        : ", signal " + result.termination().signal())
                                + result.usage()
                                        .map(usage -> ", " + usage.wall().toMillis() + " ms")
                                        .orElse(""))
                        .orElse("");
    }
}
