/** The {@code venv} executor. Start with {@link dev.d8.executor.venv.VenvExecutorProvider}. */
module dev.d8.executor.venv {
    requires static transitive org.jspecify;
    requires transitive dev.d8.core;
    requires dev.d8.executor.python;
    requires org.slf4j;

    exports dev.d8.executor.venv;

    provides dev.d8.spi.ExecutorProvider with
            dev.d8.executor.venv.VenvExecutorProvider;
}
