package dev.d8.executor.docker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.api.model.Container;
import dev.d8.Invocation;
import dev.d8.Limits;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.executor.python.engine.AgentProgram;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.TimeSource;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** On a real engine, in containers that are made for each task. */
@Timeout(120)
@Tag("other-runtime")
class DockerExecutorTest {

    private static final String SLAVE = "test-" + UUID.randomUUID();

    @TempDir
    static Path open;

    private static DockerExecutor executor;
    private static DockerClient client;

    @BeforeAll
    static void start() throws IOException {
        Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rwxr-xr-x"));
        executor = TestEngine.executor(Map.of("slave_id", SLAVE, "mounts", open.toString(), "pool", "0"));
        client = TestEngine.client();
    }

    @AfterAll
    static void nothing_is_left() throws IOException {
        if (client != null) {
            try (DockerClient c = client) {
                assertThat(TestEngine.awaitContainers(c, SLAVE, 0)).isEmpty();
            } finally {
                executor.close();
            }
        }
    }

    private static ExecutionOutcome run(String source) throws InterruptedException {
        return run(Invocation.python(source).timeout(Duration.ofSeconds(60)).build());
    }

    private static ExecutionOutcome run(Invocation invocation) throws InterruptedException {
        return executor.execute(invocation, ExecutionListener.NONE);
    }

    @Test
    void fibonacci_of_ten_is_55() throws InterruptedException {
        ExecutionOutcome outcome = run("def fib(n):\n  return n if n < 2 else fib(n - 1) + fib(n - 2)\nprint(fib(10))");

        assertThat(outcome.stdout().text()).isEqualTo("55\n");
        assertThat(outcome.stderr().text()).isEmpty();
        assertThat(outcome.termination()).isEqualTo(Termination.OK);
        assertThat(outcome.executor().warm()).isFalse();
        assertThat(outcome.executor().python()).get().asString().startsWith("3.");
        assertThat(outcome.executor().isolation())
                .contains(
                        "container",
                        "no_network",
                        "read_only_root",
                        "cap_drop_all",
                        "no_new_privileges",
                        "seccomp_default",
                        "user_65534",
                        "pids_limit",
                        "memory_limit",
                        "rlimits");
        assertThat(outcome.usage()).isPresent();
        assertThat(outcome.startup()).isPositive();
    }

    @Test
    void a_probe_tells_the_engine_the_image_and_its_python() {
        assertThat(executor.probe()).isInstanceOfSatisfying(Available.class, found -> {
            assertThat(found.detail()).contains("Docker ", TestEngine.image(), "Python 3.");
            assertThat(found.isolation()).isEqualTo(dev.d8.Isolation.CONTAINER);
            assertThat(found.pythonVersion()).get().asString().startsWith("3.");
        });
    }

    @Test
    void stderr_and_the_exit_code_come_back() throws InterruptedException {
        ExecutionOutcome outcome = run("import sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.exit(7)");

        assertThat(outcome.stdout().text()).isEqualTo("out\n");
        assertThat(outcome.stderr().text()).isEqualTo("err\n");
        assertThat(outcome.termination()).isEqualTo(Termination.exited(7));
    }

    @Test
    void an_uncaught_exception_looks_as_it_does_with_python_c() throws InterruptedException {
        ExecutionOutcome outcome = run("raise ValueError('no')");

        assertThat(outcome.stderr().text())
                .startsWith("Traceback")
                .contains("<string>")
                .endsWith("ValueError: no\n");
        assertThat(outcome.termination()).isEqualTo(Termination.exited(1));
    }

    @Test
    void stdin_arguments_and_environment_reach_the_program() throws InterruptedException {
        ExecutionOutcome outcome =
                run(Invocation.python("import os, sys\nprint(sys.argv, sys.stdin.read(), os.environ['GREETING'])")
                        .stdin("grüße")
                        .args(List.of("a", "b c"))
                        .env(Map.of("GREETING", "hello"))
                        .build());

        assertThat(outcome.stdout().text()).isEqualTo("['-c', 'a', 'b c'] grüße hello\n");
    }

    @Test
    void a_large_source_fits() throws InterruptedException {
        ExecutionOutcome outcome = run("x = '" + "a".repeat(3_000_000) + "'\nprint(len(x))");

        assertThat(outcome.stdout().text()).isEqualTo("3000000\n");
    }

    @Test
    void a_megabyte_of_output_comes_whole() throws InterruptedException {
        ExecutionOutcome outcome = run("import sys\nsys.stdout.write('0123456789abcdef' * 65536)");

        assertThat(outcome.stdout().text()).isEqualTo("0123456789abcdef".repeat(65536));
    }

    @Test
    void output_over_its_limit_is_dropped_and_counted() throws InterruptedException {
        ExecutionOutcome outcome = run(Invocation.python("print('x' * 99999)")
                .limits(Limits.DEFAULT.withOutputBytes(1000))
                .build());

        assertThat(outcome.termination()).isEqualTo(Termination.OK);
        assertThat(outcome.stdout().bytes()).hasSize(1000);
        assertThat(outcome.stdout().totalBytes()).isEqualTo(100_000);
    }

    @Test
    void a_listener_hears_output_while_the_task_runs() throws Exception {
        CountDownLatch heard = new CountDownLatch(1);
        ExecutionListener listener = new ExecutionListener() {
            @Override
            public void output(Stream stream, byte[] chunk) {
                heard.countDown();
            }
        };
        try (Running running = new Running(
                Invocation.python("import time\nprint('now', flush=True)\ntime.sleep(60)")
                        .build(),
                listener)) {
            assertThat(heard.await(30, TimeUnit.SECONDS)).isTrue();
            assertThat(running.outcome).isNotDone();
        }
    }

    @Test
    void the_timeout_ends_a_task_and_what_it_started() throws InterruptedException {
        ExecutionOutcome outcome =
                run(Invocation.python("""
                        import subprocess, sys, time
                        subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
                        print('started', flush=True)
                        time.sleep(60)
                        """).timeout(Duration.ofSeconds(2)).build());

        assertThat(outcome.termination().status()).isEqualTo(Status.TIMEOUT);
        assertThat(outcome.stdout().text()).isEqualTo("started\n");
        assertThat(outcome.message()).get().asString().contains("timed out after 2 s");
    }

    @Test
    void a_memory_bomb_ends_with_memory_limit() throws InterruptedException {
        ExecutionOutcome outcome = run(Invocation.python("""
                        blocks = []
                        while True:
                            blocks.append(bytearray(1 << 20))
                        """)
                .limits(Limits.DEFAULT.withMemoryBytes(64 << 20))
                .build());

        assertThat(outcome.termination()).isEqualTo(new Termination(Status.MEMORY_LIMIT, null, 9));
        assertThat(outcome.message()).get().asString().contains("memory");
    }

    @Test
    void a_task_that_kills_itself_has_not_run_out_of_memory() throws InterruptedException {
        assertThat(run("import os\nos.kill(os.getpid(), 9)").termination()).isEqualTo(Termination.signaled(9));
    }

    @Test
    void cpu_time_is_limited() throws InterruptedException {
        ExecutionOutcome outcome = run(Invocation.python("while True: pass")
                .limits(Limits.DEFAULT.withCpuTime(Duration.ofSeconds(1)))
                .build());

        assertThat(outcome.termination().status()).as("%s", outcome).isEqualTo(Status.CPU_LIMIT);
    }

    @Test
    void processes_are_limited() throws InterruptedException {
        ExecutionOutcome outcome = run(
                Invocation.python("""
                        import threading, time
                        count = 1
                        try:
                            for count in range(1, 100):
                                threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
                        except RuntimeError:
                            print(count)
                        """).limits(Limits.DEFAULT.withProcesses(5)).build());

        assertThat(outcome.stdout().text()).isEqualTo("5\n");
    }

    @Test
    void there_is_no_network_but_the_loopback() throws InterruptedException {
        ExecutionOutcome outcome = run("""
                import os, socket
                print(sorted(os.listdir('/sys/class/net')))
                try:
                    socket.create_connection(('192.0.2.1', 80), 5)
                except OSError as e:
                    print(e.strerror)
                here = socket.create_server(('localhost', 0))
                socket.create_connection(here.getsockname())
                print(socket.gethostbyname('localhost'))
                """);

        assertThat(outcome.stdout().text()).isEqualTo("['lo']\nNetwork is unreachable\n127.0.0.1\n");
    }

    @Test
    void only_tmp_can_be_written_and_nothing_there_be_executed() throws InterruptedException {
        ExecutionOutcome outcome = run("""
                import os
                print(os.getcwd())
                for path in ('/x', '/usr/x', '/etc/x', '/var/tmp/x'):
                    try:
                        open(path, 'w')
                    except OSError as e:
                        print(e.strerror)
                open('/tmp/x', 'w').write('#!/bin/sh\\n')
                os.chmod('/tmp/x', 0o755)
                try:
                    os.execv('/tmp/x', ['x'])
                except OSError as e:
                    print(e.strerror)
                """);

        assertThat(outcome.stdout().text().lines().toList())
                .startsWith("/tmp", "Read-only file system", "Read-only file system")
                .endsWith("Permission denied")
                .hasSize(6);
    }

    @Test
    void the_task_is_an_unprivileged_user_without_capabilities() throws InterruptedException {
        ExecutionOutcome outcome = run("""
                import os, re
                print(os.getuid(), os.getgid(), os.getgroups())
                status = open('/proc/self/status').read()
                for name in ('CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp'):
                    print(name, int(re.search(name + r':\\s*(\\w+)', status).group(1), 16))
                """);

        assertThat(outcome.stdout().text())
                .startsWith("65534 65534 [65534]\nCapEff 0\nCapBnd 0\nNoNewPrivs 1\nSeccomp 2\n");
    }

    @Test
    void the_slaves_environment_stays_outside() throws InterruptedException {
        // Maven's own JVM has these; an empty environment would prove nothing.
        assertThat(System.getenv()).containsKey("PATH").hasSizeGreaterThan(2);

        List<String> names = run("import os\nprint(*sorted(os.environ), sep='\\n')")
                .stdout()
                .text()
                .lines()
                .toList();

        assertThat(names)
                .contains("HOME", "PATH")
                .isSubsetOf(
                        "HOME", "PATH", "HOSTNAME", "LC_CTYPE", "LANG", "GPG_KEY", "PYTHON_VERSION", "PYTHON_SHA256");
    }

    @Test
    void a_directory_below_an_open_root_can_be_read_but_not_written() throws Exception {
        Path dir = Files.createDirectory(open.resolve("data"));
        Files.setPosixFilePermissions(dir, PosixFilePermissions.fromString("rwxrwxrwx"));
        Files.writeString(dir.resolve("in.txt"), "inside");

        ExecutionOutcome outcome =
                run(Invocation.python("""
                        import os
                        print(os.getcwd(), open('in.txt').read())
                        try:
                            open('out.txt', 'w')
                        except OSError as e:
                            print(e.strerror)
                        """).workingDir(dir.toString()).build());

        assertThat(outcome.stdout().text()).isEqualTo(dir + " inside\nRead-only file system\n");
    }

    @Test
    void a_link_that_leads_out_of_the_open_root_is_refused(@TempDir Path outside) throws Exception {
        Path link = Files.createSymbolicLink(open.resolve("escape"), outside);

        ExecutionOutcome outcome =
                run(Invocation.python("print(1)").workingDir(link.toString()).build());

        assertThat(outcome.termination().status()).isEqualTo(Status.START_FAILED);
        assertThat(outcome.message()).get().asString().contains("leads to " + outside.toRealPath(), "docker.mounts");
    }

    @Test
    void a_directory_by_a_roundabout_name_is_entered_where_it_is_mounted() throws Exception {
        Path dir = Files.createDirectory(open.resolve("around"));

        ExecutionOutcome outcome = run(Invocation.python("import os\nprint(os.getcwd())")
                .workingDir(open + "/around/../around/.")
                .build());

        assertThat(outcome.stdout().text()).isEqualTo(dir + "\n");
    }

    @Test
    void a_directory_that_is_swapped_for_a_link_after_the_look_at_it_is_seen_by_no_task(@TempDir Path outside)
            throws Exception {
        Path dir = Files.createDirectory(open.resolve("swapped"));
        WorkingDirs.Mount mount =
                new WorkingDirs(List.of(open), List.of()).admit(dir.toString(), URI.create(TestEngine.host()));
        Files.move(dir, open.resolve("moved"));
        Files.createSymbolicLink(dir, outside);
        Files.setPosixFilePermissions(outside, PosixFilePermissions.fromString("rwxr-xr-x"));
        DockerSettings settings = TestEngine.settings(Map.of());
        ExecutorService workers = Executors.newCachedThreadPool();
        try (DockerClients clients = DockerClients.of(Optional.of(TestEngine.host()));
                TimeSource time = TimeSource.system();
                Containers containers = new Containers(settings, SLAVE, workers)) {
            Shape shape = Shape.of(
                    settings,
                    new Image(TestEngine.image(), List.of(), "", AgentProgram.source()),
                    Invocation.python("").build(),
                    Optional.of(mount));

            ExecutionOutcome outcome = new ContainerRunner(containers, settings, time, workers)
                    .runCold(
                            TestEngine.ready(clients),
                            shape,
                            Invocation.python("print('never')")
                                    .workingDir(dir.toString())
                                    .build(),
                            ExecutionListener.NONE,
                            time.nanoTime());

            assertThat(outcome.termination()).isEqualTo(Termination.of(Status.START_FAILED));
            assertThat(outcome.message()).get().asString().contains("working_dir: " + dir, "changed while");
            assertThat(outcome.stdout().text()).isEmpty();
        } finally {
            workers.shutdownNow();
        }
    }

    @Test
    void a_directory_that_the_container_user_may_not_enter_is_said_so() throws Exception {
        Path dir = Files.createDirectory(open.resolve("closed"));
        Files.setPosixFilePermissions(dir, PosixFilePermissions.fromString("rwx------"));

        ExecutionOutcome outcome =
                run(Invocation.python("print(1)").workingDir(dir.toString()).build());

        assertThat(outcome.termination().status()).isEqualTo(Status.START_FAILED);
        assertThat(outcome.message()).get().asString().contains("working_dir", "Permission denied");
    }

    @Test
    void an_interruption_cancels_the_task_and_removes_its_container() throws Exception {
        CountDownLatch started = new CountDownLatch(1);
        Invocation invocation = Invocation.python("import time\ntime.sleep(60)").build();
        try (Running running = new Running(invocation, startedBy(started))) {
            assertThat(started.await(30, TimeUnit.SECONDS)).isTrue();
            assertThat(TestEngine.containersOf(client, SLAVE)).isNotEmpty();

            running.thread.interrupt();

            assertThatThrownBy(() -> running.outcome.get(30, TimeUnit.SECONDS))
                    .hasCauseInstanceOf(InterruptedException.class);
            assertThat(TestEngine.awaitContainers(client, SLAVE, 0)).isEmpty();
        }
    }

    @Test
    void an_interruption_before_the_start_leaves_no_container() throws Exception {
        Invocation invocation = Invocation.python("import time\ntime.sleep(60)").build();
        try (Running running = new Running(invocation, ExecutionListener.NONE)) {
            running.thread.interrupt();

            assertThatThrownBy(() -> running.outcome.get(30, TimeUnit.SECONDS))
                    .hasCauseInstanceOf(InterruptedException.class);
            assertThat(TestEngine.awaitContainers(client, SLAVE, 0)).isEmpty();
        }
    }

    @Test
    void a_container_that_is_removed_from_outside_is_a_lost_executor() throws Exception {
        Invocation invocation = Invocation.python("import time\nprint('so far', flush=True)\ntime.sleep(60)")
                .build();
        CountDownLatch printed = new CountDownLatch(1);
        ExecutionListener listener = new ExecutionListener() {
            @Override
            public void output(Stream stream, byte[] chunk) {
                printed.countDown();
            }
        };
        try (Running running = new Running(invocation, listener)) {
            assertThat(printed.await(30, TimeUnit.SECONDS)).isTrue();

            client.removeContainerCmd(
                            TestEngine.containersOf(client, SLAVE).get(0).getId())
                    .withForce(true)
                    .exec();

            ExecutionOutcome outcome = running.outcome.get(30, TimeUnit.SECONDS);
            assertThat(outcome.termination().status()).isEqualTo(Status.EXECUTOR_LOST);
            assertThat(outcome.message()).get().asString().contains("removed from outside");
            assertThat(outcome.stdout().text()).isEqualTo("so far\n");
        }
    }

    @Test
    void eight_tasks_run_at_once() throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(8);
        try {
            List<Future<ExecutionOutcome>> outcomes = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                String source = "print(" + i + " * 11)";
                outcomes.add(threads.submit(() -> run(source)));
            }
            for (int i = 0; i < 8; i++) {
                assertThat(outcomes.get(i).get(60, TimeUnit.SECONDS).stdout().text())
                        .isEqualTo(i * 11 + "\n");
            }
        } finally {
            threads.shutdownNow();
        }
    }

    @Test
    void no_thread_keeps_the_jvm_alive() throws Exception {
        CountDownLatch started = new CountDownLatch(1);
        try (Running running =
                new Running(Invocation.python("import time\ntime.sleep(60)").build(), startedBy(started))) {
            assertThat(started.await(30, TimeUnit.SECONDS)).isTrue();

            assertThat(Thread.getAllStackTraces().keySet())
                    .filteredOn(thread -> thread.getName().contains("docker"))
                    .hasSizeGreaterThan(1)
                    .allMatch(Thread::isDaemon);
            assertThat(running.outcome).isNotDone();
        }
    }

    @Test
    void closing_the_executor_removes_its_containers_and_ends_its_tasks() throws Exception {
        String slave = "test-" + UUID.randomUUID();
        DockerExecutor other = TestEngine.executor(Map.of("slave_id", slave, "pool", "0"));
        CountDownLatch started = new CountDownLatch(1);
        try (Running running = new Running(
                other, Invocation.python("import time\ntime.sleep(60)").build(), startedBy(started))) {
            assertThat(started.await(30, TimeUnit.SECONDS)).isTrue();

            other.close();

            assertThat(TestEngine.awaitContainers(client, slave, 0)).isEmpty();
            assertThat(running.outcome.get(30, TimeUnit.SECONDS).termination().status())
                    .isEqualTo(Status.EXECUTOR_LOST);
        }
    }

    @Test
    void what_an_earlier_life_of_the_slave_left_is_removed_and_nothing_else() {
        String slave = "test-" + UUID.randomUUID();
        String left = leave(slave);
        String foreign = leave(slave + "-other");
        try (DockerExecutor other = TestEngine.executor(Map.of("slave_id", slave, "pool", "0"))) {
            assertThat(client.listContainersCmd().withShowAll(true).exec())
                    .extracting(Container::getId)
                    .contains(foreign)
                    .doesNotContain(left);
            assertThat(other.probe()).isInstanceOf(Available.class);
        } finally {
            client.removeContainerCmd(foreign).withForce(true).exec();
        }
    }

    private static String leave(String slave) {
        return client.createContainerCmd(TestEngine.image())
                .withEntrypoint("python3")
                .withLabels(Map.of("d8.slave", slave, "d8.boot", "an earlier one"))
                .exec()
                .getId();
    }

    private static ExecutionListener startedBy(CountDownLatch latch) {
        return new ExecutionListener() {
            @Override
            public void started() {
                latch.countDown();
            }
        };
    }

    /** A task on a thread of its own, ended with the block. */
    private static final class Running implements AutoCloseable {
        final CompletableFuture<ExecutionOutcome> outcome = new CompletableFuture<>();
        final Thread thread;

        Running(Invocation invocation, ExecutionListener listener) {
            this(executor, invocation, listener);
        }

        Running(DockerExecutor on, Invocation invocation, ExecutionListener listener) {
            thread = new Thread(() -> {
                try {
                    outcome.complete(on.execute(invocation, listener));
                } catch (InterruptedException | RuntimeException e) {
                    outcome.completeExceptionally(e);
                }
            });
            thread.start();
        }

        @Override
        public void close() {
            thread.interrupt();
            outcome.handle((result, failure) -> "ended")
                    .orTimeout(30, TimeUnit.SECONDS)
                    .join();
        }
    }
}
