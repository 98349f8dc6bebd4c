package dev.d8.benchmarks;

import dev.d8.Invocation;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.Options;
import dev.d8.spi.SlaveClient;
import dev.d8.testkit.InMemoryTransport;
import dev.d8.version.VersionProvider;
import java.net.URI;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** Whether a task costs more where many wait: all of them are handed to one slave at once, without a wire between. */
final class WaitingTasks {

    private static final int WARM_UP = 300;

    private WaitingTasks() {}

    /** Returns the time for each task in microseconds, by how many were handed over at once; the least of the rounds. */
    static Map<Integer, Double> run(Plan plan) {
        Map<Integer, Double> micros = new LinkedHashMap<>();
        try (InMemoryTransport transport = new InMemoryTransport();
                SlaveServer slave = SlaveServer.builder()
                        .bind(URI.create("memory://slave"))
                        .transport(transport)
                        .token(NoopSlave.TOKEN)
                        .version(VersionProvider.of(NoopSlave.VERSION))
                        .executors(List.of("python"))
                        .options(Options.of(Map.of(
                                "python.mode",
                                "agent",
                                "python.path",
                                EngineComparison.interpreter().toString())))
                        .queueCapacity(2000)
                        .start();
                SlaveClient client = transport.connect(slave.uri(), new Credentials(NoopSlave.TOKEN))) {
            handOver(client, WARM_UP);
            for (int round = 0; round < plan.rounds(); round++) {
                for (int count : new int[] {10, 100, 1000}) {
                    micros.merge(count, handOver(client, count), Math::min);
                }
            }
        }
        return micros;
    }

    private static double handOver(SlaveClient client, int count) {
        long began = System.nanoTime();
        List<CompletableFuture<String>> outputs = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            outputs.add(client.execute(Invocation.python("print(55)").build(), ExecutionListener.NONE)
                    .thenApply(result -> result.output()));
        }
        for (CompletableFuture<String> output : outputs) {
            if (!output.join().equals("55\n")) {
                throw new IllegalStateException("a task failed");
            }
        }
        return (System.nanoTime() - began) / 1e3 / count;
    }
}
