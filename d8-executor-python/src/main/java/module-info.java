/** The Python engine and the {@code python} executor. Start with {@link dev.d8.executor.python.PythonExecutor}. */
module dev.d8.executor.python {
    requires static transitive org.jspecify;
    requires transitive dev.d8.core;
    requires org.slf4j;

    exports dev.d8.executor.python;
    exports dev.d8.executor.python.engine to
            dev.d8.executor.venv,
            dev.d8.executor.docker;

    provides dev.d8.spi.ExecutorProvider with
            dev.d8.executor.python.PythonExecutorProvider;
}
