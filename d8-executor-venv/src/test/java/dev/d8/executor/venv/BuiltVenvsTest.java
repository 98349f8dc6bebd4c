package dev.d8.executor.venv;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.d8.Invocation;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.Availability.Unavailable;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.Options;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Environments that are built from a task's requirements, by the real pip from wheels made here; and by a stand-in for uv
 * that counts, since uv is not to be had everywhere. Needs the parts of Python that Debian packages as
 * {@code python3-venv}; without them this is skipped, unless {@code -Dd8.python=required}.
 */
@Timeout(180)
@Tag("other-runtime") // What it tests is pip.
class BuiltVenvsTest {

    @TempDir
    private static Path wheels;

    @TempDir
    private Path folder;

    @BeforeAll
    static void makeWheels() throws Exception {
        boolean able = new ProcessBuilder("/usr/bin/python3", "-c", "import venv, ensurepip")
                        .start()
                        .waitFor()
                == 0;
        String reason = "this Python makes no virtual environments: apt-get install python3-venv";
        if (!able) {
            assertThat(System.getProperty("d8.python", "auto")).as(reason).isNotEqualTo("required");
            System.err.println("SKIPPED: " + reason);
        }
        assumeThat(able).as(reason).isTrue();
        TestWheels.make(wheels, "first", "1.0");
        TestWheels.make(wheels, "first", "2.0");
        TestWheels.make(wheels, "second", "1.0");
    }

    private Executor executor(String... more) {
        Map<String, String> options = new HashMap<>(Map.of(
                "python",
                "/usr/bin/python3",
                "directory",
                folder.toString(),
                "cache",
                cache().toString(),
                "uv",
                "off",
                "pip_arguments",
                "--no-index,--find-links=" + wheels));
        for (int i = 0; i < more.length; i += 2) {
            options.put(more[i], more[i + 1]);
        }
        Executor executor = new VenvExecutorProvider().create(Options.of(options));
        executor.probe();
        return executor;
    }

    private Path cache() {
        return folder.resolve("cache");
    }

    private static ExecutionOutcome run(Executor executor, String program, String... requirements)
            throws InterruptedException {
        Invocation invocation = Invocation.python(program)
                .requirements(List.of(requirements))
                .timeout(Duration.ofSeconds(60))
                .build();
        assertThat(executor.objection(invocation)).isEmpty();
        return executor.execute(invocation, ExecutionListener.NONE);
    }

    private List<String> environments() throws IOException {
        if (!Files.exists(cache())) {
            return List.of();
        }
        try (Stream<Path> all = Files.list(cache())) {
            return all.filter(Files::isDirectory)
                    .map(path -> path.getFileName().toString())
                    .toList();
        }
    }

    @Test
    void a_task_finds_what_it_requires_and_the_next_one_finds_it_built() throws Exception {
        try (Executor executor = executor()) {
            String program = "import first, second, sys; print(first.version, second.version, sys.prefix)";
            ExecutionOutcome outcome = run(executor, program, "second", "first<2");
            assertThat(outcome.stderr().text()).isEmpty();
            assertThat(environments()).hasSize(1);
            Path venv = cache().resolve(environments().get(0));
            assertThat(outcome.stdout().text()).isEqualTo("1.0 1.0 " + venv + "\n");
            Object built = Files.getAttribute(venv.resolve("pyvenv.cfg"), "unix:ino");

            ExecutionOutcome again = run(executor, program, "first<2", "second", "second");
            assertThat(again.stdout().text()).isEqualTo(outcome.stdout().text());
            assertThat(again.executor().warm()).isTrue();
            assertThat(Files.getAttribute(venv.resolve("pyvenv.cfg"), "unix:ino"))
                    .isEqualTo(built);

            assertThat(run(executor, "import first; print(first.version)", "first")
                            .stdout()
                            .text())
                    .isEqualTo("2.0\n");
            assertThat(environments()).hasSize(2);
        }
        // Another slave, or the same one later, finds it, too.
        try (Executor executor = executor("pip_arguments", "--no-index")) {
            assertThat(run(executor, "import first; print(first.version)", "first<2", "second")
                            .stdout()
                            .text())
                    .isEqualTo("1.0\n");
        }
    }

    @Test
    void what_cannot_be_built_is_told_with_pips_last_words_and_not_kept() throws Exception {
        try (Executor executor = executor()) {
            ExecutionOutcome outcome = run(executor, "print('never')", "no-such-package");
            assertThat(outcome.termination()).isEqualTo(Termination.of(Status.START_FAILED));
            assertThat(outcome.message().orElse(""))
                    .startsWith("the environment for no-such-package cannot be built: pip failed\n")
                    .contains("No matching distribution found for no-such-package")
                    .doesNotContain("Traceback");
            assertThat(environments()).isEmpty();
            assertThat(run(executor, "import first; print(1)", "first").stdout().text())
                    .isEqualTo("1\n");
        }
    }

    @Test
    void a_build_is_a_task_with_its_walls_and_its_time() throws Exception {
        Path out = folder.resolve("out");
        TestWheels.makeSource(
                wheels,
                "hostile",
                "import os\nopen('" + out + "', 'w').write(os.environ.get('SLAVE_TOKEN', 'no token') + ' '"
                        + " + str(len([p for p in os.listdir('/proc') if p.isdigit()]) < 20))\n"
                        + "import time; time.sleep(1000)\n");
        try (Executor executor = executor("build_timeout", "12")) {
            ExecutionOutcome outcome = run(executor, "print('never')", "hostile");
            assertThat(outcome.termination()).isEqualTo(Termination.of(Status.START_FAILED));
            assertThat(outcome.message().orElse("")).contains("timed out after 12 s");
            assertThat(environments()).isEmpty();
        }
        if (Files.exists(out)) { // Where setup.py can be run at all without a network.
            assertThat(out).hasContent("no token True");
        }
    }

    @Test
    void options_of_pips_are_not_a_tasks_to_set() {
        try (Executor executor = executor()) {
            for (String line : List.of("--index-url=http://evil", "-e .", "", "a\nb")) {
                assertThat(executor.objection(Invocation.python("print(1)")
                                .requirements(List.of("first", line))
                                .build()))
                        .hasValueSatisfying(why -> assertThat(why).startsWith("requirements[1]: "));
            }
        }
    }

    /** Stands in for uv: makes an environment without pip, installs nothing, and notes each call. */
    private Path fakeUv(String install) throws IOException {
        Path bin = Files.createDirectories(folder.resolve("bin"));
        Path uv = bin.resolve("uv");
        Files.writeString(uv, """
                #!/bin/sh
                echo "$@" >> %s/uv.log
                case $1 in
                  venv) exec /usr/bin/python3 -m venv --without-pip "$4" ;;
                  pip) %s ;;
                esac
                """.formatted(folder, install));
        assertThat(uv.toFile().setExecutable(true)).isTrue();
        return uv;
    }

    private BuiltVenvs withUv(Path uv, long cacheBytes, Duration idle) {
        var settings =
                dev.d8.executor.python.engine.EngineSettings.of(Options.NONE).forOneAtATime();
        var engine = new dev.d8.executor.python.engine.PythonEngine(
                "test",
                () -> dev.d8.executor.python.engine.PythonInterpreter.ask(Path.of("/usr/bin/python3"), Map.of()),
                settings);
        engine.probe();
        VenvBuilder builder =
                new VenvBuilder(engine, Map.of(), List.of(), Duration.ofSeconds(60), java.util.Optional.of(uv));
        return new BuiltVenvs(
                engine, builder, new VenvCache(cache(), cacheBytes), settings, idle, dev.d8.spi.TimeSource.system());
    }

    private static String print(BuiltVenvs venvs, String requirement) throws InterruptedException {
        ExecutionOutcome outcome = venvs.execute(
                Invocation.python("import sys; print(sys.prefix)")
                        .requirements(List.of(requirement))
                        .build(),
                ExecutionListener.NONE);
        return outcome.message().orElse(outcome.stdout().text().strip());
    }

    private long builds() throws IOException {
        return Files.readAllLines(folder.resolve("uv.log")).stream()
                .filter(line -> line.startsWith("pip "))
                .count();
    }

    @Test
    void tasks_that_need_the_same_wait_for_one_build_even_of_two_slaves() throws Exception {
        Path uv = fakeUv("sleep 0.5");
        ExecutorService threads = Executors.newCachedThreadPool();
        try (BuiltVenvs one = withUv(uv, Long.MAX_VALUE, Duration.ofSeconds(60));
                BuiltVenvs other = withUv(uv, Long.MAX_VALUE, Duration.ofSeconds(60))) {
            List<Future<String>> prefixes = new ArrayList<>();
            for (int i = 0; i < 6; i++) {
                BuiltVenvs venvs = i % 2 == 0 ? one : other;
                prefixes.add(threads.submit(() -> print(venvs, "same")));
            }
            for (Future<String> prefix : prefixes) {
                assertThat(prefix.get(60, TimeUnit.SECONDS))
                        .isEqualTo(cache().resolve(environments().get(0)).toString());
            }
            assertThat(builds()).isEqualTo(1);
            assertThat(Files.readString(folder.resolve("uv.log"))).contains("venv --python /usr/bin/python3 ");
        } finally {
            threads.shutdownNow();
        }
    }

    @Test
    void environments_beyond_the_quota_go_the_longest_unused_first_and_none_in_use() throws Exception {
        Path uv = fakeUv("head -c 1000000 /dev/zero > \"$(dirname \"$(dirname \"$4\")\")/big\"");
        try (BuiltVenvs venvs = withUv(uv, 2_500_000, Duration.ofMillis(1))) {
            String a = print(venvs, "a");
            awaitNoLease();
            String b = print(venvs, "b");
            awaitNoLease();
            assertThat(print(venvs, "a")).isEqualTo(a); // Used again, so b is the one that was not used for longest.
            awaitNoLease();
            String c = print(venvs, "c");
            assertThat(Path.of(b)).doesNotExist();
            assertThat(Path.of(a)).exists();
            assertThat(Path.of(c)).exists();

            CompletableFuture<String> busy = new CompletableFuture<>();
            Path go = folder.resolve("go");
            Thread user = new Thread(() -> {
                try {
                    ExecutionOutcome outcome = venvs.execute(
                            Invocation.python("import os, sys, time\nopen('" + go + "', 'w').close()\n"
                                            + "while os.path.exists('" + go + "'): time.sleep(.01)\nprint(sys.prefix)")
                                    .requirements(List.of("a"))
                                    .build(),
                            ExecutionListener.NONE);
                    busy.complete(outcome.stdout().text().strip());
                } catch (InterruptedException e) {
                    busy.completeExceptionally(e);
                }
            });
            user.start();
            await(() -> Files.exists(go));
            assertThat(print(venvs, "d")).doesNotContain("cannot");
            assertThat(Path.of(a)).as("in use").exists();
            Files.delete(go);
            assertThat(busy.get(30, TimeUnit.SECONDS)).isEqualTo(a);
        }
    }

    @Test
    void a_build_that_was_cut_off_starts_afresh() throws Exception {
        Path uv = fakeUv("true");
        String prefix;
        try (BuiltVenvs venvs = withUv(uv, Long.MAX_VALUE, Duration.ofSeconds(60))) {
            prefix = print(venvs, "cut");
        }
        Files.delete(Path.of(prefix, "d8-complete"));
        Files.writeString(Path.of(prefix, "pyvenv.cfg"), "half a line");
        try (BuiltVenvs venvs = withUv(uv, Long.MAX_VALUE, Duration.ofSeconds(60))) {
            assertThat(print(venvs, "cut")).isEqualTo(prefix);
        }
        assertThat(builds()).isEqualTo(2);
    }

    @Test
    void a_build_that_nobody_waits_for_any_more_is_ended() throws Exception {
        Path uv = fakeUv("touch " + folder + "/begun; sleep 1000");
        try (BuiltVenvs venvs = withUv(uv, Long.MAX_VALUE, Duration.ofSeconds(60))) {
            CompletableFuture<Throwable> thrown = new CompletableFuture<>();
            Thread caller = new Thread(() -> {
                try {
                    print(venvs, "slow");
                } catch (InterruptedException e) {
                    thrown.complete(e);
                }
            });
            caller.start();
            await(() -> Files.exists(folder.resolve("begun")));
            caller.interrupt();
            assertThat(thrown.get(30, TimeUnit.SECONDS)).isInstanceOf(InterruptedException.class);
            await(() -> environments().isEmpty());
        }
    }

    private void awaitNoLease() throws Exception {
        await(() -> {
            try (Stream<Path> all = Files.list(cache())) {
                return all.noneMatch(path -> path.toString().endsWith(".lease"));
            }
        });
    }

    private interface Condition {
        boolean holds() throws IOException;
    }

    private static void await(Condition condition) throws IOException {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (!condition.holds()) {
            assertThat(System.nanoTime()).isLessThan(until);
            LockSupport.parkNanos(1_000_000);
        }
    }

    @Test
    void a_slave_without_an_environment_of_its_own_says_what_it_can_do() {
        try (Executor executor = executor()) {
            assertThat(executor.probe())
                    .isInstanceOfSatisfying(
                            Available.class,
                            able -> assertThat(able.detail())
                                    .startsWith("for tasks with requirements only, built by pip for /usr/bin/python3")
                                    .contains("neither venv/ nor .venv/ in " + folder));
            assertThat(executor.objection(Invocation.python("print(1)").build()))
                    .hasValueSatisfying(why -> assertThat(why).startsWith("no virtual environment"));
        }
        try (Executor executor = executor("requirements", "refuse")) {
            assertThat(executor.probe()).isInstanceOf(Unavailable.class);
        }
    }
}
