package dev.d8.executor.python;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.d8.Invocation;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import dev.d8.testkit.HostileTaskContract;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Hostile tasks, by every way in which a task gets its process. */
@Tag("other-runtime") // What it tests is Python.
class HostileTasksTest {

    private abstract static class Case extends HostileTaskContract {
        private final Options options;

        Case(String mode, String isolation) {
            options = Options.of(Map.of("mode", mode, "isolation", isolation));
        }

        @Override
        protected ExecutorProvider provider() {
            return new PythonExecutorProvider();
        }

        @Override
        protected Options options() {
            return options;
        }
    }

    @Test
    void as_root_every_wall_stands() throws Exception {
        assumeThat(System.getProperty("user.name")).isEqualTo("root");
        assumeThat(Path.of("/proc/self/ns/pid")).exists();
        for (String mode : List.of("agent", "spawn")) {
            try (Executor executor = new PythonExecutorProvider().create(Options.of(Map.of("mode", mode)))) {
                executor.probe();
                assertThat(executor.execute(Invocation.python("pass").build(), ExecutionListener.NONE)
                                .executor()
                                .isolation())
                        .contains("session", "pid_ns", "mount_ns", "rlimits", "no_new_privs", "capabilities_dropped")
                        .contains("cgroup_memory", "cgroup_pids");
            }
        }
    }

    @Nested
    class ForkedAndContained extends Case {
        ForkedAndContained() {
            super("agent", "contained");
        }
    }

    @Nested
    class SpawnedAndContained extends Case {
        SpawnedAndContained() {
            super("spawn", "contained");
        }
    }

    /** Without namespaces and cgroups: for tasks that are trusted, and all that some machines can do. */
    @Nested
    class ForkedAndTrusted extends Case {
        ForkedAndTrusted() {
            super("agent", "none");
        }
    }

    /** Likewise. */
    @Nested
    class SpawnedAndTrusted extends Case {
        SpawnedAndTrusted() {
            super("spawn", "none");
        }
    }
}
