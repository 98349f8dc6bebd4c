package dev.d8.benchmarks;

import dev.d8.Task;
import dev.d8.executor.python.engine.EngineSettings;
import dev.d8.executor.python.engine.PythonInterpreter;
import dev.d8.master.SlaveManager;
import dev.d8.slave.SlaveServer;
import dev.d8.version.VersionProvider;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;

/** Python tasks from master to slave and back against a loop that starts the same interpreter for each. */
final class PythonComparison {

    static final int CALLERS = 4;

    private static final String PROGRAM = "print(55)";
    private static final String OUTPUT = "55\n";

    private PythonComparison() {}

    static Comparison run(Plan plan) throws IOException, InterruptedException {
        Path python = interpreter();
        ExecutorService callers = Executors.newFixedThreadPool(CALLERS);
        try (SlaveServer slave = ExecuteOverHttp.slave("python");
                SlaveManager master = SlaveManager.builder()
                        .token(NoopSlave.TOKEN)
                        .version(VersionProvider.of(NoopSlave.VERSION))
                        .build()) {
            master.register("slave", slave.uri()).join();
            return Comparison.alternate(
                    plan,
                    side(
                            callers,
                            () -> master.execute(Task.python(PROGRAM)).join().output()),
                    side(callers, () -> spawn(python)));
        } finally {
            callers.shutdown();
        }
    }

    /** Returns the real interpreter, as the executor finds it: a shim would cost the limit 200 ms a start. */
    static Path interpreter() {
        Path found = PythonInterpreter.onPath("python3")
                .or(() -> PythonInterpreter.onPath("python"))
                .orElseThrow(() -> new IllegalStateException("no python3 or python on the PATH"));
        return PythonInterpreter.ask(found, EngineSettings.inherited(EngineSettings.ENVIRONMENT))
                .executable();
    }

    static String spawn(Path python) {
        try {
            Process process = new ProcessBuilder(python.toString(), "-c", PROGRAM)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            process.getOutputStream().close();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            process.waitFor();
            return output;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        }
    }

    private static Comparison.Side side(ExecutorService callers, Supplier<String> call) {
        return time -> {
            Duration before = ProcessTree.cpu();
            long began = System.nanoTime();
            List<Future<Samples>> running = new ArrayList<>();
            for (int i = 0; i < CALLERS; i++) {
                running.add(callers.submit(() -> repeat(call, began + time.toNanos())));
            }
            Samples all = new Samples();
            for (Future<Samples> one : running) {
                try {
                    all.addAll(one.get());
                } catch (ExecutionException e) {
                    throw new IOException("a caller failed", e);
                }
            }
            Duration took = Duration.ofNanos(System.nanoTime() - began);
            return new Comparison.Round(took, all, ProcessTree.cpu().minus(before));
        };
    }

    private static Samples repeat(Supplier<String> call, long until) {
        Samples samples = new Samples();
        long now = System.nanoTime();
        do {
            long sent = now;
            String output = call.get();
            if (!output.equals(OUTPUT)) {
                throw new IllegalStateException("the task printed \"" + output + "\"");
            }
            now = System.nanoTime();
            samples.add(now - sent);
        } while (now < until);
        return samples;
    }
}
