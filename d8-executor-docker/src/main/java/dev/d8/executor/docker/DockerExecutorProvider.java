package dev.d8.executor.docker;

import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;

/** Makes the {@code docker} executor, preference 300: the strongest wall that D8 ships with. */
public final class DockerExecutorProvider implements ExecutorProvider {

    /** For {@link java.util.ServiceLoader}. */
    public DockerExecutorProvider() {}

    @Override
    public String method() {
        return "docker";
    }

    @Override
    public int preference() {
        return 300;
    }

    @Override
    public Executor create(Options options) {
        return new DockerExecutor(DockerSettings.of(options));
    }
}
