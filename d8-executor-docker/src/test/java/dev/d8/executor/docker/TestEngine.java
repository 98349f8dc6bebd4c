package dev.d8.executor.docker;

import static org.junit.jupiter.api.Assertions.fail;

import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.api.model.Container;
import dev.d8.spi.Availability;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.Availability.Unavailable;
import dev.d8.spi.Executor;
import dev.d8.spi.Options;
import io.micrometer.core.instrument.MeterRegistry;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Assumptions;

/**
 * The engine that the tests use: {@code DOCKER_HOST} and the image {@code D8_DOCKER_IMAGE}, as
 * {@code scripts/docker-engine env} sets them. Without one they fail where {@code -Dd8.docker=required}, else are skipped.
 */
final class TestEngine {

    private TestEngine() {}

    static String image() {
        return Optional.ofNullable(System.getenv("D8_DOCKER_IMAGE")).orElse("d8/python:3.11");
    }

    /** Returns an executor that is available, with a mark of its own. */
    static DockerExecutor executor(Map<String, String> options) {
        DockerExecutor executor = new DockerExecutor(settings(options));
        require(executor);
        return executor;
    }

    /** Closes an executor and fails or skips the test if it is not available. */
    static void require(Executor executor) {
        if (probed(executor) instanceof Unavailable missing) {
            executor.close();
            String words = "NO DOCKER TESTS: " + missing.reason()
                    + " [scripts/docker-engine start && scripts/docker-engine image && eval \"$(scripts/docker-engine env)\"]";
            if ("required".equals(System.getProperty("d8.docker"))) {
                fail(words);
            }
            System.err.println(words);
            Assumptions.abort(words);
        }
    }

    /** Probes until the answer is a final one. */
    static Availability probed(Executor executor) {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        Availability answer;
        do {
            answer = executor.probe();
        } while (answer instanceof Unavailable missing
                && missing.reason().startsWith("still ")
                && System.nanoTime() < until);
        return answer;
    }

    /** Probes until the answer is of a kind. */
    static Availability awaited(Executor executor, Class<?> kind) {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        Availability answer = executor.probe();
        while (!kind.isInstance(answer) && System.nanoTime() < until) {
            pause();
            answer = executor.probe();
        }
        return answer;
    }

    static String reason(Availability availability) {
        return availability instanceof Unavailable missing
                ? missing.reason()
                : "available: " + ((Available) availability).detail();
    }

    static String host() {
        return Optional.ofNullable(System.getenv("DOCKER_HOST")).orElse("unix:///var/run/docker.sock");
    }

    static DockerClient client() {
        return DockerClients.of(Optional.of(host())).control();
    }

    static DockerSettings settings(Map<String, String> options) {
        Map<String, String> all = new HashMap<>(Map.of("image", image(), "slave_id", "test-" + UUID.randomUUID()));
        all.putAll(options);
        return DockerSettings.of(Options.of(all));
    }

    /** Returns the engine as a look finds it, for what an executor is made of. */
    static ReadyEngine ready(DockerClients clients) {
        return new ReadyEngine(
                clients.host(), clients.control(), clients.streams(), List.of(), new HostsFile(), Instant.now());
    }

    static List<Container> containersOf(DockerClient client, String slave) {
        return client.listContainersCmd()
                .withShowAll(true)
                .withLabelFilter(Map.of("d8.slave", slave))
                .exec();
    }

    /** Waits until an executor has as many containers ready. */
    static void awaitParked(MeterRegistry meters, int count) {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (meters.get("d8.docker.parked").gauge().value() < count) {
            if (System.nanoTime() > until) {
                fail("the pool does not fill");
            }
            pause();
        }
    }

    private static void pause() {
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(10));
    }

    /** Waits until a slave has as many containers; the engine removes them in its own time. */
    static List<Container> awaitContainers(DockerClient client, String slave, int count) {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        List<Container> found = containersOf(client, slave);
        while (found.size() != count && System.nanoTime() < until) {
            pause();
            found = containersOf(client, slave);
        }
        return found;
    }
}
