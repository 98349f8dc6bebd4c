package dev.d8.benchmarks;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where the time of one small task goes, as its caller, the slave, the supervisor and the task itself saw it: all of them
 * read the same monotonic clock of the machine.
 *
 * @param wall what a task waits for, one after another, in microseconds: medians
 * @param cpu what a task costs with several in flight, in microseconds of processor time by whose it is
 */
record TaskProfile(Map<String, Double> wall, Map<String, Double> cpu) {

    private static final int WARM_UPS = 500;

    /** So that every supervisor's time is still there to be read at the end. */
    private static final String NO_RECYCLING = "1000000";

    /** Tells when its first and its last line ran. */
    private static final String PROGRAM =
            "import time; a = time.monotonic_ns(); print(55); print(a, time.monotonic_ns())";

    private static final Pattern OUTPUT = Pattern.compile("\"output\":\"55\\\\n(\\d+) (\\d+)\\\\n\"");

    static TaskProfile run(Plan plan) throws IOException, InterruptedException {
        Path python = EngineComparison.interpreter();
        try (ChildProcess slave =
                ChildProcess.server("python", "agent", "contained", python.toString(), NO_RECYCLING)) {
            return new TaskProfile(wall(slave, plan.profiled()), cpu(slave, plan));
        }
    }

    private static Map<String, Double> wall(ChildProcess slave, int count) throws IOException {
        byte[] request = RawConnection.post(
                slave.uri(), "/api/execute", NoopSlave.TOKEN.reveal(), "{\"command\":\"" + PROGRAM + "\"}");
        Map<String, List<Double>> all = new LinkedHashMap<>();
        try (RawConnection connection = new RawConnection(slave.uri())) {
            for (int i = 0; i < WARM_UPS; i++) {
                connection.exchange(request);
            }
            for (int i = 0; i < count; i++) {
                long sent = System.nanoTime();
                String body = connection.exchange(request).body();
                double total = (System.nanoTime() - sent) / 1e3;
                Matcher output = OUTPUT.matcher(body);
                if (!output.find()) {
                    throw new IOException("the task failed: " + body);
                }
                double first = (Long.parseLong(output.group(1)) - sent) / 1e3;
                double program = (Long.parseLong(output.group(2)) - Long.parseLong(output.group(1))) / 1e3;
                double queue = micros(body, "queue_ms");
                double start = micros(body, "start_ms");
                double run = micros(body, "run_ms");
                double watched = micros(body, "wall_ms");
                double http = total - queue - start - run;
                double back = run - watched;
                double wake = first - http / 2 - queue - start;
                add(all, "client and HTTP, there and back", http);
                add(all, "queue, and the thread that takes it", queue);
                add(all, "socket: a supervisor is taken, told, and says that it starts", start);
                add(all, "run: the parked process wakes, becomes the task, compiles it", wake);
                add(all, "run: the program itself", program);
                add(all, "reap: flush, exit, its parent wakes, collects it and its output", watched - wake - program);
                add(all, "socket: the verdict comes back", back);
                add(all, "all of it", total);
            }
        }
        Map<String, Double> medians = new LinkedHashMap<>();
        all.forEach((name, values) -> medians.put(
                name,
                Comparison.median(values.stream()
                        .mapToDouble(Double::doubleValue)
                        .sorted()
                        .toArray())));
        return medians;
    }

    private static void add(Map<String, List<Double>> all, String name, double value) {
        all.computeIfAbsent(name, unused -> new ArrayList<>()).add(value);
    }

    private static double micros(String body, String field) throws IOException {
        Matcher value = Pattern.compile("\"" + field + "\":([0-9.E-]+)").matcher(body);
        if (!value.find()) {
            throw new IOException("no " + field + " in " + body);
        }
        return Double.parseDouble(value.group(1)) * 1e3;
    }

    /** By generation: the slave, its agents, their supervisors, and what those have reaped. */
    private static Map<String, Double> cpu(ChildProcess slave, Plan plan) throws IOException {
        EngineComparison.load(slave, plan.warmUp());
        long[][] rounds = new long[plan.rounds()][];
        int[] counts = new int[plan.rounds()];
        for (int i = 0; i < plan.rounds(); i++) {
            long[] before = ticks(slave.handle());
            Duration time = plan.round();
            counts[i] = EngineComparison.load(slave, time).samples().count();
            long[] after = ticks(slave.handle());
            rounds[i] = new long[after.length];
            Arrays.setAll(rounds[i], part -> after[part] - before[part]);
        }
        String[] names = {
            "slave: HTTP, JSON, queue, sockets", "agents, which only fork supervisors",
            "supervisors: fork ahead, watch, reap", "task processes: from the fork to the exit"
        };
        Map<String, Double> cpu = new LinkedHashMap<>();
        for (int part = 0; part < names.length; part++) {
            long ticks = 0;
            long count = 0;
            for (int i = 0; i < rounds.length; i++) {
                ticks += rounds[i][part];
                count += counts[i];
            }
            cpu.put(names[part], ticks * ProcessTree.MICROS_A_TICK / count);
        }
        return cpu;
    }

    private static long[] ticks(ProcessHandle slave) {
        List<ProcessHandle> agents = slave.children().toList();
        List<ProcessHandle> supervisors =
                agents.stream().flatMap(ProcessHandle::children).toList();
        return new long[] {
            ProcessTree.ownTicks(slave.pid()),
            agents.stream()
                    .mapToLong(agent -> ProcessTree.ownTicks(agent.pid()))
                    .sum(),
            supervisors.stream()
                    .mapToLong(supervisor -> ProcessTree.ownTicks(supervisor.pid()))
                    .sum(),
            supervisors.stream()
                    .mapToLong(supervisor -> ProcessTree.reapedTicks(supervisor.pid()))
                    .sum()
        };
    }
}
