package dev.d8.examples.shell;

import dev.d8.spi.ExecutorProvider;
import dev.d8.testkit.ExecutorContract;
import dev.d8.testkit.Programs;
import org.junit.jupiter.api.Tag;

@Tag("other-runtime")
class ShellExecutorContractTest extends ExecutorContract {

    @Override
    protected ExecutorProvider provider() {
        return new ShellExecutorProvider();
    }

    @Override
    protected Programs programs() {
        return Programs.SHELL;
    }
}
