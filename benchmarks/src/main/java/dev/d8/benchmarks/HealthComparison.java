package dev.d8.benchmarks;

import java.io.IOException;
import java.net.URI;
import java.time.Duration;

/** Health of a real slave server against a Netty handler that answers the same JSON as a constant. */
final class HealthComparison {

    static final int CONNECTIONS = 16;

    /** Of each server: with one, the server is what is saturated, and the client has the other core. */
    static final int EVENT_LOOPS = 1;

    private HealthComparison() {}

    static Comparison run(Plan plan) throws IOException, InterruptedException {
        try (ChildProcess slave = ChildProcess.server("health", Integer.toString(EVENT_LOOPS));
                ChildProcess bare = ChildProcess.server(
                        "bare",
                        Integer.toString(EVENT_LOOPS),
                        health(slave.uri()).body());
                LoadGenerator slaveLoad = load(slave.uri());
                LoadGenerator bareLoad = load(bare.uri())) {
            return Comparison.alternate(plan, side(slave, slaveLoad), side(bare, bareLoad));
        }
    }

    static RawConnection.Answer health(URI slave) throws IOException {
        try (RawConnection connection = new RawConnection(slave)) {
            return connection.exchange(RawConnection.get(slave, "/api/health"));
        }
    }

    static LoadGenerator load(URI server) throws IOException {
        return new LoadGenerator(server, RawConnection.get(server, "/api/health"), CONNECTIONS);
    }

    static Comparison.Side side(ChildProcess server, LoadGenerator load) {
        return time -> {
            Duration before = server.cpu();
            LoadGenerator.Load done = load.run(time);
            return new Comparison.Round(
                    done.took(), done.samples(), server.cpu().minus(before));
        };
    }
}
