package dev.d8.launcher;

import dev.d8.master.ConnectionPolicy;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code d8 slaves}: how the slaves of a fleet are, at this moment. */
@Command(
        name = "slaves",
        mixinStandardHelpOptions = true,
        description =
                "Asks slaves how they are, all at once, and prints a line for each. Ends with 3 if one cannot take tasks.")
final class SlavesCommand implements Callable<Integer> {

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it.
    private CommandSpec spec;

    @Mixin
    private final MasterOptions master = new MasterOptions();

    @Mixin
    private final SlaveList fleet = new SlaveList();

    @Override
    public Integer call() {
        List<SlaveList.Entry> entries = fleet.entries(spec);
        try (SlaveManager manager =
                master.manager(ConnectionPolicy.DEFAULT.withTries(1)).build()) {
            List<Slave> slaves = fleet.register(manager, entries, master).stream()
                    .map(Answers::await)
                    .toList();
            PrintWriter out = spec.commandLine().getOut();
            SlaveTable.lines(slaves).forEach(out::println);
            out.flush();
            return slaves.stream().allMatch(Slave::available) ? Main.DONE : Main.NOT_RUN;
        }
    }
}
