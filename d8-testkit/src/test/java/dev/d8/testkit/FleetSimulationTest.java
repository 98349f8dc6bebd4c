package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import dev.d8.D8Exception;
import dev.d8.Task;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.Termination;
import dev.d8.Token;
import dev.d8.UnknownOutcomeException;
import dev.d8.VersionInfo;
import dev.d8.master.SlaveManager;
import dev.d8.master.Submission;
import dev.d8.spi.ServerSecurity;
import dev.d8.testkit.FaultyTransport.Fault;
import dev.d8.version.VersionProvider;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

/**
 * Slaves that crash, are cut off and come back, on a network that loses, doubles and delays, on fake time: whatever the order, a
 * task that is not idempotent starts once at the most, each task ends in one way, and the end says what is true; half of the schedules
 * go by the queue, which never gives a slave more than it has slots. {@code
 * -Dd8.seed=N} repeats one schedule, {@code -Dd8.seeds=N} runs so many.
 */
@Tag("other-runtime")
class FleetSimulationTest {

    private static final int TASKS = 12;

    @Test
    void every_task_ends_once_in_a_known_way() {
        Long one = Long.getLong("d8.seed");
        long first = one != null ? one : System.nanoTime();
        int seeds = one != null ? 1 : Integer.getInteger("d8.seeds", 2000);
        // Half a million changes of state are no news to anybody.
        ((Logger) LoggerFactory.getLogger(SlaveManager.class)).setLevel(Level.ERROR);
        System.out.println("seeds " + first + " to " + (first + seeds - 1));
        for (long seed = first; seed < first + seeds; seed++) {
            run(seed);
        }
    }

    private static void run(long seed) {
        String context = "seed " + seed;
        Random random = new Random(seed);
        FakeTime time = new FakeTime();
        InMemoryTransport network = new InMemoryTransport();
        CutTransport partitions = new CutTransport(network);
        FaultyTransport.Builder faulty =
                FaultyTransport.around(partitions, time).seed(seed);
        for (Fault fault : Fault.values()) { // Doubled requests, too: these slaves know them.
            faulty.chance(fault, random.nextDouble() * 0.15);
        }
        Map<TaskId, Integer> starts = new HashMap<>();
        List<SimulatedSlave> slaves = new ArrayList<>();
        try (SlaveManager manager = SlaveManager.builder()
                .transport(faulty.build())
                .time(time)
                .random(new Random(seed))
                .healthInterval(Duration.ofMinutes(2)) // Most of a schedule's cost, and of none of its chances.
                .version(VersionProvider.of(new VersionInfo("c", "1.0.0", "main", false)))
                .callbackExecutor(Runnable::run)
                .build()) {
            List<String> names = List.of("a", "b", "c");
            for (String name : names) {
                SimulatedSlave slave =
                        new SimulatedSlave(name, time, random, 3, id -> starts.merge(id, 1, Integer::sum));
                slaves.add(slave);
                URI address = URI.create("memory://" + name + ":1");
                network.serve(slave, address, new ServerSecurity(Token.DEVELOPMENT));
                manager.register(name, address);
            }
            time.advance(Duration.ofSeconds(60));
            Map<Task, CompletableFuture<TaskResult>> results = new HashMap<>();
            Map<Task, Integer> completions = new HashMap<>();
            boolean queued = random.nextBoolean();
            for (int i = 0; i < TASKS; i++) {
                Task task = Task.builder(Task.PYTHON_CODE)
                        .with("command", "print(" + i + ")")
                        .idempotent(random.nextBoolean())
                        .priority(random.nextInt(3))
                        .build();
                Submission submission = queued ? manager.submit(task) : null;
                CompletableFuture<TaskResult> result = submission != null ? submission.result() : manager.execute(task);
                result.whenComplete((value, error) -> completions.merge(task, 1, Integer::sum));
                results.put(task, result);
                upset(random, names, slaves, partitions);
                if (random.nextInt(8) == 0) {
                    if (submission != null) {
                        submission.cancel();
                    } else {
                        result.cancel(true);
                    }
                }
                time.advance(Duration.ofMillis(random.nextInt(queued ? 10_000 : 30_000)));
                assertWithinSlots(queued, manager, context);
            }
            for (int i = 0; i < 10; i++) {
                upset(random, names, slaves, partitions);
                time.advance(Duration.ofMillis(random.nextInt(60_000)));
                assertWithinSlots(queued, manager, context);
            }
            partitions.cutOff.clear();
            time.advance(Duration.ofHours(2));

            results.forEach((task, result) -> {
                int started = starts.getOrDefault(task.id(), 0);
                assertThat(result).as(context).isDone();
                assertThat(completions).as(context).containsEntry(task, 1);
                if (!task.idempotent()) {
                    assertThat(started).as(context).isLessThanOrEqualTo(1);
                }
                if (result.isCancelled()) {
                    return;
                }
                Throwable error = result.handle((value, thrown) -> thrown).join();
                if (error == null) {
                    assertThat(result.join().termination()).as(context).isEqualTo(Termination.OK);
                    assertThat(started).as(context).isPositive();
                } else {
                    assertThat(error).as(context).isInstanceOf(D8Exception.class);
                    if (((D8Exception) error).retrySafe() && !task.idempotent()) {
                        assertThat(started).as(context + ": " + error).isZero();
                    }
                    if (error instanceof UnknownOutcomeException) {
                        assertThat(error).as(context).hasMessageMatching("(?s).*(slave [abc]|memory://[abc]).*");
                    }
                }
            });
            slaves.forEach(slave -> assertThat(slave.most).as(context).isLessThanOrEqualTo(3));
        }
    }

    private static void assertWithinSlots(boolean queued, SlaveManager manager, String context) {
        if (queued) {
            assertThat(manager.slaves()).as(context).allMatch(slave -> slave.inFlight() <= slave.slots());
        }
    }

    private static void upset(Random random, List<String> names, List<SimulatedSlave> slaves, CutTransport partitions) {
        int which = random.nextInt(names.size());
        switch (random.nextInt(6)) {
            case 0 -> slaves.get(which).crash();
            case 1 -> partitions.cutOff.add(names.get(which));
            case 2, 3 -> partitions.cutOff.remove(names.get(which));
            default -> {}
        }
    }
}
