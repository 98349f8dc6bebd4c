/** The {@code docker} executor. Start with {@link dev.d8.executor.docker.DockerExecutor}. */
module dev.d8.executor.docker {
    requires static transitive org.jspecify;
    requires transitive dev.d8.core;
    requires dev.d8.executor.python;
    requires org.slf4j;
    requires com.github.dockerjava.api;
    requires com.github.dockerjava.core;
    requires com.github.dockerjava.transport;
    requires com.github.dockerjava.transport.zerodep;

    exports dev.d8.executor.docker;

    provides dev.d8.spi.ExecutorProvider with
            dev.d8.executor.docker.DockerExecutorProvider;
}
