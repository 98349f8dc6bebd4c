package dev.d8.executor.python;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.d8.ExecutorInfo;
import dev.d8.Invocation;
import dev.d8.Limits;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.Options;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * An engine whose slave is an ordinary user: the other tests run as whoever runs them, root in CI. Here a JVM of the user
 * nobody runs tasks and prints what became of them. Needs root, to become somebody else.
 */
@Timeout(120)
class UnprivilegedTest {

    private static final String NOBODY = "65534";

    /** Where nobody finds the classes: a home folder and a repository below it are closed to others. */
    @TempDir
    private static Path open;

    private static String classPath = "";

    @BeforeAll
    static void copyClasses() throws IOException {
        assumeThat(System.getProperty("user.name")).isEqualTo("root");
        Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rwxr-xr-x"));
        List<String> copies = new ArrayList<>();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
            Path copy = open.resolve(copies.size() + "-" + Path.of(entry).getFileName());
            copyTree(Path.of(entry), copy);
            copies.add(copy.toString());
        }
        classPath = String.join(File.pathSeparator, copies);
    }

    private static void copyTree(Path from, Path to) throws IOException {
        if (!Files.exists(from)) {
            return;
        }
        try (Stream<Path> all = Files.walk(from)) {
            for (Path one : (Iterable<Path>) all::iterator) {
                Files.copy(one, to.resolve(from.relativize(one).toString()));
            }
        }
    }

    /** What the JVM of the user nobody does: runs each program and prints a line about it. */
    public static void main(String[] args) throws InterruptedException {
        Executor executor = new PythonExecutorProvider()
                .create(Options.of(
                        Map.of("mode", args[0], "namespaces", args[1], "path", "/usr/bin/python3", "processes", "30")));
        executor.probe();
        Limits memory = Limits.DEFAULT.withMemoryBytes(200 << 20);
        // Without a namespace of users the kernel counts all processes of nobody's, this JVM's threads included.
        Limits limits = args[1].equals("auto") ? memory.withProcesses(20) : memory;
        for (int i = 2; i < args.length; i++) {
            ExecutionOutcome outcome = executor.execute(
                    Invocation.python(args[i])
                            .timeout(Duration.ofSeconds(3))
                            .limits(args[i].startsWith(UNLIMITED) ? Limits.DEFAULT : limits)
                            .build(),
                    ExecutionListener.NONE);
            ExecutorInfo info = outcome.executor();
            System.out.println(outcome.stdout().text().strip() + " | "
                    + outcome.stderr().text().strip().lines().reduce("", (before, line) -> line) + " | "
                    + outcome.termination().status() + " | " + outcome.leftoverProcessesKilled() + " | "
                    + info.isolation());
        }
        executor.close();
    }

    private static List<String> asNobody(String mode, String namespaces, String... programs) throws Exception {
        List<String> command = new ArrayList<>(List.of(
                "setpriv",
                "--reuid=" + NOBODY,
                "--regid=" + NOBODY,
                "--clear-groups",
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                classPath,
                UnprivilegedTest.class.getName(),
                mode,
                namespaces));
        command.addAll(List.of(programs));
        Process process = new ProcessBuilder(command)
                .directory(new File("/"))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).isZero();
        return out.lines().toList();
    }

    /** How a program begins that is run without a limit of its own. */
    private static final String UNLIMITED = "# no limits\n";

    private static final String DAEMON = """
            import os, time
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0: time.sleep(1000)
                os._exit(0)
            os.wait(); print('main')
            """;

    private static final String NEIGHBOURS =
            "import os; print(os.getuid(), os.getpid() < 1000, len([p for p in os.listdir('/proc') if p.isdigit()]) < 4)";

    private static final String FORKS = """
            import os, time
            refused = 0
            for i in range(100):
                try:
                    if os.fork() == 0: time.sleep(1000)
                except BlockingIOError: refused += 1
            print(refused)
            """;

    private static final String MEMORY = "x = []\nwhile True: x.append(bytearray(1 << 20))";

    private static final String POWERS = """
            import ctypes; libc = ctypes.CDLL(None)
            print([l.split()[1] for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapPrm', 'CapBnd'))], libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))
            """;

    @Test
    void namespaces_of_an_ordinary_user_wall_its_tasks_off() throws Exception {
        for (String mode : List.of("agent", "spawn")) {
            List<String> lines = asNobody(mode, "auto", NEIGHBOURS, DAEMON, FORKS, MEMORY, POWERS, UNLIMITED + FORKS);
            assumeThat(lines.get(0))
                    .as("a kernel that lets users have namespaces")
                    .contains("user_ns");
            assertThat(lines).hasSize(6);
            assertThat(lines.get(0)).startsWith("65534 True True |  | OK | 0 | [");
            assertThat(lines.get(0)).contains("pid_ns", "mount_ns", "user_ns", "no_new_privs", "capabilities_dropped");
            assertThat(lines.get(1)).startsWith("main |  | OK | 1 | [");
            assertThat(lines.get(2)).startsWith("81 |  | OK | 19 | [");
            assertThat(lines.get(3)).startsWith(" | MemoryError | MEMORY_LIMIT | 0 | [");
            assertThat(lines.get(5)).startsWith("71 |  | OK | 29 | [");
            assertThat(lines.get(4)).startsWith("['0000000000000000', '0000000000000000', '0000000000000000'] -1 |");
        }
    }

    @Test
    void without_namespaces_the_tree_is_ended_all_the_same() throws Exception {
        for (String mode : List.of("agent", "spawn")) {
            List<String> lines = asNobody(mode, "off", DAEMON, MEMORY, """
                            import os
                            for what in ('mem', 'environ', 'fd/0'):
                                try: print(open('/proc/%d/%s' % (os.getppid(), what), 'rb'))
                                except OSError as e: print(e.errno, end=' ')
                            """);
            assertThat(lines.get(0)).startsWith("main |  | OK | 1 | [session, subreaper, rlimits, no_new_privs]");
            assertThat(lines.get(1)).startsWith(" | MemoryError | MEMORY_LIMIT | 0 | [");
            assertThat(lines.get(2)).startsWith("13 13 13 |  | OK | 0 | [");
        }
    }
}
