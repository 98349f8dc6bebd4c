package dev.d8.benchmarks;

import dev.d8.benchmarks.Comparison.Round;
import dev.d8.benchmarks.Comparison.Side;
import dev.d8.executor.python.engine.EngineSettings;
import dev.d8.executor.python.engine.PythonInterpreter;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Options;
import dev.d8.version.VersionProvider;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * The Python engine by each way in which a task gets its process, over HTTP, beside loops that only fork: what no engine of
 * this kind can beat. All sides in turns, round by round.
 */
final class EngineComparison {

    static final int IN_FLIGHT = 8;

    static final String AGENT = "agent, contained (the default)";
    static final String SPAWN = "spawn, contained";
    static final String AGENT_TRUSTED = "agent, isolation=none";
    static final String SPAWN_TRUSTED = "spawn, isolation=none";
    static final String STARTS = "as the original: callers that start `python -c 'print(55)'` each";
    static final String LOOPS = "limit: a pinned loop a core: fork, exec(source), flush, _exit, wait";

    /** As cheap as it can be, with a compiler that has been used before; its tasks print to nowhere. */
    private static final String LOOP = """
            import gc, os, sys, time
            code, until, count = 'print(55)', time.monotonic() + float(sys.argv[1]), 0
            compile(code, '<string>', 'exec')
            nothing = os.open(os.devnull, os.O_WRONLY)
            gc.freeze()
            while time.monotonic() < until:
                pid = os.fork()
                if pid == 0:
                    os.dup2(nothing, 1)
                    exec(code, {})
                    sys.stdout.flush()
                    os._exit(0)
                os.wait4(pid, 0)
                count += 1
            print(count)
            """;

    private static final byte[] NOTHING = new byte[0];

    private EngineComparison() {}

    /**
     * What was measured.
     *
     * @param rounds of each side, by its name
     * @param oneByOne each task's time over HTTP, one after another, and {@code python -c}'s from a shell in the same round
     * @param agentBytes resident memory of an agent, of a supervisor and of a parked process, the largest of each
     */
    record Result(Map<String, List<Round>> rounds, Comparison oneByOne, List<Long> agentBytes) {

        /** Returns one side's throughput in parts of another's, round by round. */
        Comparison against(String side, String other) {
            return new Comparison(rounds.getOrDefault(side, List.of()), rounds.getOrDefault(other, List.of()));
        }
    }

    static Result run(Plan plan) throws IOException, InterruptedException {
        Path python = interpreter();
        ExecutorService callers = Executors.newFixedThreadPool(IN_FLIGHT);
        Map<String, ChildProcess> slaves = new LinkedHashMap<>();
        try {
            slaves.put(AGENT, start("agent", "contained", python));
            slaves.put(SPAWN, start("spawn", "contained", python));
            slaves.put(AGENT_TRUSTED, start("agent", "none", python));
            slaves.put(SPAWN_TRUSTED, start("spawn", "none", python));
            Map<String, Side> sides = new LinkedHashMap<>();
            slaves.forEach((name, slave) -> sides.put(name, time -> load(slave, time)));
            sides.put(STARTS, time -> starts(callers, python, time));
            sides.put(LOOPS, time -> loops(python, time));
            Map<String, List<Round>> rounds = alternate(plan, sides);
            ChildProcess agents =
                    slaves.getOrDefault(AGENT, slaves.values().iterator().next());
            Comparison oneByOne = Comparison.alternate(plan, time -> repeat(agents, time), time -> shell(python, time));
            return new Result(rounds, oneByOne, resident(agents));
        } finally {
            callers.shutdown();
            for (ChildProcess slave : slaves.values()) {
                slave.close();
            }
        }
    }

    private static ChildProcess start(String mode, String isolation, Path python) throws IOException {
        return ChildProcess.server("python", mode, isolation, python.toString(), "1000"); // As by default.
    }

    /** A slave of one such engine, for {@link ServerProcess}. */
    static SlaveServer slave(String mode, String isolation, String python, String recycle) {
        return SlaveServer.builder()
                .bind(URI.create("http://127.0.0.1:0"))
                .token(NoopSlave.TOKEN)
                .version(VersionProvider.of(NoopSlave.VERSION))
                .executors(List.of("python"))
                .options(Options.of(Map.of(
                        "python.mode",
                        mode,
                        "python.isolation",
                        isolation,
                        "python.path",
                        python,
                        "python.recycle_tasks",
                        recycle)))
                .start();
    }

    /** Returns the real interpreter, as the executor finds it: a shim would cost each start 200 ms. */
    static Path interpreter() {
        Path found = PythonInterpreter.onPath("python3")
                .or(() -> PythonInterpreter.onPath("python"))
                .orElseThrow(() -> new IllegalStateException("no python3 or python on the PATH"));
        return PythonInterpreter.ask(found, EngineSettings.inherited(EngineSettings.ENVIRONMENT))
                .executable();
    }

    private static Map<String, List<Round>> alternate(Plan plan, Map<String, Side> sides)
            throws IOException, InterruptedException {
        Map<String, List<Round>> rounds = new LinkedHashMap<>();
        for (Side side : sides.values()) {
            side.run(plan.warmUp());
        }
        for (int i = 0; i < plan.rounds(); i++) {
            for (Map.Entry<String, Side> side : sides.entrySet()) {
                rounds.computeIfAbsent(side.getKey(), name -> new ArrayList<>())
                        .add(side.getValue().run(plan.round()));
            }
        }
        return rounds;
    }

    private static byte[] request(ChildProcess slave) {
        return RawConnection.post(slave.uri(), "/api/execute", NoopSlave.TOKEN.reveal(), "{\"command\":\"print(55)\"}");
    }

    /** Keeps a slave busy for so long. */
    static Round load(ChildProcess slave, Duration time) throws IOException {
        Duration before = slave.treeCpu();
        long began = System.nanoTime();
        Samples samples = TaskLoad.run(slave.uri(), request(slave), IN_FLIGHT, time);
        return new Round(
                Duration.ofNanos(System.nanoTime() - began),
                samples,
                slave.treeCpu().minus(before));
    }

    private static Round starts(ExecutorService callers, Path python, Duration time)
            throws IOException, InterruptedException {
        Duration before = ProcessTree.cpu(ProcessHandle.current());
        Round round = inParallel(callers, time, until -> {
            Samples samples = new Samples();
            long now = System.nanoTime();
            do {
                long sent = now;
                Process process = new ProcessBuilder(python.toString(), "-c", "print(55)")
                        .redirectError(ProcessBuilder.Redirect.DISCARD)
                        .start();
                if (!output(process, NOTHING).equals("55\n")) {
                    throw new IOException("python -c printed something else");
                }
                now = System.nanoTime();
                samples.add(now - sent);
            } while (now < until);
            return samples;
        });
        return new Round(
                round.took(),
                round.samples(),
                ProcessTree.cpu(ProcessHandle.current()).minus(before));
    }

    /** What one caller does until a moment. */
    interface Caller {
        Samples callUntil(long nanos) throws IOException, InterruptedException;
    }

    static Round inParallel(ExecutorService callers, Duration time, Caller caller)
            throws IOException, InterruptedException {
        long began = System.nanoTime();
        List<Future<Samples>> running = new ArrayList<>();
        for (int i = 0; i < IN_FLIGHT; i++) {
            running.add(callers.submit(() -> caller.callUntil(began + time.toNanos())));
        }
        Samples all = new Samples();
        for (Future<Samples> one : running) {
            try {
                all.addAll(one.get());
            } catch (ExecutionException e) {
                throw new IOException("a caller failed", e);
            }
        }
        return new Round(Duration.ofNanos(System.nanoTime() - began), all, Duration.ZERO);
    }

    private static Round repeat(ChildProcess slave, Duration time) throws IOException {
        long began = System.nanoTime();
        Samples samples = repeat(slave.uri(), request(slave), began + time.toNanos());
        return new Round(Duration.ofNanos(System.nanoTime() - began), samples, Duration.ZERO);
    }

    private static Samples repeat(URI slave, byte[] request, long until) throws IOException {
        Samples samples = new Samples();
        try (RawConnection connection = new RawConnection(slave)) {
            long now = System.nanoTime();
            do {
                long sent = now;
                String body = connection.exchange(request).body();
                if (!body.contains("\"output\":\"55\\n\"")) {
                    throw new IOException("the task failed: " + body);
                }
                now = System.nanoTime();
                samples.add(now - sent);
            } while (now < until);
        }
        return samples;
    }

    /** A loop on each core. Its samples are means: nothing is measured inside. */
    private static Round loops(Path python, Duration time) throws IOException, InterruptedException {
        List<Process> loops = new ArrayList<>();
        long began = System.nanoTime();
        for (int core = 0; core < Runtime.getRuntime().availableProcessors(); core++) {
            String seconds = String.valueOf(time.toNanos() / 1e9);
            loops.add(new ProcessBuilder("taskset", "-c", String.valueOf(core), python.toString(), "-c", LOOP, seconds)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start());
        }
        Samples samples = new Samples();
        for (Process loop : loops) {
            int count = Integer.parseInt(output(loop, NOTHING).strip());
            for (int i = 0; i < count; i++) {
                samples.add(time.toNanos() / count);
            }
        }
        // Not what has passed: that has the start of the interpreters in it, which is not what they measure.
        Duration took = Duration.ofNanos(Math.min(time.toNanos(), System.nanoTime() - began));
        return new Round(took, samples, Duration.ofNanos(took.toNanos() * loops.size()));
    }

    /** {@code python -c} as a person would measure it, one after another, by the shell's own clock. */
    private static Round shell(Path python, Duration time) throws IOException, InterruptedException {
        String script = "until=$((${EPOCHREALTIME/./} + " + time.toNanos() / 1000 + "))\n"
                + "now=${EPOCHREALTIME/./}\nwhile [ $now -lt $until ]; do\n  sent=$now\n  '" + python
                + "' -c 'print(55)' >/dev/null\n  now=${EPOCHREALTIME/./}\n  echo $((now - sent))\ndone";
        Process shell = new ProcessBuilder("bash", "-s")
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        Samples samples = new Samples();
        output(shell, script.getBytes(StandardCharsets.UTF_8))
                .lines()
                .forEach(micros -> samples.add(Long.parseLong(micros) * 1000));
        return new Round(time, samples, Duration.ZERO);
    }

    private static String output(Process process, byte[] input) throws IOException, InterruptedException {
        process.getOutputStream().write(input);
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new IOException(process.info() + " ended with " + process.exitValue());
        }
        return output;
    }

    private static List<Long> resident(ChildProcess slave) throws IOException {
        List<Long> most = new ArrayList<>();
        List<ProcessHandle> level = List.of(slave.handle());
        for (int depth = 0; depth < 3; depth++) {
            level = level.stream().flatMap(ProcessHandle::children).toList();
            long largest = 0;
            for (ProcessHandle process : level) {
                largest = Math.max(largest, ChildProcess.residentBytes(process.pid()));
            }
            most.add(largest);
        }
        return most;
    }
}
