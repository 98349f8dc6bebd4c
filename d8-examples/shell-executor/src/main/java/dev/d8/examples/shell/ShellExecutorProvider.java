package dev.d8.examples.shell;

import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;

/** Makes the executor {@code shell}, which runs tasks whose runtime is {@code shell}. It has no options. */
public final class ShellExecutorProvider implements ExecutorProvider {

    @Override
    public String method() {
        return "shell";
    }

    @Override
    public int preference() {
        return 50;
    }

    @Override
    public Executor create(Options options) {
        options.rejectUnknown();
        return new ShellExecutor();
    }
}
