package dev.d8.benchmarks;

import dev.d8.benchmarks.Comparison.Round;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Options;
import dev.d8.version.VersionProvider;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** The Docker executor over HTTP, beside the commands {@code docker run} and {@code docker exec} on the same engine. */
final class ContainerComparison {

    private static final String PROGRAM = "print(55)";

    /** Long enough for a container to be made again, so that one task after another finds one ready. */
    private static final Duration REST = Duration.ofMillis(700);

    private static final String WARM_MARK = "\"warm\":true";

    private ContainerComparison() {}

    /**
     * What was measured.
     *
     * @param warm tasks that found a container ready
     * @param missed how many of those that should have did not
     * @param cold tasks on a slave that parks none
     * @param run {@code docker run --rm --network none}
     * @param exec {@code docker exec} in a container that runs
     * @param throughput with many in flight and the pool drained, and as many callers of {@code docker run}
     * @param parked what a parked container uses, as {@code docker stats} says
     */
    record Result(
            Samples warm, int missed, Samples cold, Samples run, Samples exec, Comparison throughput, String parked) {}

    /** Returns why there is nothing to measure, if so. */
    static Optional<String> missing() throws InterruptedException {
        try {
            docker("image", "inspect", "--format", "{{.Id}}", image());
            return Optional.empty();
        } catch (IOException e) {
            return Optional.of("no Docker engine with the image " + image() + " (scripts/docker-engine)");
        }
    }

    private static String image() {
        return Optional.ofNullable(System.getenv("D8_DOCKER_IMAGE")).orElse("d8/python:3.11");
    }

    static Result run(Plan plan) throws IOException, InterruptedException {
        String id = "benchmark-" + ProcessHandle.current().pid();
        String keeper = docker(
                        "run",
                        "-d",
                        "--rm",
                        "--network",
                        "none",
                        image(),
                        "python3",
                        "-c",
                        "import time; time.sleep(3600)")
                .strip();
        ExecutorService callers = Executors.newFixedThreadPool(EngineComparison.IN_FLIGHT);
        try (ChildProcess warm = ChildProcess.server("docker", "2", id, image());
                ChildProcess cold = ChildProcess.server("docker", "0", id + "-cold", image())) {
            awaitReady(warm);
            awaitReady(cold);
            Samples[] samples = {new Samples(), new Samples(), new Samples(), new Samples()};
            int missed = 0;
            for (int i = -plan.containers() / 4; i < plan.containers(); i++) {
                Samples[] into =
                        i < 0 ? new Samples[] {new Samples(), new Samples(), new Samples(), new Samples()} : samples;
                Thread.sleep(REST.toMillis());
                if (!time(warm, into[0]).contains(WARM_MARK)) {
                    missed++;
                }
                Thread.sleep(REST.toMillis());
                time(cold, into[1]);
                into[2].add(dockerRun());
                into[3].add(timed("exec", keeper, "python3", "-c", PROGRAM));
            }
            String parked = parked(id);
            Duration round = plan.round().multipliedBy(3);
            Comparison throughput = new Comparison(new ArrayList<>(), new ArrayList<>());
            for (int i = 0; i < plan.rounds(); i++) {
                Round load = EngineComparison.load(warm, round);
                // What the engine and the containers use is out of reach, so nothing is said of it.
                throughput.d8().add(new Round(load.took(), load.samples(), Duration.ZERO));
                throughput.limit().add(EngineComparison.inParallel(callers, round, ContainerComparison::runUntil));
            }
            return new Result(samples[0], missed, samples[1], samples[2], samples[3], throughput, parked);
        } finally {
            callers.shutdown();
            docker("rm", "-f", keeper);
        }
    }

    /** A slave with a pool of so many, for {@link ServerProcess}. */
    static SlaveServer slave(String pool, String id, String image) {
        return SlaveServer.builder()
                .bind(URI.create("http://127.0.0.1:0"))
                .token(NoopSlave.TOKEN)
                .version(VersionProvider.of(NoopSlave.VERSION))
                .executors(List.of("docker"))
                .options(Options.of(Map.of("docker.image", image, "docker.pool", pool, "docker.slave_id", id)))
                .maxConcurrent(EngineComparison.IN_FLIGHT)
                .start();
    }

    private static byte[] request(ChildProcess slave) {
        return RawConnection.post(
                slave.uri(), "/api/execute", NoopSlave.TOKEN.reveal(), "{\"command\":\"" + PROGRAM + "\"}");
    }

    /** The first look at an engine takes a while; until then the slave has no executor. */
    private static void awaitReady(ChildProcess slave) throws IOException, InterruptedException {
        long until = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        while (true) {
            try {
                time(slave, new Samples());
                return;
            } catch (IOException e) {
                if (System.nanoTime() > until) {
                    throw e;
                }
            }
            Thread.sleep(100);
        }
    }

    private static String time(ChildProcess slave, Samples into) throws IOException {
        try (RawConnection connection = new RawConnection(slave.uri())) {
            long sent = System.nanoTime();
            String body = connection.exchange(request(slave)).body();
            long took = System.nanoTime() - sent;
            if (!body.contains("\"output\":\"55\\n\"")) {
                throw new IOException("the task failed: " + body);
            }
            into.add(took);
            return body;
        }
    }

    private static Samples runUntil(long until) throws IOException, InterruptedException {
        Samples samples = new Samples();
        do {
            samples.add(dockerRun());
        } while (System.nanoTime() < until);
        return samples;
    }

    private static long dockerRun() throws IOException, InterruptedException {
        return timed("run", "--rm", "--network", "none", image(), "python3", "-c", PROGRAM);
    }

    private static long timed(String... arguments) throws IOException, InterruptedException {
        long began = System.nanoTime();
        String output = docker(arguments);
        long took = System.nanoTime() - began;
        if (!output.equals("55\n")) {
            throw new IOException("docker " + arguments[0] + " printed " + output);
        }
        return took;
    }

    private static String parked(String id) throws IOException, InterruptedException {
        List<String> containers =
                docker("ps", "-q", "--filter", "label=d8.slave=" + id).lines().toList();
        if (containers.isEmpty()) {
            return "none is parked";
        }
        return docker("stats", "--no-stream", "--format", "{{.MemUsage}}", containers.get(0))
                .replaceAll(" /.*", "")
                .strip();
    }

    private static String docker(String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(List.of("docker"));
        command.addAll(Arrays.asList(arguments));
        Process process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        if (process.waitFor() != 0) {
            throw new IOException(String.join(" ", command) + " ended with " + process.exitValue());
        }
        return output;
    }
}
