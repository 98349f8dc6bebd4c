package dev.d8.executor.python;

import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import dev.d8.testkit.HostileTaskContract;
import java.util.Map;
import org.junit.jupiter.api.Nested;

/** Hostile tasks, by every way in which a task gets its process. */
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

        @Override
        protected boolean alone() {
            return false;
        }

        @Override
        protected boolean counted() {
            return false;
        }
    }

    /** Likewise. */
    @Nested
    class SpawnedAndTrusted extends Case {
        SpawnedAndTrusted() {
            super("spawn", "none");
        }

        @Override
        protected boolean alone() {
            return false;
        }

        @Override
        protected boolean counted() {
            return false;
        }
    }
}
