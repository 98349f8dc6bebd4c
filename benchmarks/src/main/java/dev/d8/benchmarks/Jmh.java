package dev.d8.benchmarks;

import java.util.Collection;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** Runs this module's JMH benchmarks, each in a JVM of its own. */
final class Jmh {

    private Jmh() {}

    static Collection<RunResult> run(Plan plan) throws RunnerException {
        TimeValue time = TimeValue.milliseconds(plan.jmhRound().toMillis());
        Options options = new OptionsBuilder()
                .include(Dispatch.class.getName())
                .include(ExecuteOverHttp.class.getName())
                .forks(1)
                .jvmArgs("-Xms256m", "-Xmx256m", "-XX:+UseSerialGC")
                .warmupIterations(plan.jmhWarmUps())
                .warmupTime(time)
                .measurementIterations(plan.jmhRounds())
                .measurementTime(time)
                .timeout(TimeValue.seconds(30))
                .verbosity(VerboseMode.SILENT)
                .shouldFailOnError(true)
                .build();
        return new Runner(options).run();
    }
}
