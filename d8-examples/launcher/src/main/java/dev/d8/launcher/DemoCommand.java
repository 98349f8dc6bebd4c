package dev.d8.launcher;

import dev.d8.Rejection;
import dev.d8.Task;
import dev.d8.TaskResult;
import dev.d8.Token;
import dev.d8.examples.niche.NicheData;
import dev.d8.examples.niche.NicheReport;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import dev.d8.slave.SlaveServer;
import dev.d8.version.VersionProvider;
import java.io.PrintWriter;
import java.net.URI;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.HexFormat;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code d8 demo}: a slave and a master in one process, and three tasks between them. */
@Command(
        name = "demo",
        mixinStandardHelpOptions = true,
        description = "Starts a slave and a master in one process and runs three tasks.")
final class DemoCommand implements Callable<Integer> {

    private static final String FIBONACCI = """
            def fib(n):
                a, b = 0, 1
                for _ in range(n):
                    a, b = b, a + b
                return a
            print(fib(10))
            """;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it.
    private CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        byte[] secret = new byte[32];
        new SecureRandom().nextBytes(secret);
        Token token = Token.of(HexFormat.of().formatHex(secret));
        VersionProvider version =
                VersionProvider.of(MasterOptions.version(null, Path.of("")).version());
        try (SlaveServer slave = SlaveServer.builder()
                        .bind(URI.create("http://127.0.0.1:0"))
                        .token(token)
                        .version(version)
                        .start();
                SlaveManager manager =
                        SlaveManager.builder().token(token).version(version).build()) {
            out.println("a slave listens on " + slave.uri() + ", with a random token");
            Slave registered = Answers.await(manager.register("demo", slave.uri()));
            out.println("the master registered it: " + registered.status() + ", " + registered.reason());
            registered.health().ifPresent(health -> {
                out.println("  python   " + health.pythonVersion());
                out.println("  methods  " + health.executionMethods());
                out.println("  version  " + health.version().version() + ", commit "
                        + health.version().commit());
            });

            TaskResult fibonacci = run(out, manager, "Fibonacci", Task.python(FIBONACCI));
            TaskResult failing = run(out, manager, "a failing task", Task.python("print(undefined_name)"));
            TaskResult analysis = run(
                    out,
                    manager,
                    "a task type of your own",
                    Task.builder("niche_analysis")
                            .data(new NicheData("AI productivity tools"))
                            .build());
            if (analysis.success()) {
                out.println("  as a record: " + analysis.outputAs(NicheReport.class));
            }
            boolean asExpected = fibonacci.output().equals("55\n") && !failing.success() && analysis.success();
            out.println();
            out.println(asExpected ? "done: all three ended as they should" : "failed: see above");
            return asExpected ? Main.DONE : Main.TASK_FAILED;
        } finally {
            out.flush();
        }
    }

    private static TaskResult run(PrintWriter out, SlaveManager manager, String title, Task task) {
        long began = System.nanoTime();
        TaskResult result = Answers.await(manager.execute(task));
        Duration took = Duration.ofNanos(System.nanoTime() - began);
        out.println();
        out.println(title + ": " + result.termination().status().wireName() + " by " + result.method() + " in "
                + took.toMillis() + " ms");
        result.output().lines().forEach(line -> out.println("  | " + line));
        result.error().lines().forEach(line -> out.println("  ! " + line));
        for (Rejection rejection : result.rejected()) {
            out.println("  not by " + rejection.method() + ": " + rejection.reason());
        }
        return result;
    }
}
