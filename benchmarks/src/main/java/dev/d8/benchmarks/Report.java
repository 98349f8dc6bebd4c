package dev.d8.benchmarks;

import dev.d8.benchmarks.Comparison.Round;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.results.RunResult;

/** Builds the tables in Markdown, and prints each line as soon as it is known. Used by one thread. */
final class Report {

    private static final Map<String, String> NAMES = Map.of(
            "Dispatch.oneByOne", "(a) dispatch through the in-memory transport, one at a time",
            "Dispatch.together", "(a) dispatch through the in-memory transport, 64 in flight",
            "ExecuteOverHttp.oneByOne", "execute over HTTP, one at a time",
            "ExecuteOverHttp.together", "execute over HTTP, " + ExecuteOverHttp.CALLERS + " callers");

    private final StringBuilder text = new StringBuilder();

    void line(String format, Object... values) {
        String line = String.format(Locale.ROOT, format, values);
        System.out.println(line);
        text.append(line).append('\n');
    }

    /** One row per benchmark and parameter: callers over mean time where that is what was measured. */
    void jmh(Collection<RunResult> results) {
        Map<String, String[]> rows = new TreeMap<>();
        for (RunResult result : results) {
            String[] row = rows.computeIfAbsent(name(result), name -> new String[] {"", "", ""});
            var measured = result.getPrimaryResult();
            if (result.getParams().getMode() == Mode.Throughput) {
                row[0] = number(measured.getScore() * 1e6);
            } else {
                row[0] = number(result.getParams().getThreads() * 1e6 / measured.getScore());
                row[1] = number(measured.getStatistics().getPercentile(50));
                row[2] = number(measured.getStatistics().getPercentile(99));
            }
        }
        line("| what | a second | p50, µs | p99, µs |");
        line("| --- | ---: | ---: | ---: |");
        rows.forEach((name, row) -> line("| %s | %s | %s | %s |", name, row[0], row[1], row[2]));
        line("");
    }

    private static String name(RunResult result) {
        String method = result.getParams().getBenchmark().replaceAll(".*\\.(\\w+\\.\\w+)$", "$1");
        String parameters = result.getParams().getParamsKeys().stream()
                .map(key -> key + " " + result.getParams().getParam(key))
                .collect(Collectors.joining(", "));
        String prefix = parameters.contains("noop") ? "(c) " : parameters.contains("python") ? "(d) " : "";
        return prefix + NAMES.getOrDefault(method, method) + ", " + parameters;
    }

    void engines(EngineComparison.Result result, Map<Integer, Double> waiting) {
        line("| what | a second | p50, µs | p99, µs | CPU each, µs |");
        line("| --- | ---: | ---: | ---: | ---: |");
        result.rounds().forEach(this::side);
        line("");
        line("| throughput | ratio | of the rounds |");
        line("| --- | ---: | ---: |");
        ratio("agent : spawn, contained", result.against(EngineComparison.AGENT, EngineComparison.SPAWN));
        ratio(
                "agent : spawn, isolation=none",
                result.against(EngineComparison.AGENT_TRUSTED, EngineComparison.SPAWN_TRUSTED));
        ratio(
                "agent, isolation=none : bare loops",
                result.against(EngineComparison.AGENT_TRUSTED, EngineComparison.LOOPS));
        line("");
        Samples agent = Comparison.samples(result.oneByOne().d8());
        Samples shell = Comparison.samples(result.oneByOne().limit());
        line("One at a time:");
        line("");
        line("| what | p50, µs | p99, µs |");
        line("| --- | ---: | ---: |");
        line("| a task over HTTP, agent, contained | %s | %s |", number(agent.micros(50)), number(agent.micros(99)));
        line("| `python -c 'print(55)'` from a shell | %s | %s |", number(shell.micros(50)), number(shell.micros(99)));
        line("");
        line("p50, D8 : shell = **%.2f**.", agent.micros(50) / shell.micros(50));
        line("");
        line(
                "Resident memory, most of it shared: agent %s MiB, supervisor %s MiB, parked process %s MiB.",
                mebibytes(result.agentBytes().get(0)),
                mebibytes(result.agentBytes().get(1)),
                mebibytes(result.agentBytes().get(2)));
        line("");
        line(
                "Time for each task where many wait, in µs: %s.",
                waiting.entrySet().stream()
                        .map(entry -> entry.getKey() + " at once " + number(entry.getValue()))
                        .collect(Collectors.joining(", ")));
        line("");
    }

    void wire(WireComparison.Result result) {
        line(
                "Tasks that cost nothing, %d in flight, each with an id of its own; token, limits, ids and metrics as a slave has them:",
                WireComparison.IN_FLIGHT);
        line("");
        comparison(
                "`POST /api/execute` of a slave server",
                "limit: Netty's `HttpServerCodec` and one handler, the same JSON as a constant",
                result.execute());
        line("%d such tasks, on one connection:", WireComparison.BATCH);
        line("");
        comparison("one batch", "one request after another", result.batch());
        line(
                "%d MiB of output to one WebSocket: %s MiB a second, and the heap grew by %s MiB at the most.",
                WireComparison.STREAMED_MEBIBYTES,
                number(result.streamedPerSecond()),
                number(Math.max(0, result.streamGrowth()) / 1048576.0));
        line(
                "%d WebSockets that wait for the next event: %s kB of heap each.",
                WireComparison.FOLLOWERS, number(result.followerBytes() / 1e3));
        line("");
    }

    void fleet(FleetScale.Result result) {
        line("| what | value |");
        line("| --- | ---: |");
        line("| heap for each slave of 10,000 | %s kB |", number(result.heapBytes() / 1e3));
        result.choiceMicros()
                .forEach((slaves, micros) ->
                        line("| choosing among %,d, median | %s µs |", slaves, number(Math.max(0, micros))));
        line("| one health check, CPU, the simulated slave's part included | %s µs |", number(result.checkMicros()));
        line(
                "| tasks through the queue to 10,000 slaves, of %,d | %s a second, %s µs each |",
                result.tasks(), number(result.tasksPerSecond()), number(1e6 / result.tasksPerSecond()));
        line("| heap after them, against after the first tenth | %s MiB |", number(result.queueGrowth() / 1048576.0));
        line("");
    }

    void containers(ContainerComparison.Result result) {
        double run = result.run().micros(50);
        line("`print(55)`, one at a time, in turns:");
        line("");
        line("| what | p50, ms | p99, ms | p50, in parts of `docker run`'s |");
        line("| --- | ---: | ---: | ---: |");
        container("a task over HTTP, its container is ready", result.warm(), run);
        container("a task over HTTP, its container has to be made", result.cold(), run);
        container("`docker run --rm --network none`", result.run(), run);
        container("`docker exec` in a container that runs", result.exec(), run);
        line("");
        line("Tasks that found no container ready though they should have: %d.", result.missed());
        line("");
        line("%d in flight, which drains the pool:", EngineComparison.IN_FLIGHT);
        line("");
        comparison("tasks over HTTP", "limit: callers of `docker run`", result.throughput());
        line("Memory of a parked container, as `docker stats` says: %s.", result.parked());
        line("");
    }

    private void container(String name, Samples samples, double run) {
        line(
                "| %s | %s | %s | %.3f |",
                name, number(samples.micros(50) / 1e3), number(samples.micros(99) / 1e3), samples.micros(50) / run);
    }

    private void ratio(String name, Comparison comparison) {
        double[] ratios = comparison.throughputRatios();
        line("| %s | **%.2f** | %.2f to %.2f |", name, Comparison.median(ratios), ratios[0], ratios[ratios.length - 1]);
    }

    private static String mebibytes(long bytes) {
        return number(bytes / (double) (1 << 20));
    }

    void profile(TaskProfile profile) {
        line("Where the time of one task goes, one after another, medians:");
        line("");
        line("| what | µs |");
        line("| --- | ---: |");
        profile.wall().forEach((name, micros) -> line("| %s | %s |", name, number(micros)));
        line("");
        line("Where the processor time of one task goes, %d in flight:", EngineComparison.IN_FLIGHT);
        line("");
        line("| whose | µs |");
        line("| --- | ---: |");
        profile.cpu().forEach((name, micros) -> line("| %s | %s |", name, number(micros)));
        line("");
    }

    void comparison(String d8, String limit, Comparison comparison) {
        line("| what | a second | p50, µs | p99, µs | CPU each, µs |");
        line("| --- | ---: | ---: | ---: | ---: |");
        side(d8, comparison.d8());
        side(limit, comparison.limit());
        line("");
        double[] ratios = comparison.throughputRatios();
        line(
                "Throughput, D8 : limit = **%.2f** (median of %d alternating rounds; %.2f to %.2f)%s.",
                Comparison.median(ratios),
                ratios.length,
                ratios[0],
                ratios[ratios.length - 1],
                hasCpu(comparison.d8())
                        ? String.format(
                                Locale.ROOT,
                                "; CPU time each, D8 : limit = %.2f",
                                Comparison.median(comparison.cpuRatios()))
                        : "");
        line("");
    }

    private void side(String name, List<Round> rounds) {
        Samples samples = Comparison.samples(rounds);
        line(
                "| %s | %s | %s | %s | %s |",
                name,
                number(Comparison.median(rounds, Round::perSecond)),
                number(samples.micros(50)),
                number(samples.micros(99)),
                hasCpu(rounds) ? number(Comparison.median(rounds, Round::cpuMicros)) : "");
    }

    private static boolean hasCpu(List<Round> rounds) {
        return !rounds.get(0).cpu().isZero();
    }

    void launched(LaunchedSlave slave, Plan plan) {
        Samples startups = slave.startups();
        line("| what | value |");
        line("| --- | ---: |");
        line(
                "| start-up, from `./d8 slave --port 0` to `listening on` | %.2f s (median of %d; %.2f to %.2f), %.2f s of CPU |",
                startups.micros(50) / 1e6,
                startups.count(),
                startups.micros(0) / 1e6,
                startups.micros(100) / 1e6,
                slave.startupCpu().micros(50) / 1e6);
        line(
                "| resident memory of that JVM after %s s idle | %.1f MiB |",
                number(plan.idle().toMillis() / 1e3), slave.residentBytes() / 1048576.0);
        line(
                "| one `print(55)` over HTTP, executor python, one after another | p50 %s ms, p99 %s ms (%d calls) |",
                number(slave.roundTrips().micros(50) / 1e3),
                number(slave.roundTrips().micros(99) / 1e3),
                slave.roundTrips().count());
        line("");
    }

    /** Returns three significant digits, no exponent. */
    static String number(double value) {
        if (value >= 1000) {
            double unit = Math.pow(10, Math.floor(Math.log10(value)) - 2);
            return String.format(Locale.ROOT, "%,d", Math.round(Math.round(value / unit) * unit));
        }
        return String.format(Locale.ROOT, value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f", value);
    }

    @Override
    public String toString() {
        return text.toString();
    }
}
