package dev.d8.executor.docker;

import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import dev.d8.testkit.ExecutorContract;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.Tag;

/** The contract of all executors, on a real engine. */
@Tag("other-runtime") // What it tests is the engine.
class DockerContractTest extends ExecutorContract {

    @Override
    protected ExecutorProvider provider() {
        return new Patient();
    }

    @Override
    protected Options options() {
        return Options.of(Map.of("image", TestEngine.image(), "slave_id", "test-" + UUID.randomUUID()));
    }

    /** Waits for the first look at the engine, which a probe alone does not. */
    static final class Patient implements ExecutorProvider {
        private final ExecutorProvider docker = new DockerExecutorProvider();

        @Override
        public String method() {
            return docker.method();
        }

        @Override
        public int preference() {
            return docker.preference();
        }

        @Override
        public Executor create(Options options) {
            Executor executor = docker.create(options);
            TestEngine.require(executor);
            return executor;
        }
    }
}
