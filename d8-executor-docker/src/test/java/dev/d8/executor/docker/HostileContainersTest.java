package dev.d8.executor.docker;

import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import dev.d8.testkit.HostileTaskContract;
import java.util.Map;
import java.util.UUID;
import org.junit.jupiter.api.Tag;

/** Hostile tasks in containers. */
@Tag("other-runtime") // What it tests is Python.
class HostileContainersTest extends HostileTaskContract {

    @Override
    protected ExecutorProvider provider() {
        return new DockerContractTest.Patient();
    }

    @Override
    protected Options options() {
        return Options.of(
                Map.of("image", TestEngine.image(), "slave_id", "test-" + UUID.randomUUID(), "processes", "400"));
    }

    @Override
    protected boolean sharesDirectories() {
        return false; // Read-only at the most.
    }
}
