package dev.d8.executor.docker;

import static org.assertj.core.api.Assertions.assertThat;

import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.api.model.Container;
import dev.d8.Invocation;
import dev.d8.spi.ExecutionListener;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A slave that is killed while it makes containers, has them wait, runs tasks in them and removes them. */
@Timeout(180)
@Tag("other-runtime") // What it tests is the engine.
class KilledSlaveTest {

    private static final int LIVES = 4;
    private static final Duration SHORTLY = Duration.ofSeconds(10);

    /** A slave's executor in a process of its own, whose tasks come and go: each kind of phase is always on. */
    static final class Slave {
        private Slave() {}

        public static void main(String[] args) {
            DockerExecutor executor = TestEngine.executor(Map.of("slave_id", args[0], "pool", "2"));
            for (String program : List.of("print(1)", "print(2)", "import time; time.sleep(1000)")) {
                new Thread(() -> {
                            while (true) {
                                try {
                                    executor.execute(Invocation.python(program).build(), ExecutionListener.NONE);
                                } catch (InterruptedException e) {
                                    return;
                                }
                            }
                        })
                        .start();
            }
            System.out.println("ready");
        }
    }

    private static Process start(String slave) throws Exception {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:+UseSerialGC",
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                        Slave.class.getName(),
                        slave)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        BufferedReader out =
                new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
        String line;
        do {
            line = out.readLine();
            assertThat(line).as("a slave that starts").isNotNull();
        } while (!line.equals("ready"));
        return process;
    }

    @Test
    void nothing_is_left_of_it_when_it_is_back_and_others_keep_theirs() throws Exception {
        String slave = "test-" + UUID.randomUUID();
        long seed = System.nanoTime();
        System.out.println("KilledSlaveTest: seed " + seed);
        Random random = new Random(seed);
        try (DockerExecutor neighbour = TestEngine.executor(Map.of("slave_id", slave + "-neighbour", "pool", "1"));
                DockerClient client = TestEngine.client()) {
            MeterRegistry meters = new SimpleMeterRegistry();
            neighbour.bindTo(meters);
            TestEngine.awaitParked(meters, 1);
            List<Container> others = TestEngine.containersOf(client, slave + "-neighbour");
            for (int life = 0; life < LIVES; life++) {
                Process process = start(slave);
                LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(random.nextInt(1000)));
                assertThat(process.destroyForcibly().waitFor(30, TimeUnit.SECONDS))
                        .isTrue();
            }
            List<String> left = ids(TestEngine.containersOf(client, slave));
            try (DockerExecutor back = TestEngine.executor(Map.of("slave_id", slave, "pool", "0"))) {
                long until = System.nanoTime() + SHORTLY.toNanos();
                while (!TestEngine.containersOf(client, slave).isEmpty()) {
                    back.probe(); // The first look may have come before what the engine was about to start.
                    assertThat(System.nanoTime())
                            .as("of %s is left %s", left, TestEngine.containersOf(client, slave))
                            .isLessThan(until);
                }
            }
            assertThat(ids(TestEngine.containersOf(client, slave + "-neighbour")))
                    .containsExactlyElementsOf(ids(others));
            assertThat(neighbour
                            .execute(Invocation.python("print(3)").build(), ExecutionListener.NONE)
                            .executor()
                            .warm())
                    .isTrue();
        }
    }

    private static List<String> ids(List<Container> containers) {
        return containers.stream().map(Container::getId).toList();
    }
}
