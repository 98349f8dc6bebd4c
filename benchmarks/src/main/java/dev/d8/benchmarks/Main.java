package dev.d8.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Runs everything and writes the tables: {@code Main full|quick D8_SCRIPT RESULTS_FILE}. {@code benchmarks/run}
 * builds and calls it.
 */
public final class Main {

    private Main() {}

    /** Runs everything. */
    public static void main(String[] args) throws Exception {
        boolean quick = args[0].equals("quick");
        Plan plan = quick ? Plan.QUICK : Plan.FULL;
        Path script = Path.of(args[1]);
        Path results = Path.of(args[2]);

        Report report = new Report();
        report.line("# What D8 costs");
        report.line("");
        report.line(
                "Made by `benchmarks/run%s` on %s. %s",
                quick ? " --quick" : "", LocalDate.now(ZoneOffset.UTC), machine());
        report.line("");
        report.line("Judge by the ratios: both sides of one ran in turns on the same machine in the same minutes.");
        report.line("");

        report.line("## Against bare limits");
        report.line("");
        report.line(
                "Health: one client thread, %d keep-alive connections with one request each; each server in a JVM of its own with %d event loop. CPU is the server's.",
                HealthComparison.CONNECTIONS, HealthComparison.EVENT_LOOPS);
        report.line("");
        report.comparison(
                "(b) `GET /api/health` of a slave server",
                "limit: Netty's `HttpServerCodec` and one handler, the same JSON as a constant",
                HealthComparison.run(plan));
        report.wire(WireComparison.run(plan));
        report.line("## Python tasks");
        report.line("");
        report.line(
                "`print(55)` over HTTP, %d in flight, each slave in a JVM of its own (Serial GC, 128 MiB heap). CPU is the slave's and all its children's; the clients' is not in it, and they share the cores.",
                EngineComparison.IN_FLIGHT);
        report.line("");
        report.engines(EngineComparison.run(plan), WaitingTasks.run(plan));
        report.profile(TaskProfile.run(plan));
        report.line("## Tasks in containers");
        report.line("");
        Optional<String> missing = ContainerComparison.missing();
        if (missing.isPresent()) {
            report.line("Not measured: %s.", missing.get());
            report.line("");
        } else {
            report.containers(ContainerComparison.run(plan));
        }
        report.line("## A slave as `d8 slave` starts it");
        report.line("");
        report.line("JVM options: %s", options(script));
        report.line("");
        report.launched(LaunchedSlave.run(plan, script), plan);
        report.line("## A master's fleet");
        report.line("");
        report.line("Simulated slaves behind the in-memory transport, in this JVM; they answer at once.");
        report.line("");
        report.fleet(FleetScale.run(plan));
        report.line("## JMH");
        report.line("");
        report.line(
                "Master, slave and client share one JVM. With a fixed number of callers, throughput is that over the mean time.");
        report.line("");
        report.jmh(Jmh.run(plan));

        Files.writeString(results, report.toString().stripTrailing() + "\n");
    }

    /** The script's own lines: what it says is what it does. */
    private static String options(Path script) throws IOException {
        return Files.readAllLines(script).stream()
                .filter(line -> line.startsWith("flags=("))
                .map(line -> "`" + line.substring("flags=(".length(), line.length() - 1) + "` and a class archive.")
                .collect(Collectors.joining());
    }

    private static String machine() throws IOException {
        Path load = Path.of("/proc/loadavg");
        return Runtime.getRuntime().availableProcessors() + " cores (" + processor() + "), "
                + System.getProperty("java.vm.name") + " " + Runtime.version() + ", " + System.getProperty("os.name")
                + " " + System.getProperty("os.version")
                + (Files.exists(load)
                        ? "; load average before the start "
                                + Files.readString(load).split(" ")[0]
                        : "")
                + ".";
    }

    private static String processor() throws IOException {
        Path info = Path.of("/proc/cpuinfo");
        if (!Files.exists(info)) {
            return System.getProperty("os.arch");
        }
        return Files.readAllLines(info).stream()
                .filter(line -> line.startsWith("model name"))
                .map(line -> line.replaceFirst(".*:\\s*", ""))
                .findFirst()
                .orElse(System.getProperty("os.arch"));
    }
}
