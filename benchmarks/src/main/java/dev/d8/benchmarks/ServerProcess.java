package dev.d8.benchmarks;

import dev.d8.slave.SlaveServer;
import dev.d8.spi.Options;
import dev.d8.version.VersionProvider;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/**
 * A server in a JVM of its own: {@code health THREADS}, a slave server that runs nothing, {@code python MODE ISOLATION
 * INTERPRETER RECYCLE}, one that runs Python, {@code docker POOL ID IMAGE}, one that runs it in containers, or {@code bare THREADS JSON}, a {@link
 * BareServer}. {@code noop THREADS} is like {@code health}, and counts what it does.
 * Prints its address and ends with its standard input.
 */
final class ServerProcess {

    private ServerProcess() {}

    public static void main(String[] args) throws Exception {
        try (AutoCloseable server = server(args)) {
            System.out.println(server instanceof SlaveServer slave ? slave.uri() : ((BareServer) server).uri());
            awaitEndOfInput();
        }
    }

    private static AutoCloseable server(String[] args) {
        return switch (args[0]) {
            case "health" -> health(args[1]);
            case "noop" -> noop(args[1]);
            case "python" -> EngineComparison.slave(args[1], args[2], args[3], args[4]);
            case "docker" -> ContainerComparison.slave(args[1], args[2], args[3]);
            default -> bare(args[1], args[2]);
        };
    }

    private static void awaitEndOfInput() throws IOException {
        while (System.in.read() >= 0) {}
    }

    private static SlaveServer health(String threads) {
        return SlaveServer.builder()
                .bind(URI.create("http://127.0.0.1:0"))
                .token(NoopSlave.TOKEN)
                .version(VersionProvider.of(NoopSlave.VERSION))
                .executor(new NoopSlave.Provider())
                .executors(List.of("noop"))
                .options(Options.of(Map.of("http.threads", threads)))
                .start();
    }

    /** With everything on that a slave has on. */
    private static SlaveServer noop(String threads) {
        PrometheusMeterRegistry meters = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        return SlaveServer.builder()
                .bind(URI.create("http://127.0.0.1:0"))
                .token(NoopSlave.TOKEN)
                .version(VersionProvider.of(NoopSlave.VERSION))
                .executor(new NoopSlave.Provider())
                .executors(List.of("noop"))
                .meterRegistry(meters)
                .metrics(meters::scrape)
                .options(Options.of(Map.of("http.threads", threads)))
                .start();
    }

    private static BareServer bare(String threads, String json) {
        return new BareServer(json.getBytes(StandardCharsets.UTF_8), Integer.parseInt(threads));
    }
}
