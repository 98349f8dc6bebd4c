package dev.d8.benchmarks;

import dev.d8.Task;
import dev.d8.TaskResult;
import dev.d8.master.SlaveManager;
import dev.d8.spi.ServerSecurity;
import dev.d8.testkit.InMemoryTransport;
import dev.d8.version.VersionProvider;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** The master's own cost of a task: everything from the call to the answer but the wire and the slave. */
@State(Scope.Benchmark)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class Dispatch {

    private static final int IN_FLIGHT = 64;

    /** How many slaves the master chooses from. */
    @Param({"1", "1000"})
    public int slaves;

    private final InMemoryTransport transport = new InMemoryTransport();
    private final SlaveManager master = SlaveManager.builder()
            .transport(transport)
            .token(NoopSlave.TOKEN)
            .version(VersionProvider.of(NoopSlave.VERSION))
            .build();

    /** Registers the slaves. */
    @Setup
    public void register() {
        NoopSlave slave = new NoopSlave();
        for (int i = 0; i < slaves; i++) {
            URI address = URI.create("memory://slave:" + (i + 1));
            transport.serve(slave, address, new ServerSecurity(NoopSlave.TOKEN));
            master.register("slave-" + i, address).join();
        }
    }

    /** Stops the master. */
    @TearDown
    public void close() {
        master.close();
        transport.close();
    }

    /** One task and its answer, the hand-over to the caller's thread included. */
    @Benchmark
    @BenchmarkMode(Mode.SampleTime)
    public TaskResult oneByOne() {
        return master.execute(Task.python("print(55)")).join();
    }

    /** So many tasks at once that hand-overs between threads weigh little. */
    @Benchmark
    @BenchmarkMode(Mode.Throughput)
    @OperationsPerInvocation(IN_FLIGHT)
    public List<CompletableFuture<TaskResult>> together() {
        List<CompletableFuture<TaskResult>> all = new ArrayList<>(IN_FLIGHT);
        for (int i = 0; i < IN_FLIGHT; i++) {
            all.add(master.execute(Task.python("print(55)")));
        }
        all.forEach(CompletableFuture::join);
        return all;
    }
}
