package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.D8Exception;
import dev.d8.Task;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.Token;
import dev.d8.VersionInfo;
import dev.d8.master.SlaveManager;
import dev.d8.spi.ServerSecurity;
import dev.d8.testkit.FaultyTransport.Fault;
import dev.d8.version.VersionProvider;
import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** What a master promises while everything on the way breaks at random: a seed a run, printed where it fails. */
@Tag("other-runtime")
class DeliveryUnderFaultsTest {

    private static final int SEEDS = 300;
    private static final int TASKS = 20;

    @Test
    void a_task_that_is_not_idempotent_starts_at_most_once_and_every_task_ends() {
        long first = new Random().nextLong();
        for (int i = 0; i < SEEDS; i++) {
            run(first + i);
        }
    }

    private static void run(long seed) {
        String context = "seed " + seed;
        Random random = new Random(seed);
        FakeTime time = new FakeTime();
        InMemoryTransport inner = new InMemoryTransport();
        FaultyTransport.Builder faulty = FaultyTransport.around(inner, time).seed(seed);
        for (Fault fault : Fault.values()) {
            // A duplicated request starts twice whatever the master does; only a slave that knows the key can tell.
            if (fault != Fault.DUPLICATE) {
                faulty.chance(fault, random.nextDouble() * 0.2);
            }
        }
        Map<TaskId, Integer> starts = new HashMap<>();
        RecordingSlaveService service = new RecordingSlaveService()
                .healthy(RecordingSlaveService.health("c"))
                .answering(call -> {
                    starts.merge(call.taskId(), 1, Integer::sum);
                    return CompletableFuture.completedFuture(RecordingSlaveService.echo(call));
                });
        try (SlaveManager manager = SlaveManager.builder()
                .transport(faulty.build())
                .time(time)
                .random(new Random(seed))
                .version(VersionProvider.of(new VersionInfo("c", "1.0.0", "main", false)))
                .callbackExecutor(Runnable::run)
                .build()) {
            for (String name : List.of("a", "b", "c")) {
                URI address = URI.create("memory://" + name + ":1");
                inner.serve(service, address, new ServerSecurity(Token.DEVELOPMENT));
                manager.register(name, address);
            }
            time.advance(Duration.ofSeconds(60));
            List<Task> tasks = IntStream.range(0, TASKS)
                    .mapToObj(i -> Task.builder(Task.PYTHON_CODE)
                            .with("command", "print(" + i + ")")
                            .idempotent(random.nextBoolean())
                            .build())
                    .toList();
            Map<Task, CompletableFuture<TaskResult>> results = new HashMap<>();
            for (Task task : tasks) {
                results.put(task, manager.execute(task));
                time.advance(Duration.ofSeconds(random.nextInt(20)));
            }
            time.advance(Duration.ofSeconds(3600));
            for (Map.Entry<Task, CompletableFuture<TaskResult>> entry : results.entrySet()) {
                Task task = entry.getKey();
                CompletableFuture<TaskResult> result = entry.getValue();
                int started = starts.getOrDefault(task.id(), 0);
                assertThat(result).as(context).isDone();
                if (!task.idempotent()) {
                    assertThat(started).as(context).isLessThanOrEqualTo(1);
                }
                Throwable error = result.handle((value, thrown) -> thrown).join();
                if (error == null) {
                    assertThat(started).as(context).isPositive();
                } else {
                    assertThat(error).as(context).isInstanceOf(D8Exception.class);
                    if (((D8Exception) error).retrySafe() && !task.idempotent()) {
                        assertThat(started).as(context).isZero();
                    }
                }
            }
        }
    }
}
