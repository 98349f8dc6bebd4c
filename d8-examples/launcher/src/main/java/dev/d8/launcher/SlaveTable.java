package dev.d8.launcher;

import dev.d8.Slots;
import dev.d8.VersionInfo;
import dev.d8.master.Slave;
import dev.d8.master.SlaveStatus;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Slaves as a table for people. */
final class SlaveTable {

    private static final List<String> HEAD =
            List.of("SLAVE", "STATUS", "FREE", "LATENCY", "COMMIT", "EXECUTORS", "LABELS", "ADDRESS");

    private SlaveTable() {}

    /** Returns the head and a line for each slave; under one that is not well, the reason. */
    static List<String> lines(List<Slave> slaves) {
        List<List<String>> rows = new ArrayList<>(List.of(HEAD));
        slaves.forEach(slave -> rows.add(row(slave)));
        int[] widths = IntStream.range(0, HEAD.size())
                .map(column -> rows.stream()
                        .mapToInt(row -> row.get(column).length())
                        .max()
                        .orElse(0))
                .toArray();
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < rows.size(); i++) {
            StringBuilder line = new StringBuilder();
            for (int column = 0; column < widths.length; column++) {
                String cell = rows.get(i).get(column);
                line.append(cell).append(" ".repeat(widths[column] - cell.length() + 2));
            }
            lines.add(line.toString().stripTrailing());
            if (i > 0 && slaves.get(i - 1).status() != SlaveStatus.ALIVE) {
                lines.add("  " + slaves.get(i - 1).reason());
            }
        }
        return lines;
    }

    private static List<String> row(Slave slave) {
        Optional<Slots> slots = slave.health().flatMap(health -> health.slots());
        return List.of(
                slave.id(),
                slave.status().wireName(),
                slots.map(places -> places.free() + " of " + places.total()).orElse("-"),
                slave.latency()
                        .map(latency -> String.format(Locale.ROOT, "%.1f ms", latency.toNanos() / 1e6))
                        .orElse("-"),
                slave.health().map(health -> commit(health.version())).orElse("-"),
                slave.health()
                        .map(health -> health.executionMethods().entrySet().stream()
                                .filter(Map.Entry::getValue)
                                .map(Map.Entry::getKey)
                                .collect(Collectors.joining(",")))
                        .orElse("-"),
                slave.labels().isEmpty()
                        ? "-"
                        : slave.labels().stream().sorted().collect(Collectors.joining(",")),
                slave.address().toString());
    }

    private static String commit(VersionInfo version) {
        return version.shortCommit() + (version.dirty() ? "+" : "");
    }
}
