/** D8's words, plugin interfaces, slave manager and slave server. Start with {@link dev.d8}. */
module dev.d8.core {
    requires static transitive org.jspecify;
    requires transitive micrometer.core;
    requires java.net.http;
    requires jdk.management;
    requires org.slf4j;
    requires tools.jackson.databind;
    requires org.eclipse.jgit;
    requires com.h2database.mvstore;

    exports dev.d8;
    exports dev.d8.master;
    exports dev.d8.slave;
    exports dev.d8.spi;
    exports dev.d8.version;

    opens dev.d8 to
            tools.jackson.databind;

    uses dev.d8.master.SlaveSelectorProvider;
    uses dev.d8.spi.TaskType;
    uses dev.d8.spi.ExecutorProvider;
    uses dev.d8.spi.TransportProvider;

    provides dev.d8.spi.TaskType with
            dev.d8.internal.PythonCodeTaskType;
}
