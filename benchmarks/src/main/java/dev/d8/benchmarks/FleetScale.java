package dev.d8.benchmarks;

import dev.d8.Task;
import dev.d8.master.SlaveManager;
import dev.d8.master.SlaveStatus;
import dev.d8.master.Submission;
import dev.d8.spi.ServerSecurity;
import dev.d8.testkit.InMemoryTransport;
import dev.d8.version.VersionProvider;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;

/** What a fleet costs its master: simulated slaves behind the in-memory transport, which answer at once. */
final class FleetScale {

    static final int SLAVES = 10_000;
    static final int WAITING = 10_000;

    private FleetScale() {}

    /**
     * What was measured.
     *
     * @param heapBytes for each slave
     * @param choiceMicros to choose one for a task, by the number of slaves; median
     * @param checkMicros CPU time of one health check, its slave's part included
     * @param tasks that went through the queue
     * @param tasksPerSecond how many of them a second
     * @param queueGrowth by how many bytes the heap grew from the first tenth of them to the end
     */
    record Result(
            double heapBytes,
            Map<Integer, Double> choiceMicros,
            double checkMicros,
            int tasks,
            double tasksPerSecond,
            long queueGrowth) {}

    static Result run(Plan plan) throws InterruptedException {
        int tasks = plan.equals(Plan.FULL) ? 1_000_000 : plan.equals(Plan.QUICK) ? 100_000 : 1000;
        int slaves = plan.equals(Plan.SMOKE) ? 500 : SLAVES;
        Map<Integer, Double> choices = new TreeMap<>();
        for (int few : new int[] {100, 1000}) {
            try (Fleet fleet = new Fleet(few)) {
                choices.put(few, choice(fleet.master, plan));
            }
        }
        try (Fleet fleet = new Fleet(0)) {
            long before = heap();
            fleet.register(slaves);
            double heapBytes = (heap() - before) / (double) slaves;
            choices.put(slaves, choice(fleet.master, plan));
            double checkMicros = checks(fleet.master, slaves);
            queue(fleet.master, tasks / 10);
            long warm = heap();
            long start = System.nanoTime();
            queue(fleet.master, tasks);
            double perSecond = tasks * 1e9 / (System.nanoTime() - start);
            return new Result(heapBytes, choices, checkMicros, tasks, perSecond, heap() - warm);
        }
    }

    /** What is left of a look for a slave when the making of the task's program is taken off. */
    private static double choice(SlaveManager master, Plan plan) {
        Task task = Task.python("print(55)");
        int rounds = plan.equals(Plan.SMOKE) ? 100 : 200_000;
        Samples both = new Samples();
        Samples program = new Samples();
        for (int i = 0; i < 2 * rounds; i++) {
            long start = System.nanoTime();
            master.prepare(task);
            long prepared = System.nanoTime();
            boolean there = master.findAvailableSlave(task).isPresent();
            long found = System.nanoTime();
            if (!there) {
                throw new IllegalStateException("no slave");
            }
            if (i >= rounds) {
                program.add(prepared - start);
                both.add(found - prepared);
            }
        }
        return both.micros(50) - program.micros(50);
    }

    private static double checks(SlaveManager master, int slaves) {
        for (int i = 0; i < slaves; i++) {
            master.checkHealth("slave-" + i).join();
        }
        long start = cpu();
        CompletableFuture<?>[] checks = new CompletableFuture<?>[slaves];
        for (int i = 0; i < slaves; i++) {
            checks[i] = master.checkHealth("slave-" + i);
        }
        CompletableFuture.allOf(checks).join();
        return (cpu() - start) / 1e3 / slaves;
    }

    private static void queue(SlaveManager master, int tasks) throws InterruptedException {
        Submission last = null;
        for (int i = 0; i < tasks; i++) {
            last = master.queue().submitBlocking(Task.python("print(55)"));
        }
        if (last != null) {
            last.result().join();
        }
        while (!master.queue().unfinished().isEmpty()) {
            Thread.onSpinWait();
        }
    }

    private static long heap() {
        long least = Long.MAX_VALUE;
        for (int i = 0; i < 4; i++) {
            System.gc();
            least = Math.min(
                    least,
                    ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed());
        }
        return least;
    }

    private static long cpu() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
    }

    private static final class Fleet implements AutoCloseable {
        final InMemoryTransport transport = new InMemoryTransport();
        final SlaveManager master = SlaveManager.builder()
                .transport(transport)
                .token(NoopSlave.TOKEN)
                .version(VersionProvider.of(NoopSlave.VERSION))
                .healthInterval(Duration.ofDays(1)) // Nobody checks but the benchmark.
                .queueCapacity(WAITING)
                .build();

        Fleet(int slaves) {
            transport.serve(new NoopSlave(), URI.create("memory://slaves:1"), new ServerSecurity(NoopSlave.TOKEN));
            register(slaves);
        }

        void register(int slaves) {
            for (int i = 0; i < slaves; i++) {
                if (master.register("slave-" + i, URI.create("memory://slaves:1"))
                                .join()
                                .status()
                        != SlaveStatus.ALIVE) {
                    throw new IllegalStateException("slave " + i + " is not alive");
                }
            }
        }

        @Override
        public void close() {
            master.close();
            transport.close();
        }
    }
}
