package dev.d8.launcher;

import dev.d8.Health;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import dev.d8.spi.WireFormat;
import java.io.PrintWriter;
import picocli.CommandLine.Command;

/** {@code d8 health}: how a slave is. */
@Command(name = "health", mixinStandardHelpOptions = true, description = "Asks a slave how it is.")
final class HealthCommand extends AskCommand<Health> {

    @Override
    Health ask(SlaveManager manager, Slave slave) {
        return slave.health().orElseThrow();
    }

    @Override
    byte[] encode(Health health) {
        return WireFormat.json().encode(health);
    }

    @Override
    void print(Health health, PrintWriter out) {
        out.println("status    " + health.status() + (health.draining() ? ", about to stop" : ""));
        out.println("commit    " + health.version().commit()
                + (health.version().dirty() ? " (with uncommitted changes)" : ""));
        out.println("python    " + health.pythonVersion());
        health.executionMethods()
                .forEach((method, available) ->
                        out.println("executor  " + method + ": " + (available ? "available" : "unavailable")));
        health.slots().ifPresent(slots -> out.println("slots     " + slots.free() + " of " + slots.total() + " free"));
    }
}
