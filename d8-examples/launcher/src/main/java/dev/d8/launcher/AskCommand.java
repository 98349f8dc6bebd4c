package dev.d8.launcher;

import dev.d8.master.ConnectionPolicy;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import dev.d8.master.SlaveStatus;
import java.io.PrintWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Callable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * A question to one slave, and its answer for people or as JSON.
 *
 * @param <A> the answer
 */
abstract class AskCommand<A> implements Callable<Integer> {

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli sets it.
    private CommandSpec spec;

    @Mixin
    private final MasterOptions master = new MasterOptions();

    @Option(
            names = "--slave",
            required = true,
            paramLabel = "HOST:PORT",
            converter = SlaveAddress.class,
            description = "the slave to ask")
    @SuppressWarnings("NullAway.Init") // Required.
    private URI named;

    @Option(names = "--json", description = "print the answer as a JSON object")
    private boolean json;

    abstract A ask(SlaveManager manager, Slave slave);

    abstract byte[] encode(A answer);

    abstract void print(A answer, PrintWriter out);

    @Override
    public final Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        URI address = master.complete(named);
        try (SlaveManager manager =
                master.manager(ConnectionPolicy.DEFAULT.withTries(1)).build()) {
            Slave slave = Answers.await(manager.register("slave", address));
            if (slave.status() == SlaveStatus.DEAD) {
                throw Answers.unusable(slave, address);
            }
            A answer = ask(manager, slave);
            if (json) {
                out.println(new String(encode(answer), StandardCharsets.UTF_8));
            } else {
                print(answer, out);
            }
            out.flush();
            if (slave.status() == SlaveStatus.VERSION_MISMATCH) {
                throw Answers.unusable(slave, address);
            }
            return Main.DONE;
        }
    }
}
