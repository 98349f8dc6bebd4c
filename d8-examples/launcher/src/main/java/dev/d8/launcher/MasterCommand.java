package dev.d8.launcher;

import dev.d8.master.ConnectionPolicy;
import dev.d8.master.Notices;
import dev.d8.master.Slave;
import dev.d8.master.SlaveListener;
import dev.d8.master.SlaveManager;
import java.io.PrintWriter;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code d8 master}: watches slaves and tells of every change, until it is told to stop. */
@Command(
        name = "master",
        mixinStandardHelpOptions = true,
        description = "Watches slaves and prints each change of state with its reason, until SIGTERM or Ctrl-C.")
final class MasterCommand implements Callable<Integer> {

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it.
    private CommandSpec spec;

    @Mixin
    private final MasterOptions master = new MasterOptions();

    @Mixin
    private final NoticeOptions told = new NoticeOptions();

    @Mixin
    private final SlaveList fleet = new SlaveList();

    @Override
    public Integer call() throws InterruptedException {
        List<SlaveList.Entry> entries = fleet.entries(spec);
        PrintWriter out = spec.commandLine().getOut();
        SlaveManager.Builder builder = master.watching(ConnectionPolicy.DEFAULT).listener(new Printer(out));
        List<Notices> notices = told.notifiers(master::secret).stream()
                .map(notifier -> Notices.builder(notifier).build())
                .toList();
        notices.forEach(builder::listener);
        SlaveManager manager = builder.build();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            manager.close();
            notices.forEach(Notices::close);
            Runtime.getRuntime().halt(Main.DONE);
        }));
        fleet.register(manager, entries, master)
                .forEach(slave -> slave.whenComplete((known, error) -> {
                    if (error != null) {
                        spec.commandLine().getErr().println("d8: " + error.getMessage());
                    }
                }));
        new CountDownLatch(1).await();
        return Main.DONE;
    }

    private record Printer(PrintWriter out) implements SlaveListener {
        @Override
        public void statusChanged(Slave before, Slave after) {
            print(after.id() + " " + before.status() + " -> " + after.status() + ": " + after.reason());
        }

        @Override
        public void masterCutOff(boolean cutOff, String why) {
            print((cutOff ? "this master seems to be cut off: " : "this master is no longer cut off: ") + why);
        }

        private void print(String line) {
            out.println(Instant.now().truncatedTo(ChronoUnit.SECONDS) + " " + line);
            out.flush();
        }
    }
}
