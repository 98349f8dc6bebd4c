package dev.d8.executor.venv;

import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import dev.d8.testkit.ExecutorContract;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.io.TempDir;

/** The contract of all executors, on a real virtual environment. */
@Tag("other-runtime")
class VenvContractTest extends ExecutorContract {

    @TempDir
    static Path made;

    @BeforeAll
    static void makeVenv() throws IOException, InterruptedException {
        TestVenv.make(made.resolve("venv"));
    }

    @Override
    protected ExecutorProvider provider() {
        return new VenvExecutorProvider();
    }

    @Override
    protected Options options() {
        return Options.of(Map.of("path", made.resolve("venv").toString()));
    }
}
