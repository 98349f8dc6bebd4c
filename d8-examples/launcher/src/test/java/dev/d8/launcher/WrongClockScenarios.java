package dev.d8.launcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.launcher.MasterProcess.Sent;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Wall clocks that are wrong by days, and jump. */
abstract class WrongClockScenarios extends RealProcesses {

    @TempDir
    private Path folder;

    @Test
    void no_promise_hangs_on_a_wall_clock() throws Exception {
        Path slaves = Files.writeString(folder.resolve("slave"), "+10d\n");
        Path masters = Files.writeString(folder.resolve("master"), "-10d\n");
        FaultyFleet.Machine machine = fleet().slave(FaultyFleet.clock(slaves), "timeless");
        machine.awaitListening();
        MasterProcess master =
                fleet().master("timeless", FaultyFleet.RECONCILE_MILLIS, FaultyFleet.clock(masters), "timeless");
        master.awaitReady();
        Sent before = master.once("timeless", 0);
        before.expectResult();
        Sent running = master.once("timeless", 4).awaitStarted();
        Files.writeString(slaves, "-10d\n");
        Files.writeString(masters, "+10d\n");
        running.expectResult();
        assertThat(master.find("timeless", before)).isEqualTo("DONE");
        master.once("timeless", 0).expectResult();
        assertThat(machine.slave.process.isAlive()).isTrue();
    }
}
