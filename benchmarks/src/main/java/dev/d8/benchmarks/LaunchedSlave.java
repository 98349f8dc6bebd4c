package dev.d8.benchmarks;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;

/**
 * What somebody sees who types {@code d8 slave}.
 *
 * @param startups from starting the script, which becomes the JVM, to {@code listening on}
 * @param startupCpu the JVM's processor time until then
 * @param residentBytes memory of the idle slave's JVM
 * @param roundTrips of one {@code print(55)} after another over HTTP
 */
record LaunchedSlave(Samples startups, Samples startupCpu, long residentBytes, Samples roundTrips) {

    private static final int WARM_UPS = 20;
    private static final int ROUND_TRIPS_A_START = 50;

    static LaunchedSlave run(Plan plan, Path script) throws IOException, InterruptedException {
        List<String> command = List.of(script.toString(), "slave", "--port", "0");
        Samples startups = new Samples();
        Samples startupCpu = new Samples();
        for (int i = 1; i < plan.starts(); i++) {
            try (ChildProcess slave = start(command)) {
                startups.add(slave.startup().toNanos());
                startupCpu.add(slave.cpu().toNanos());
            }
        }
        try (ChildProcess slave = start(command)) {
            startups.add(slave.startup().toNanos());
            startupCpu.add(slave.cpu().toNanos());
            Thread.sleep(plan.idle().toMillis());
            long resident = slave.residentBytes();
            roundTrips(slave.uri(), WARM_UPS);
            return new LaunchedSlave(startups, startupCpu, resident, roundTrips(slave.uri(), ROUND_TRIPS_A_START));
        }
    }

    private static ChildProcess start(List<String> command) throws IOException {
        return new ChildProcess(command, "listening on ");
    }

    static Samples roundTrips(URI slave, int count) throws IOException {
        byte[] request = RawConnection.post(
                slave, "/api/execute", NoopSlave.TOKEN.reveal(), "{\"command\":\"print(55)\",\"method\":\"python\"}");
        Samples samples = new Samples();
        try (RawConnection connection = new RawConnection(slave)) {
            for (int i = 0; i < count; i++) {
                long sent = System.nanoTime();
                String result = connection.exchange(request).body();
                samples.add(System.nanoTime() - sent);
                if (!result.contains("\"output\":\"55\\n\"")) {
                    throw new IOException("the task failed: " + result);
                }
            }
        }
        return samples;
    }
}
