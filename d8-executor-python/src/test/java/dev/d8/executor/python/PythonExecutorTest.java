package dev.d8.executor.python;

import dev.d8.spi.ExecutorProvider;
import dev.d8.testkit.ExecutorContract;

class PythonExecutorTest extends ExecutorContract {

    @Override
    protected ExecutorProvider provider() {
        return new PythonExecutorProvider();
    }
}
