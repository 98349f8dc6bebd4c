package dev.d8.launcher;

import dev.d8.VersionInfo;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import dev.d8.spi.WireFormat;
import java.io.PrintWriter;
import picocli.CommandLine.Command;

/** {@code d8 version}: which code a slave runs. */
@Command(name = "version", mixinStandardHelpOptions = true, description = "Asks a slave which code it runs.")
final class VersionCommand extends AskCommand<VersionInfo> {

    @Override
    VersionInfo ask(SlaveManager manager, Slave slave) {
        return Answers.await(manager.version(slave.id()));
    }

    @Override
    byte[] encode(VersionInfo version) {
        return WireFormat.json().encode(version);
    }

    @Override
    void print(VersionInfo version, PrintWriter out) {
        out.println("version   " + version.version());
        out.println("commit    " + version.commit() + (version.dirty() ? " (with uncommitted changes)" : ""));
        out.println("branch    " + version.branch());
    }
}
