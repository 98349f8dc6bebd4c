package dev.d8.executor.python;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.d8.Invocation;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.spi.Availability.Unavailable;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.Options;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Agents, supervisors and parked processes: how they come, go, break and are replaced, and that none stays. */
@Timeout(120)
class EngineLifecycleTest {

    private static Executor engine(String... options) {
        Map<String, String> values = new HashMap<>(Map.of("mode", "agent", "agents", "1", "parked", "1"));
        for (int i = 0; i < options.length; i += 2) {
            values.put(options[i], options[i + 1]);
        }
        Executor engine = new PythonExecutorProvider().create(Options.of(values));
        engine.probe();
        return engine;
    }

    private static ExecutionOutcome run(Executor engine, String program) throws InterruptedException {
        return engine.execute(
                Invocation.python(program).timeout(Duration.ofSeconds(60)).build(), ExecutionListener.NONE);
    }

    private static void assertRuns(Executor engine) throws InterruptedException {
        ExecutionOutcome outcome = run(engine, "print('well')");
        assertThat(outcome.stdout().text()).isEqualTo("well\n");
        assertThat(outcome.termination()).isEqualTo(Termination.OK);
        assertThat(outcome.executor().warm()).isTrue();
    }

    /** A task that has said that it runs, and its end. */
    private static CompletableFuture<ExecutionOutcome> start(Executor engine, String program) throws Exception {
        CountDownLatch running = new CountDownLatch(1);
        CompletableFuture<ExecutionOutcome> end = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                end.complete(engine.execute(Invocation.python(program).build(), new ExecutionListener() {
                    @Override
                    public void output(Stream stream, byte[] chunk) {
                        running.countDown();
                    }
                }));
            } catch (InterruptedException | RuntimeException e) {
                end.completeExceptionally(e);
            }
        });
        thread.start();
        assertThat(running.await(60, TimeUnit.SECONDS)).isTrue();
        return end;
    }

    /** This process's descendants, by their depth: agents 1, supervisors 2, tasks and parked processes 3. */
    private static List<Long> descendants(int depth) throws IOException {
        Map<Long, Long> parents = new HashMap<>();
        try (DirectoryStream<Path> processes = Files.newDirectoryStream(Path.of("/proc"), "[0-9]*")) {
            for (Path process : processes) {
                try {
                    String stat = Files.readString(process.resolve("stat"), StandardCharsets.ISO_8859_1);
                    String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
                    if (!fields[0].equals("Z") && !fields[0].equals("X")) {
                        parents.put(Long.parseLong(process.getFileName().toString()), Long.parseLong(fields[1]));
                    }
                } catch (IOException e) {
                    // It has ended meanwhile.
                }
            }
        }
        Set<Long> level = Set.of(ProcessHandle.current().pid());
        for (int i = 0; i < depth; i++) {
            Set<Long> above = level;
            level = parents.entrySet().stream()
                    .filter(entry -> above.contains(entry.getValue()))
                    .map(Map.Entry::getKey)
                    .collect(Collectors.toCollection(HashSet::new));
        }
        return new ArrayList<>(level);
    }

    private static void kill(long pid) throws Exception {
        assertThat(new ProcessBuilder("kill", "-9", String.valueOf(pid)).start().waitFor())
                .isZero();
    }

    private static void await(String what, BooleanSupplier condition) {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (!condition.getAsBoolean()) {
            assertThat(System.nanoTime()).as(what).isLessThan(until);
            Thread.onSpinWait();
        }
    }

    private static boolean isEmpty(int depth) {
        return count(depth) == 0;
    }

    private static int count(int depth) {
        try {
            return descendants(depth).size();
        } catch (IOException e) {
            return -1;
        }
    }

    private static Set<Path> leftInTemp() throws IOException {
        Set<Path> found = new HashSet<>();
        Path temp = Path.of(System.getProperty("java.io.tmpdir"));
        try (DirectoryStream<Path> folders = Files.newDirectoryStream(temp, "d8-agents-*")) {
            folders.forEach(found::add);
        }
        return found;
    }

    /** Of everybody: an engine that was killed with its whole family leaves its empty ones to the next. */
    private static Set<Path> cgroups() throws IOException {
        Set<Path> found = new HashSet<>();
        Files.walkFileTree(Path.of("/sys/fs/cgroup"), new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) {
                if (String.valueOf(folder.getFileName()).startsWith("d8-")) {
                    found.add(folder);
                    return FileVisitResult.SKIP_SUBTREE;
                }
                return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFileFailed(Path file, IOException gone) {
                return FileVisitResult.CONTINUE;
            }
        });
        return found;
    }

    /** Root has one; others have where the kernel lets them. */
    private static void assumeMountNamespace() throws InterruptedException {
        try (Executor engine = engine()) {
            assumeThat(run(engine, "pass").executor().isolation()).contains("mount_ns");
        }
    }

    @Test
    void a_closed_engine_leaves_nothing() throws Exception {
        Set<Path> cgroupsBefore = cgroups();
        CompletableFuture<ExecutionOutcome> end;
        try (Executor engine = engine("agents", "2", "parked", "4")) {
            assertRuns(engine);
            end = start(engine, "import time; print('running', flush=True); time.sleep(1000)");
        }
        assertThat(end.get(30, TimeUnit.SECONDS).termination().status()).isEqualTo(Status.EXECUTOR_LOST);
        await("no process is left", () -> isEmpty(1));
        assertThat(leftInTemp())
                .noneMatch(path -> path.getFileName()
                        .toString()
                        .startsWith("d8-agents-" + ProcessHandle.current().pid() + "-"));
        assertThat(cgroupsBefore).containsAll(cgroups());
    }

    @Test
    void every_task_gets_a_process_that_nobody_used_before() throws Exception {
        try (Executor engine = engine("isolation", "none")) {
            Set<String> pids = new HashSet<>();
            for (int i = 0; i < 50; i++) {
                pids.add(run(engine, "import os; print(os.getpid())").stdout().text());
            }
            assertThat(pids).hasSize(50).doesNotContain("");
        }
    }

    @Test
    void an_agent_that_is_killed_is_replaced_and_its_tasks_go_on() throws Exception {
        try (Executor engine = engine()) {
            CompletableFuture<ExecutionOutcome> end =
                    start(engine, "import time, sys; print('running', flush=True); time.sleep(1.5); print('done')");
            kill(descendants(1).get(0));
            assertThat(end.get(60, TimeUnit.SECONDS).stdout().text()).isEqualTo("running\ndone\n");
            for (int i = 0; i < 20; i++) {
                assertThat(engine.execute(Invocation.python("print(1)").build(), ExecutionListener.NONE)
                                .termination()
                                .status())
                        .isIn(Status.OK, Status.START_FAILED); // Until the new one has come, there may be nobody.
            }
            await("another agent has come", () -> {
                try {
                    return run(engine, "print(1)").termination().equals(Termination.OK);
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            });
            assertRuns(engine);
        }
    }

    @Test
    void a_supervisor_that_is_killed_is_an_executor_lost_and_takes_its_task_along() throws Exception {
        for (String isolation : List.of("contained", "none")) {
            try (Executor engine = engine("isolation", isolation)) {
                CompletableFuture<ExecutionOutcome> end =
                        start(engine, "import time; print('running', flush=True); time.sleep(1000)");
                for (long supervisor : descendants(2)) {
                    kill(supervisor);
                }
                ExecutionOutcome outcome = end.get(30, TimeUnit.SECONDS);
                assertThat(outcome.termination()).isEqualTo(Termination.of(Status.EXECUTOR_LOST));
                assertThat(outcome.stdout().text()).isEqualTo("running\n");
                assertRuns(engine);
            }
            await("no process is left", () -> isEmpty(1));
        }
    }

    @Test
    void a_process_that_is_killed_while_it_waits_is_replaced() throws Exception {
        try (Executor engine = engine()) {
            assertRuns(engine);
            await("one waits", () -> !isEmpty(3));
            for (long parked : descendants(3)) {
                kill(parked);
            }
            assertRuns(engine);
        }
    }

    @Test
    void supervisors_and_agents_are_recycled() throws Exception {
        try (Executor engine = engine("recycle_tasks", "2", "recycle_age", "0.001")) {
            Set<Long> supervisors = new HashSet<>();
            for (int i = 0; i < 12; i++) {
                assertRuns(engine);
                supervisors.addAll(descendants(2));
            }
            assertThat(supervisors).hasSizeGreaterThan(4);
        }
    }

    @Test
    void more_tasks_at_a_time_than_supervisors_get_more_of_them() throws Exception {
        try (Executor engine = engine("parked", "1")) {
            List<CompletableFuture<ExecutionOutcome>> ends = new ArrayList<>();
            for (int i = 0; i < 12; i++) {
                ends.add(start(engine, "import sys; print('running', flush=True); import time; time.sleep(1)"));
            }
            for (CompletableFuture<ExecutionOutcome> end : ends) {
                ExecutionOutcome outcome = end.get(60, TimeUnit.SECONDS);
                assertThat(outcome.termination()).isEqualTo(Termination.OK);
                assertThat(outcome.executor().warm()).isTrue();
            }
        }
    }

    @Test
    void it_counts_how_tasks_start() throws Exception {
        SimpleMeterRegistry registry = new SimpleMeterRegistry();
        SimpleMeterRegistry other = new SimpleMeterRegistry();
        try (Executor engine = engine("mode", "spawn")) {
            engine.bindTo(other);
            run(engine, "print(1)");
            assertThat(count(other, "d8.python.starts", "start", "warm")).isZero();
            assertThat(count(other, "d8.python.starts", "start", "cold")).isEqualTo(1);
        }
        try (Executor engine = engine("mode", "auto")) {
            engine.bindTo(registry);
            assertRuns(engine);
            assertThat(count(registry, "d8.python.starts", "start", "warm")).isEqualTo(1);
            assertThat(count(registry, "d8.python.starts", "start", "cold")).isZero();
            assertThat(count(registry, "d8.python.agent.restarts", "method", "python"))
                    .isZero();
            await(
                    "a supervisor rests",
                    () -> registry.get("d8.python.parked").gauge().value() >= 1);
            await("what was spawned for another task is gone", () -> count(1) == 1);
            kill(descendants(1).get(0));
            await("it is started again", () -> count(registry, "d8.python.agent.restarts", "method", "python") == 1);
        }
    }

    private static double count(SimpleMeterRegistry registry, String name, String tag, String value) {
        return registry.get(name).tag(tag, value).functionCounter().count();
    }

    @Test
    void modules_that_are_preloaded_are_there() throws Exception {
        try (Executor engine = engine("preload", "json,decimal")) {
            assertThat(run(engine, "import sys; print('json' in sys.modules, 'decimal' in sys.modules)")
                            .stdout()
                            .text())
                    .isEqualTo("True True\n");
        }
    }

    @Test
    void a_module_that_cannot_be_preloaded_is_told() {
        try (Executor engine = engine("preload", "json,no_such_module")) {
            assertThat(engine.probe())
                    .isInstanceOfSatisfying(
                            Unavailable.class,
                            missing -> assertThat(missing.reason())
                                    .contains("cannot import no_such_module: ModuleNotFoundError"));
        }
    }

    @Test
    void tasks_can_run_as_another_user(@TempDir Path folder) throws Exception {
        assumeThat(System.getProperty("user.name")).isEqualTo("root");
        for (String mode : List.of("agent", "spawn")) {
            try (Executor engine = engine("user", "65534:65534", "mode", mode)) {
                ExecutionOutcome outcome = run(
                        engine,
                        "import os; print(os.getuid(), os.getgid(), os.getgroups());"
                                + "open('/proc/self/environ').close(); os.listdir('/proc/self/fd')");
                assertThat(outcome.stderr().text()).isEmpty();
                assertThat(outcome.stdout().text()).isEqualTo("65534 65534 []\n");
                assertThat(outcome.executor().isolation()).contains("user_65534");

                Path closed = Files.createDirectory(folder.resolve("closed-" + mode));
                Files.setPosixFilePermissions(
                        closed, java.nio.file.attribute.PosixFilePermissions.fromString("rwx------"));
                ExecutionOutcome refused = engine.execute(
                        Invocation.python("print('never')")
                                .workingDir(closed.toString())
                                .build(),
                        ExecutionListener.NONE);
                assertThat(refused.termination()).isEqualTo(Termination.of(Status.START_FAILED));
                assertThat(refused.message().orElse("")).contains("working_dir", "Permission denied");
            }
        }
    }

    @Test
    void what_is_hidden_is_not_there(@TempDir Path folder) throws Exception {
        assumeMountNamespace();
        Path file = Files.writeString(folder.resolve("token"), "secret");
        Path directory = Files.createDirectory(folder.resolve("keys"));
        Files.writeString(directory.resolve("key"), "secret");
        for (String mode : List.of("agent", "spawn")) {
            try (Executor engine = engine("hide", file + "," + directory, "mode", mode)) {
                ExecutionOutcome outcome = run(
                        engine,
                        "import os; print(open('" + file + "').read(), os.listdir('" + directory
                                + "'))\ntry: os.rmdir('" + directory + "')\nexcept OSError as e: print(e.strerror)");
                assertThat(outcome.stdout().text()).isEqualTo(" []\nDevice or resource busy\n");
            }
        }
        assertThat(file).hasContent("secret");
    }

    @Test
    void the_agents_socket_is_hidden_from_tasks_and_turns_strangers_away() throws Exception {
        assumeMountNamespace();
        String program = "import glob, os; print([os.listdir(d) for d in glob.glob('/tmp/d8-agents-*')])";
        try (Executor engine = engine()) {
            assertThat(run(engine, program).stdout().text()).doesNotContain("'s'");
        }
        try (Executor engine = engine("isolation", "none")) {
            assertRuns(engine);
            Set<Path> folders = leftInTemp();
            assertThat(folders).isNotEmpty();
            for (Path folder : folders) {
                try (SocketChannel stranger = SocketChannel.open(StandardProtocolFamily.UNIX)) {
                    stranger.connect(UnixDomainSocketAddress.of(folder.resolve("s")));
                    stranger.write(ByteBuffer.wrap(new byte[32]));
                    assertThat(stranger.read(ByteBuffer.allocate(1))).isEqualTo(-1);
                } catch (java.net.ConnectException e) {
                    // A leftover of another process.
                }
            }
            assertRuns(engine);
        }
    }

    @Test
    void an_interrupted_caller_gets_its_thread_back_and_the_next_task_is_right() throws Exception {
        try (Executor engine = engine()) {
            for (int i = 0; i < 5; i++) {
                CountDownLatch running = new CountDownLatch(1);
                CompletableFuture<Throwable> thrown = new CompletableFuture<>();
                Thread thread = new Thread(() -> {
                    try {
                        engine.execute(
                                Invocation.python("import time; print(1, flush=True); time.sleep(1000)")
                                        .build(),
                                new ExecutionListener() {
                                    @Override
                                    public void output(Stream stream, byte[] chunk) {
                                        running.countDown();
                                    }
                                });
                    } catch (InterruptedException e) {
                        thrown.complete(e);
                    }
                });
                thread.start();
                assertThat(running.await(30, TimeUnit.SECONDS)).isTrue();
                thread.interrupt();
                assertThat(thrown.get(30, TimeUnit.SECONDS)).isInstanceOf(InterruptedException.class);
                assertRuns(engine);
            }
        }
    }

    @Test
    void an_interpreter_that_is_none_is_unavailable_and_one_that_ends_at_once_is_told(@TempDir Path folder)
            throws IOException, ExecutionException, InterruptedException {
        Path fake = Files.writeString(folder.resolve("python3"), "#!/bin/sh\nexit 1\n");
        assertThat(fake.toFile().setExecutable(true)).isTrue();
        try (Executor engine = new PythonExecutorProvider().create(Options.of(Map.of("path", fake.toString())))) {
            assertThat(engine.probe())
                    .isInstanceOfSatisfying(
                            Unavailable.class,
                            missing -> assertThat(missing.reason()).contains("no working Python"));
        }
    }
}
