package dev.d8.benchmarks;

import dev.d8.Task;
import dev.d8.TaskResult;
import dev.d8.master.SlaveManager;
import dev.d8.slave.SlaveServer;
import dev.d8.version.VersionProvider;
import java.net.URI;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Threads;

/** A task from a master to a slave server and back, over HTTP on loopback; both live in the one JVM. */
@State(Scope.Benchmark)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
public class ExecuteOverHttp {

    /** How many callers wait for a task each where there is more than one. */
    static final int CALLERS = 8;

    /** What runs the task; {@code noop} runs nothing. */
    @Param({"noop", "python"})
    public String executor = "noop";

    @SuppressWarnings("NullAway.Init") // In start, which JMH calls first.
    private SlaveServer slave;

    private final SlaveManager master = SlaveManager.builder()
            .token(NoopSlave.TOKEN)
            .version(VersionProvider.of(NoopSlave.VERSION))
            .build();

    /** Starts the slave. */
    @Setup
    public void start() {
        slave = slave(executor);
        master.register("slave", slave.uri()).join();
    }

    /** Starts a slave on loopback with one executor. */
    static SlaveServer slave(String executor) {
        return SlaveServer.builder()
                .bind(URI.create("http://127.0.0.1:0"))
                .token(NoopSlave.TOKEN)
                .version(VersionProvider.of(NoopSlave.VERSION))
                .executor(new NoopSlave.Provider())
                .executors(List.of(executor))
                .start();
    }

    /** Stops the master and the slave. */
    @TearDown
    public void close() {
        master.close();
        slave.close();
    }

    /** One caller. */
    @Benchmark
    @BenchmarkMode(Mode.SampleTime)
    public TaskResult oneByOne() {
        return execute();
    }

    /** Several callers. */
    @Benchmark
    @BenchmarkMode(Mode.SampleTime)
    @Threads(CALLERS)
    public TaskResult together() {
        return execute();
    }

    private TaskResult execute() {
        TaskResult result = master.execute(Task.python("print(55)")).join();
        if (!result.output().equals("55\n")) {
            throw new IllegalStateException("the task failed: " + result.error());
        }
        return result;
    }
}
