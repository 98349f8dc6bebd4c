package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.d8.Invocation;
import dev.d8.Limits;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * What an executor of Python must answer to tasks that mean harm: each has one exact answer, leaves nothing behind, and the
 * next task is right. Linux only. One executor serves them all, one after the other.
 *
 * <p>Subclass it and say how yours is made. What is asked of it depends on the walls that it says it has put up; which it
 * must have on a machine is for its own tests to say.
 */
@Timeout(120)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
public abstract class HostileTaskContract {

    /** A token that no task may find, wherever it looks. */
    private static final String SECRET = "a-secret-that-no-task-may-see-0123456789";

    private static final int SIGKILL = 9;
    private static final int SIGTERM = 15;

    /** What a process of this test calls itself, so that it is found wherever it hides. At most 15 characters. */
    private final String mark = "hostile-" + Long.toString(System.nanoTime() % 1_000_000, 36);

    private Executor executor;

    /** What the executor says that stands around its tasks on this machine; it is held to that. */
    private List<String> walls = List.of();

    /** For subclasses. */
    @SuppressWarnings("NullAway.Init") // JUnit calls makeExecutor first.
    protected HostileTaskContract() {}

    /** Returns the provider under test. */
    protected abstract ExecutorProvider provider();

    /** Returns the executor's options; default: none. */
    protected Options options() {
        return Options.NONE;
    }

    /** Returns whether a task sees and signals its own processes only. */
    private boolean alone() {
        return walls.contains("pid_ns") || walls.contains("container");
    }

    /** Returns whether the kernel counts a task's memory, as a cgroup makes it. */
    private boolean countsMemory() {
        return walls.contains("cgroup_memory") || walls.contains("memory_limit");
    }

    /** Returns whether the kernel counts a task's processes. */
    private boolean countsProcesses() {
        return walls.contains("cgroup_pids") || walls.contains("user_ns") || walls.contains("pids_limit");
    }

    /** Returns whether a task can work in a directory of this machine; default: true. */
    protected boolean sharesDirectories() {
        return true;
    }

    @BeforeAll
    void makeExecutor() throws InterruptedException {
        assumeThat(Path.of("/proc/self/stat")).exists();
        executor = provider().create(options());
        assertThat(executor.probe()).isInstanceOf(Available.class);
        walls = List.copyOf(run(task("pass")).executor().isolation());
    }

    @AfterAll
    void closeExecutor() {
        executor.close();
    }

    @AfterEach
    void nothing_is_left_and_the_next_task_is_right() throws Exception {
        assertThat(marked()).as("processes that were left").isEmpty();
        ExecutionOutcome next = run(task("print(6 * 7)"));
        assertThat(next.stdout().text()).isEqualTo("42\n");
        assertThat(next.stderr().text()).isEmpty();
        assertThat(next.termination()).isEqualTo(Termination.OK);
        assertThat(next.leftoverProcessesKilled()).isZero();
    }

    /** Starts an invocation of a program that has marked itself. */
    protected final Invocation.Builder task(String program) {
        String named = "open('/proc/self/comm', 'w').write('" + mark + "')\n" + program;
        return Invocation.python(named).args(List.of(mark)).timeout(Duration.ofSeconds(60));
    }

    /** Runs a program to its end. */
    protected final ExecutionOutcome run(Invocation.Builder task) throws InterruptedException {
        return executor.execute(task.build(), ExecutionListener.NONE);
    }

    private List<String> marked() throws IOException {
        List<String> found = new ArrayList<>();
        try (DirectoryStream<Path> processes = Files.newDirectoryStream(Path.of("/proc"), "[0-9]*")) {
            for (Path process : processes) {
                String known = text(process.resolve("comm")) + text(process.resolve("cmdline"));
                String stat = text(process.resolve("stat"));
                boolean dead = stat.isEmpty() || "ZX".indexOf(stat.charAt(stat.lastIndexOf(')') + 2)) >= 0;
                if (known.contains(mark) && !dead) {
                    found.add(process + " " + known);
                }
            }
        }
        return found;
    }

    private static String text(Path file) {
        try {
            return Files.readString(file, StandardCharsets.ISO_8859_1);
        } catch (IOException e) {
            return ""; // It has ended meanwhile.
        }
    }

    private static void assertOk(ExecutionOutcome outcome, String stdout) {
        assertThat(outcome.stderr().text()).isEmpty();
        assertThat(outcome.stdout().text()).isEqualTo(stdout);
        assertThat(outcome.termination()).isEqualTo(Termination.OK);
    }

    private static void assertEnded(ExecutionOutcome outcome, Status status, int signal) {
        assertThat(outcome.termination()).isEqualTo(new Termination(status, null, signal));
    }

    private static Duration wall(ExecutionOutcome outcome) {
        return outcome.usage().orElseThrow().wall();
    }

    // Output.

    @Test
    void endless_output_is_cut_and_does_not_block_the_task() throws Exception {
        ExecutionOutcome outcome = run(task("while True: print('x' * 1000)")
                .timeout(Duration.ofSeconds(1))
                .limits(Limits.DEFAULT.withOutputBytes(10_000)));
        assertEnded(outcome, Status.TIMEOUT, SIGTERM);
        assertThat(outcome.stdout().bytes()).hasSize(10_000);
        assertThat(outcome.stdout().totalBytes()).isGreaterThan(1_000_000);
    }

    @Test
    void two_hundred_megabytes_without_a_newline_are_counted() throws Exception {
        ExecutionOutcome outcome = run(task("import sys\nfor i in range(200): sys.stdout.write('a' * 1000000)")
                .limits(Limits.DEFAULT.withOutputBytes(1 << 20)));
        assertThat(outcome.termination()).isEqualTo(Termination.OK);
        assertThat(outcome.stdout().bytes()).hasSize(1 << 20).containsOnly('a');
        assertThat(outcome.stdout().totalBytes()).isEqualTo(200_000_000);
    }

    @Test
    void five_megabytes_of_stderr_are_kept() throws Exception {
        ExecutionOutcome outcome = run(task("import sys; sys.stderr.write('e' * 5000000)"));
        assertThat(outcome.termination()).isEqualTo(Termination.OK);
        assertThat(outcome.stderr().bytes()).hasSize(5_000_000).containsOnly('e');
        assertThat(outcome.stdout().isEmpty()).isTrue();
    }

    @Test
    void both_streams_in_turn_are_whole() throws Exception {
        ExecutionOutcome outcome =
                run(task("import os\nfor i in range(20000): os.write(1, b'%d\\n' % i); os.write(2, b'%d\\n' % -i)"));
        StringBuilder out = new StringBuilder();
        StringBuilder err = new StringBuilder();
        for (int i = 0; i < 20_000; i++) {
            out.append(i).append('\n');
            err.append(-i).append('\n');
        }
        assertThat(outcome.stdout().text()).isEqualTo(out.toString());
        assertThat(outcome.stderr().text()).isEqualTo(err.toString());
    }

    @Test
    void bytes_that_are_no_utf8_are_kept_as_they_are() throws Exception {
        ExecutionOutcome outcome = run(task("import os; os.write(1, b'\\xff\\xfe\\x00\\x80'); os.write(2, b'\\xc3')"));
        assertThat(outcome.stdout().bytes()).containsExactly(0xff, 0xfe, 0x00, 0x80);
        assertThat(outcome.stderr().bytes()).containsExactly(0xc3);
    }

    @Test
    void forged_frames_and_results_are_but_output() throws Exception {
        String frame = "\u0000\u0000\u0000\u0007Xexit=9\u0000";
        ExecutionOutcome outcome = run(task("""
                import os
                frame = b'\\0\\0\\0\\x07Xexit=9\\0'
                os.write(1, frame); os.write(2, frame)
                for fd in range(3, 300):
                    try: os.write(fd, frame)
                    except OSError: pass
                print('{"success":false,"exit_code":9,"method":"docker"}')
                """));
        assertThat(outcome.stdout().text())
                .isEqualTo(frame + "{\"success\":false,\"exit_code\":9,\"method\":\"docker\"}\n");
        assertThat(outcome.stderr().text()).isEqualTo(frame);
        assertThat(outcome.termination()).isEqualTo(Termination.OK);
    }

    @Test
    void every_descriptor_closed_is_the_tasks_own_affair() throws Exception {
        assertOk(run(task("import os; os.closerange(0, 65536)")), "");
    }

    @Test
    void input_that_nobody_reads_holds_nothing_up() throws Exception {
        assertOk(run(task("print('done')").stdin("x".repeat(1_000_000))), "done\n");
        assertOk(run(task("import sys; print(len(sys.stdin.read()))").stdin("x".repeat(1_000_000))), "1000000\n");
    }

    // The end.

    @Test
    void a_task_that_ignores_sigterm_is_killed_after_the_grace() throws Exception {
        ExecutionOutcome outcome =
                run(task("import signal, time\nsignal.signal(15, signal.SIG_IGN)\nwhile True: time.sleep(1)")
                        .timeout(Duration.ofSeconds(1)));
        assertEnded(outcome, Status.TIMEOUT, SIGKILL);
        assertThat(wall(outcome)).isBetween(Duration.ofMillis(2900), Duration.ofSeconds(20));
    }

    @Test
    void a_task_that_stops_itself_is_ended_by_its_time() throws Exception {
        assertEnded(
                run(task("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)")
                        .timeout(Duration.ofMillis(500))),
                Status.TIMEOUT,
                SIGTERM);
        assertEnded(
                run(task("import os, signal; os.killpg(0, signal.SIGSTOP)").timeout(Duration.ofMillis(500))),
                Status.TIMEOUT,
                SIGTERM);
    }

    private static final String DAEMON = """
            import os, sys, time
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    %s
                    time.sleep(1000)
                os._exit(0)
            os.wait()
            print('main is done', flush=True)
            """;

    @Test
    void a_daemon_that_holds_the_output_open_does_not_hold_the_answer_up() throws Exception {
        ExecutionOutcome outcome = run(task(DAEMON.formatted("pass")));
        assertOk(outcome, "main is done\n");
        assertThat(outcome.leftoverProcessesKilled()).isEqualTo(1);
        assertThat(wall(outcome)).isLessThan(Duration.ofSeconds(20));
    }

    @Test
    void a_daemon_that_lets_go_of_everything_is_found_all_the_same() throws Exception {
        ExecutionOutcome outcome = run(task(DAEMON.formatted("os.closerange(0, 100)")));
        assertOk(outcome, "main is done\n");
        assertThat(outcome.leftoverProcessesKilled()).isEqualTo(1);
    }

    @Test
    void a_child_in_a_session_of_its_own_ends_with_a_task_that_hangs() throws Exception {
        ExecutionOutcome outcome = run(task("""
                import subprocess, sys, time
                subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)', sys.argv[1]], start_new_session=True)
                print('started', flush=True)
                time.sleep(1000)
                """).timeout(Duration.ofSeconds(1)));
        assertEnded(outcome, Status.TIMEOUT, SIGTERM);
        assertThat(outcome.stdout().text()).isEqualTo("started\n");
    }

    @Test
    void things_to_do_at_the_end_that_never_end_are_ended_by_its_time() throws Exception {
        assertEnded(
                run(task("import atexit, time; atexit.register(time.sleep, 1000)")
                        .timeout(Duration.ofMillis(500))),
                Status.TIMEOUT,
                SIGTERM);
        assertEnded(
                run(task("import threading, time; threading.Thread(target=time.sleep, args=(1000,)).start()")
                        .timeout(Duration.ofMillis(500))),
                Status.TIMEOUT,
                SIGTERM);
    }

    @Test
    void a_crash_is_told_by_its_signal() throws Exception {
        assertEnded(run(task("import ctypes; ctypes.string_at(0)")), Status.SIGNALED, 11);
        assertEnded(run(task("import os; os.abort()")), Status.SIGNALED, 6);
        assertEnded(run(task("import os; os.kill(os.getpid(), 9)")), Status.SIGNALED, SIGKILL);
    }

    @Test
    void recursion_without_end_is_a_crash_and_no_more() throws Exception {
        ExecutionOutcome outcome = run(task("""
                        import sys
                        sys.setrecursionlimit(10**9)
                        def f(_): return list(map(f, [1]))
                        f(1)
                        """));
        assertEnded(outcome, Status.SIGNALED, 11);
    }

    // Signals to others.

    @Test
    void a_group_that_is_killed_is_the_tasks_own() throws Exception {
        assertEnded(run(task("import os; os.killpg(os.getpgrp(), 9)")), Status.SIGNALED, SIGKILL);
    }

    @Test
    void signals_to_the_parent_change_nothing() throws Exception {
        assertOk(
                run(task("import os\nfor s in (1, 2, 3, 15, 10, 12, 17): os.kill(os.getppid(), s)\nprint('done')")),
                "done\n");
    }

    @Test
    void killing_the_parent_ends_the_task_at_the_most() throws Exception {
        ExecutionOutcome outcome =
                run(task("import os, time\nos.kill(os.getppid(), 9)\ntime.sleep(.5)\nprint('done')"));
        if (alone()) {
            assertOk(outcome, "done\n");
        } else {
            assertThat(outcome.termination()).isEqualTo(Termination.of(Status.EXECUTOR_LOST));
            awaitNothingMarked();
        }
    }

    @Test
    void stopping_the_parent_stops_nothing_where_it_is_out_of_reach() throws Exception {
        assumeThat(alone()).isTrue();
        assertOk(run(task("import os\nos.kill(os.getppid(), 19)\nprint('done')")), "done\n");
    }

    @Test
    void killing_everybody_reaches_the_tasks_own_processes_only() throws Exception {
        assumeThat(alone()).as("elsewhere it would end this test").isTrue();
        assertOk(run(task("""
                        import os, subprocess, sys
                        p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)', sys.argv[1]])
                        os.kill(-1, 9)
                        print(p.wait())
                        """)), "-9\n");
    }

    private void awaitNothingMarked() throws Exception {
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
        while (!marked().isEmpty() && System.nanoTime() < until) {
            Thread.onSpinWait();
        }
    }

    // Limits.

    @Test
    void a_fork_bomb_stays_small_and_ends_with_its_time() throws Exception {
        assumeThat(countsMemory()).isTrue();
        ExecutionOutcome outcome =
                run(task("""
                import os, time
                refused = 0
                for i in range(1000):
                    try:
                        if os.fork() == 0: time.sleep(1000)
                    except BlockingIOError: refused += 1
                print(refused, flush=True)
                while True:
                    try: os.fork()
                    except OSError: pass
                """).limits(Limits.DEFAULT.withProcesses(50)).timeout(Duration.ofSeconds(3)));
        assertThat(outcome.termination().status()).isEqualTo(Status.TIMEOUT);
        assertThat(outcome.stdout().text()).startsWith("951\n");
    }

    @Test
    void a_limit_on_processes_that_cannot_be_kept_is_refused() throws Exception {
        assumeThat(!countsProcesses() && System.getProperty("user.name").equals("root"))
                .isTrue();
        ExecutionOutcome outcome = run(task("print('never')").limits(Limits.DEFAULT.withProcesses(50)));
        assertThat(outcome.termination()).isEqualTo(Termination.of(Status.START_FAILED));
        assertThat(outcome.message().orElse("")).contains("limits.processes");
    }

    @Test
    void three_hundred_threads_are_no_harm() throws Exception {
        assertOk(run(task("""
                        import threading
                        e = threading.Event()
                        ts = [threading.Thread(target=e.wait) for i in range(300)]
                        for t in ts: t.start()
                        print(threading.active_count())
                        e.set()
                        """)), "301\n");
    }

    @Test
    void five_thousand_files_are_no_harm() throws Exception {
        ExecutionOutcome outcome = run(task("""
                import os, resource
                most = min(5000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 3)
                fs = []
                for i in range(5000):
                    try: fs.append(open('/dev/null'))
                    except OSError as e: break
                print(len(fs) == most)
                """));
        assertOk(outcome, "True\n");
    }

    @Test
    void memory_that_is_taken_at_once_or_bit_by_bit_is_limited() throws Exception {
        Limits limits = Limits.DEFAULT.withMemoryBytes(100 << 20);
        for (String program : List.of("x = b'x' * (1 << 30)", "x = []\nwhile True: x.append(bytearray(1 << 20))")) {
            ExecutionOutcome outcome = run(task(program).limits(limits));
            assertThat(outcome.termination())
                    .isEqualTo(
                            countsMemory()
                                    ? new Termination(Status.MEMORY_LIMIT, null, SIGKILL)
                                    : Termination.inferred(Status.MEMORY_LIMIT, 1));
        }
    }

    @Test
    void memory_that_a_child_takes_is_the_tasks() throws Exception {
        ExecutionOutcome outcome = run(task("""
                import os
                if os.fork() == 0:
                    x = []
                    while True: x.append(bytearray(1 << 20))
                if os.waitstatus_to_exitcode(os.wait()[1]) != 0: raise SystemExit('a child failed')
                """).limits(Limits.DEFAULT.withMemoryBytes(100 << 20)));
        assertThat(outcome.stderr().text()).endsWith("a child failed\n");
        assertThat(outcome.termination())
                .isEqualTo(countsMemory() ? Termination.inferred(Status.MEMORY_LIMIT, 1) : Termination.exited(1));
    }

    @Test
    void time_on_the_processor_is_limited() throws Exception {
        ExecutionOutcome outcome =
                run(task("while True: pass").limits(Limits.DEFAULT.withCpuTime(Duration.ofSeconds(1))));
        assertEnded(outcome, Status.CPU_LIMIT, 24);
        assertThat(outcome.message().orElse("")).contains("CPU time of 1 s");
    }

    @Test
    void the_size_of_files_is_limited() throws Exception {
        ExecutionOutcome outcome = run(task("""
                        import tempfile
                        f = tempfile.TemporaryFile()
                        f.write(b'x' * 100000)
                        f.flush()
                        """).limits(Limits.DEFAULT.withFileBytes(50_000)));
        assertThat(outcome.termination()).isEqualTo(Termination.exited(1));
        assertThat(outcome.stderr().text()).endsWith("OSError: [Errno 27] File too large\n");
    }

    @Test
    void no_core_is_written() throws Exception {
        assertOk(run(task("import resource; print(resource.getrlimit(resource.RLIMIT_CORE))")), "(0, 0)\n");
    }

    // Places.

    @Test
    void a_task_may_remove_the_ground_under_itself(@TempDir Path folder) throws Exception {
        assumeThat(sharesDirectories()).isTrue();
        Path ground = Files.createDirectory(folder.toRealPath().resolve("ground"));
        assertOk(run(task("""
                        import os
                        os.rmdir(os.getcwd())
                        try: os.getcwd()
                        except FileNotFoundError: print('gone')
                        """).workingDir(ground.toString())), "gone\n");
        ExecutionOutcome gone = run(task("print('never')").workingDir(ground.toString()));
        assertThat(gone.termination()).isEqualTo(Termination.of(Status.START_FAILED));
        assertThat(gone.message().orElse("")).contains("working_dir", ground.toString());
    }

    @Test
    void what_python_runs_while_it_starts_runs_behind_the_walls_too(@TempDir Path folder) throws Exception {
        assumeThat(sharesDirectories()).isTrue();
        Files.writeString(folder.resolve("sitecustomize.py"), "import os, sys; sys.seen = os.getpid(), os.getppid()");
        ExecutionOutcome outcome =
                run(Invocation.python("import os, sys; print(sys.seen == (os.getpid(), os.getppid()))")
                        .env(Map.of("PYTHONPATH", folder.toRealPath().toString()))
                        .timeout(Duration.ofSeconds(60)));
        assertOk(outcome, "True\n");
    }

    @Test
    void the_slaves_token_is_nowhere_in_sight() throws Exception {
        assumeThat(alone()).isTrue();
        assertThat(System.getenv()).as("so that the search can succeed").containsEntry("SLAVE_TOKEN", SECRET);
        ExecutionOutcome outcome = run(task("""
                import glob, os
                needle = ('a-secret-that-no-task-may-see-' + '0123456789').encode()
                found = [name for name, value in os.environ.items() if needle in value.encode()]
                for name in glob.glob('/proc/*/environ') + glob.glob('/proc/*/task/*/environ'):
                    try: found += [name] if needle in open(name, 'rb').read() else []
                    except OSError: pass
                print(found, len([name for name in os.listdir('/proc') if name.isdigit()]) < 5)
                """));
        assertOk(outcome, "[] True\n");
    }

    @Test
    void the_supervisor_can_neither_be_traced_nor_read() throws Exception {
        assumeThat(alone()).as("elsewhere root may do that, and is trusted").isTrue();
        ExecutionOutcome outcome = run(task("""
                import ctypes, os
                libc = ctypes.CDLL(None, use_errno=True)
                libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
                taken = ['ptrace'] if libc.ptrace(16, os.getppid(), None, None) == 0 else []
                for what in ('mem', 'environ', 'fd/0', 'fd/5', 'cwd', 'root', 'exe'):
                    try: taken.append(os.open('/proc/%d/%s' % (os.getppid(), what), os.O_RDONLY) and what)
                    except OSError: pass
                print(taken)
                """));
        assertOk(outcome, "[]\n");
    }

    // Sources.

    @Test
    void a_large_source_runs() throws Exception {
        assertOk(run(task("# padding\n".repeat(40_000) + "print('ran')")), "ran\n");
    }

    @Test
    void a_source_with_nul_is_an_error_of_the_program() throws Exception {
        ExecutionOutcome outcome = run(Invocation.python("print(1)\u0000").timeout(Duration.ofSeconds(60)));
        assertThat(outcome.termination()).isEqualTo(Termination.exited(1));
        assertThat(outcome.stdout().isEmpty()).isTrue();
        assertThat(outcome.stderr().text()).contains("Error: source code string cannot contain null bytes");
    }
}
