package dev.d8.launcher;

import dev.d8.master.ConnectionPolicy;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import java.io.PrintWriter;
import java.time.Duration;
import java.time.LocalTime;
import java.time.ZoneId;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code d8 top}: the slaves of a fleet, again and again. */
@Command(
        name = "top",
        mixinStandardHelpOptions = true,
        description = "Shows how slaves are, anew every few seconds, until SIGTERM or Ctrl-C.")
final class TopCommand implements Callable<Integer> {

    /** What a terminal takes for "from the top, on a clean page". */
    private static final String CLEAR = "\033[H\033[2J";

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it.
    private CommandSpec spec;

    @Mixin
    private final MasterOptions master = new MasterOptions();

    @Mixin
    private final SlaveList fleet = new SlaveList();

    @Option(
            names = "--every",
            paramLabel = "SECONDS",
            defaultValue = "2",
            description = "seconds between two looks, 1 to 3600 (default: ${DEFAULT-VALUE})")
    private int every = 2;

    @Option(names = "--count", paramLabel = "N", description = "ends after so many looks (default: it goes on)")
    private int count;

    @Override
    public Integer call() throws InterruptedException {
        if (every < 1 || every > 3600 || count < 0) {
            throw new ParameterException(spec.commandLine(), "--every: 1 to 3600; --count: 0 or more");
        }
        List<SlaveList.Entry> entries = fleet.entries(spec);
        Duration interval = Duration.ofSeconds(every);
        CountDownLatch never = new CountDownLatch(1);
        try (SlaveManager manager = master.manager(ConnectionPolicy.DEFAULT.withTries(1))
                .healthInterval(interval)
                .build()) {
            fleet.register(manager, entries, master).forEach(Answers::await);
            for (int looks = 1; ; looks++) {
                show(manager.slaves());
                if (looks == count || never.await(interval.toMillis(), TimeUnit.MILLISECONDS)) {
                    return Main.DONE;
                }
            }
        }
    }

    private void show(List<Slave> slaves) {
        PrintWriter out = spec.commandLine().getOut();
        if (Terminal.isTerminal(1)) {
            out.print(CLEAR);
        }
        long well = slaves.stream().filter(Slave::available).count();
        out.println(LocalTime.now(ZoneId.systemDefault()).truncatedTo(ChronoUnit.SECONDS) + "  " + well + " of "
                + slaves.size() + " can take tasks");
        SlaveTable.lines(slaves).forEach(out::println);
        out.flush();
    }
}
