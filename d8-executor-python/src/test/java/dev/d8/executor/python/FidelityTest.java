package dev.d8.executor.python;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Invocation;
import dev.d8.Termination;
import dev.d8.executor.python.engine.PythonEngine;
import dev.d8.executor.python.engine.PythonInterpreter;
import dev.d8.spi.Availability.Available;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.Options;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A task must look exactly as {@code python -c} makes it look: each program runs both ways, and every byte is compared. */
@Timeout(120)
class FidelityTest {

    private static final Path PYTHON = PythonInterpreter.onPath("python3").orElseThrow();
    private static final Executor EXECUTOR =
            new PythonExecutorProvider().create(Options.of(Map.of("path", PYTHON.toString())));

    static {
        EXECUTOR.probe();
    }

    @TempDir
    private Path folder;

    @AfterAll
    static void close() {
        EXECUTOR.close();
    }

    static List<String> programs() {
        return List.of(
                "print(55)",
                "print('no newline', end='')",
                "import sys; sys.stdout.buffer.write(bytes(range(256)))",
                "print('caf\u00e9 \\U0001f680 \ud83d\ude80')",
                "print('a\\r\\nb\\rc')",
                "no_such_name",
                "x = (",
                "if True:\nprint(1)",
                "def f():\n    def g():\n        raise KeyError('inner')\n    g()\ntry:\n    f()\nexcept KeyError as e:\n    raise ValueError('outer') from e",
                "try:\n    1/0\nexcept ZeroDivisionError:\n    undefined",
                "import json\njson.loads('{')",
                "import sys; sys.exit()",
                "import sys; sys.exit(0)",
                "import sys; sys.exit(3)",
                "import sys; sys.exit(263)",
                "import sys; sys.exit(-1)",
                "import sys; sys.exit('a message')",
                "import sys; sys.exit((1, 2))",
                "raise SystemExit",
                "raise KeyboardInterrupt",
                "import os; os._exit(7)",
                "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
                "import os; os.abort()",
                "import atexit; atexit.register(print, 'bye'); print('hello')",
                "import atexit; atexit.register(print, 'bye'); 1/0",
                "import threading, time\nthreading.Thread(target=lambda: (time.sleep(.1), print('late'))).start()\nprint('early')",
                "import threading\nthreading.Thread(target=lambda: 1/0).start()",
                "class A:\n    def __del__(self): print('deleted')\na = A()",
                "import sys\ndef hook(*a): raise ValueError('hook')\nsys.excepthook = hook\n1/0",
                "import sys\nsys.excepthook = lambda *a: print('hooked', a[0].__name__)\n1/0",
                "import sys; sys.stderr = None; sys.exit('said all the same')",
                "import sys; print(sys.argv, sys.path, sys.flags)",
                "import sys; print(sorted(sys.modules))",
                "print(sorted(globals()), __name__, __doc__, __spec__)",
                "import os; print(sorted(os.listdir('/proc/self/fd')))",
                "import signal; print([str(signal.getsignal(i)) for i in range(1, 32) if i not in (9, 19)])",
                "import sys; print(sys.stdin.read(), sys.stdin.isatty())",
                "import sys; print(sys.stdout.encoding, sys.stdout.errors, sys.stderr.errors, sys.stdout.line_buffering)",
                "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))).__module__)",
                "import subprocess; print(subprocess.check_output(['echo', 'child']))",
                "import multiprocessing as m\nwith m.get_context('fork').Pool(2) as p: print(p.map(abs, [-1, -2]))",
                "import asyncio\nasync def main(): await asyncio.sleep(0); print('async')\nasyncio.run(main())",
                "import ctypes, resource; print(ctypes.sizeof(ctypes.c_int), resource.getrlimit(resource.RLIMIT_CPU))",
                "import os; os.close(1)",
                "import warnings; warnings.warn('careful')",
                "from __future__ import annotations\nx: undefined = 1\nprint(__annotations__)",
                "import gc, os; print(gc.isenabled(), os.getpid() == os.getpgid(0) or 'own group unknown')");
    }

    @ParameterizedTest
    @MethodSource("programs")
    void a_program_prints_and_ends_as_with_python_c(String program) throws Exception {
        Path out = folder.resolve("out");
        Path err = folder.resolve("err");
        Process bare = bare(program, out, err);
        ExecutionOutcome task = EXECUTOR.execute(
                Invocation.python(program).timeout(Duration.ofSeconds(60)).build(), ExecutionListener.NONE);
        assertThat(bare.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(task.stdout().bytes()).isEqualTo(Files.readAllBytes(out));
        assertThat(task.stderr().text()).isEqualTo(Files.readString(err));
        assertThat(exitValue(task.termination())).isEqualTo(bare.exitValue());
    }

    /** Started as the agent is, with the same variables and a session of its own, output to files so that nothing blocks. */
    private static Process bare(String program, Path out, Path err) throws IOException {
        String real = ((Available) EXECUTOR.probe()).detail().replaceFirst(",.*", "");
        ProcessBuilder builder = new ProcessBuilder("setsid", real, "-c", program);
        builder.environment().keySet().retainAll(PythonEngine.DEFAULT_ENVIRONMENT);
        Process process =
                builder.redirectOutput(out.toFile()).redirectError(err.toFile()).start();
        process.getOutputStream().close();
        return process;
    }

    /** As Java tells it of a process: 128 and the signal's number where a signal ended it. */
    private static int exitValue(Termination end) {
        Integer signal = end.signal();
        Integer exit = end.exitCode();
        return signal != null ? 128 + signal : exit != null ? exit : -1;
    }

    @Test
    void modules_in_the_working_directory_are_the_tasks_and_never_the_engines() throws Exception {
        for (String module : List.of("ctypes", "resource", "select", "time", "os")) {
            Files.writeString(folder.resolve(module + ".py"), "print('shadow', __name__)\n");
        }
        ExecutionOutcome task = EXECUTOR.execute(
                Invocation.python("print('hello')\nimport resource")
                        .workingDir(folder.toString())
                        .build(),
                ExecutionListener.NONE);
        assertThat(task.stdout().text()).isEqualTo("hello\nshadow resource\n");
        assertThat(task.stderr().text()).isEmpty();
        assertThat(task.executor().isolation()).contains("subreaper");
    }

    @Test
    void a_supervisor_heeds_no_signal_of_its_task() throws Exception {
        ExecutionOutcome task = EXECUTOR.execute(
                Invocation.python("import os, signal\nfor s in (1, 2, 3, 15): os.kill(os.getppid(), s)\nprint('done')")
                        .build(),
                ExecutionListener.NONE);
        assertThat(task.stdout().text()).isEqualTo("done\n");
        assertThat(task.termination()).isEqualTo(Termination.OK);
    }

    @Test
    void a_supervisor_that_its_task_kills_is_an_executor_lost_and_the_task_is_ended() throws Exception {
        ExecutionOutcome task = EXECUTOR.execute(
                Invocation.python("import os, signal, time\nprint(os.getpid(), flush=True)\ntime.sleep(.2)\n"
                                + "os.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(100)")
                        .build(),
                ExecutionListener.NONE);
        assertThat(task.termination().status()).isEqualTo(Termination.Status.EXECUTOR_LOST);
        ProcessHandle.of(Long.parseLong(task.stdout().text().strip()))
                .ifPresent(process ->
                        process.onExit().orTimeout(60, TimeUnit.SECONDS).join());
    }
}
