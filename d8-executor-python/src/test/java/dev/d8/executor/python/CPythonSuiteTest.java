package dev.d8.executor.python;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.d8.Invocation;
import dev.d8.executor.python.engine.EngineSettings;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.Options;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Programs that nobody here wrote: modules of CPython's own tests run bare and as tasks, and what they count must be the
 * same. They come with Debian's {@code libpython3.11-testsuite}; without it this is skipped, unless
 * {@code -Dd8.python=required}.
 */
@Timeout(300)
@Tag("other-runtime")
class CPythonSuiteTest {

    private static final Path PYTHON = Path.of("/usr/bin/python3");

    private static final List<String> MODULES = List.of(
            "test_argparse",
            "test_atexit",
            "test_builtin",
            "test_configparser",
            "test_contextlib",
            "test_copy",
            "test_coroutines",
            "test_csv",
            "test_ctypes",
            "test_dataclasses",
            "test_descr",
            "test_enum",
            "test_exceptions",
            "test_fcntl",
            "test_fileio",
            "test_finalization",
            "test_functools",
            "test_gc",
            "test_generators",
            "test_import",
            "test_importlib",
            "test_inspect",
            "test_itertools",
            "test_json",
            "test_mmap",
            "test_os",
            "test_pathlib",
            "test_pickle",
            "test_posix",
            "test_pty",
            "test_resource",
            "test_runpy",
            "test_select",
            "test_sys",
            "test_tempfile",
            "test_thread",
            "test_threading",
            "test_traceback",
            "test_typing",
            "test_warnings",
            "test_weakref",
            "test_zlib");

    /** Makes device files where it may, which is one of the powers that a contained task has not. */
    private static final List<String> MODULES_FOR_THE_TRUSTED = List.of("test_shutil");

    @TempDir
    private Path bareFolder;

    @TempDir
    private Path taskFolder;

    private static String program(String module) {
        return """
                import io, sys, unittest
                tests = unittest.defaultTestLoader.loadTestsFromName('test.%s')
                result = unittest.TextTestRunner(stream=io.StringIO(), verbosity=0).run(tests)
                print('COUNTED', result.testsRun, 'skipped', len(result.skipped))
                for test, error in sorted(result.failures + result.errors, key=lambda one: one[0].id()):
                    print(test.id(), error.strip().splitlines()[-1])
                """.formatted(module);
    }

    /** From what was counted on: what comes before is the tests' own talk, times among it. */
    private static String counted(byte[] output) {
        String text = new String(output, StandardCharsets.UTF_8);
        return text.substring(Math.max(0, text.lastIndexOf("COUNTED")));
    }

    private String bare(String module) throws Exception {
        Path out = Files.createTempFile("bare", module);
        try {
            ProcessBuilder builder = new ProcessBuilder("setsid", "-w", PYTHON.toString(), "-c", program(module));
            builder.environment().keySet().retainAll(EngineSettings.ENVIRONMENT);
            Process process = builder.directory(bareFolder.toFile())
                    .redirectOutput(out.toFile())
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            process.getOutputStream().close();
            process.waitFor();
            return counted(Files.readAllBytes(out));
        } finally {
            Files.delete(out);
        }
    }

    private String task(Executor executor, String module) throws InterruptedException {
        ExecutionOutcome outcome = executor.execute(
                Invocation.python(program(module))
                        .workingDir(taskFolder.toString())
                        .timeout(Duration.ofSeconds(200))
                        .build(),
                ExecutionListener.NONE);
        assertThat(outcome.executor().warm()).isTrue();
        return counted(outcome.stdout().bytes());
    }

    private static Map<String, String> all(List<String> modules, Counter counter) throws Exception {
        Map<String, String> counts = new TreeMap<>();
        for (String module : modules) {
            counts.put(module, counter.count(module));
        }
        return counts;
    }

    private interface Counter {
        String count(String module) throws Exception;
    }

    private void compare(String isolation, List<String> modules) throws Exception {
        ExecutorService both = Executors.newFixedThreadPool(2);
        try (Executor executor = new PythonExecutorProvider()
                .create(Options.of(Map.of("path", PYTHON.toString(), "mode", "agent", "isolation", isolation)))) {
            executor.probe();
            List<Callable<Map<String, String>>> runs = new ArrayList<>();
            runs.add(() -> all(modules, this::bare));
            runs.add(() -> all(modules, module -> task(executor, module)));
            List<Future<Map<String, String>>> counts = both.invokeAll(runs);
            assertThat(counts.get(1).get()).isEqualTo(counts.get(0).get());
            assertThat(counts.get(0).get().values()).allMatch(text -> text.matches("COUNTED [1-9]\\d* skipped \\d+\n"));
        } finally {
            both.shutdownNow();
        }
    }

    private static void requireSuite() throws IOException {
        try (var folders = Files.newDirectoryStream(Path.of("/usr/lib"), "python3.*")) {
            for (Path folder : folders) {
                if (Files.exists(folder.resolve("test/test_json"))) {
                    return;
                }
            }
        }
        String reason = "CPython's test suite is not here: apt-get install libpython3.11-testsuite";
        assertThat(System.getProperty("d8.python", "auto")).as(reason).isNotEqualTo("required");
        System.err.println("SKIPPED: " + reason);
        assumeThat(false).as(reason).isTrue();
    }

    @Test
    void its_modules_count_the_same_as_tasks() throws Exception {
        requireSuite();
        compare("contained", MODULES);
        compare("none", MODULES_FOR_THE_TRUSTED);
    }
}
