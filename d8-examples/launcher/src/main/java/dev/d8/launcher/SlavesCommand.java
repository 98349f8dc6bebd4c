package dev.d8.launcher;

import dev.d8.Slots;
import dev.d8.VersionInfo;
import dev.d8.master.ConnectionPolicy;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import dev.d8.master.SlaveStatus;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
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

    private static final List<String> HEAD = List.of("SLAVE", "STATUS", "FREE", "COMMIT", "EXECUTORS", "ADDRESS");

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
            List<CompletableFuture<Slave>> asked = entries.stream()
                    .map(entry -> manager.register(
                            entry.id(),
                            master.complete(entry.address()),
                            entry.labels().toArray(String[]::new)))
                    .toList();
            List<Slave> slaves = asked.stream().map(Answers::await).toList();
            print(slaves);
            return slaves.stream().allMatch(Slave::available) ? Main.DONE : Main.NOT_RUN;
        }
    }

    private void print(List<Slave> slaves) {
        PrintWriter out = spec.commandLine().getOut();
        List<List<String>> rows = new ArrayList<>(List.of(HEAD));
        slaves.forEach(slave -> rows.add(row(slave)));
        int[] widths = IntStream.range(0, HEAD.size())
                .map(column -> rows.stream()
                        .mapToInt(row -> row.get(column).length())
                        .max()
                        .orElse(0))
                .toArray();
        for (int i = 0; i < rows.size(); i++) {
            StringBuilder line = new StringBuilder();
            for (int column = 0; column < widths.length; column++) {
                String cell = rows.get(i).get(column);
                line.append(cell).append(" ".repeat(widths[column] - cell.length() + 2));
            }
            out.println(line.toString().stripTrailing());
            if (i > 0 && slaves.get(i - 1).status() != SlaveStatus.ALIVE) {
                out.println("  " + slaves.get(i - 1).reason());
            }
        }
        out.flush();
    }

    private static List<String> row(Slave slave) {
        Optional<Slots> slots = slave.health().flatMap(health -> health.slots());
        return List.of(
                slave.id(),
                slave.status().wireName(),
                slots.map(places -> places.free() + " of " + places.total()).orElse("-"),
                slave.health().map(health -> commit(health.version())).orElse("-"),
                slave.health()
                        .map(health -> health.executionMethods().entrySet().stream()
                                .filter(Map.Entry::getValue)
                                .map(Map.Entry::getKey)
                                .collect(Collectors.joining(",")))
                        .orElse("-"),
                slave.address().toString());
    }

    private static String commit(VersionInfo version) {
        return version.shortCommit() + (version.dirty() ? "+" : "");
    }
}
