package dev.d8.launcher;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * What {@code docs/delivery.md} promises, held against real slaves and masters on real networks that break. Every task writes to
 * a file when it starts, so starts are counted and not believed. All scenarios run at the same time, since they mostly wait.
 */
@Timeout(240)
@Tag("other-runtime") // What it tests is the network.
class RealProcessesTest {

    @TempDir
    private static Path folder;

    @BeforeAll
    static void start() throws Exception {
        FaultyNetwork.require();
        FaultyFleet fleet = new FaultyFleet(folder);
        RealProcesses.fleet = fleet;
        fleet.slave(Map.of(), "cut,pair", "flaky", "island", "lossy,lossy", "firewall");
        fleet.slave(Map.of(), "deaf", "mute", "proxied");
        fleet.slave(Map.of(), "killed,mortal");
        fleet.slave(Map.of(), "stopped");
        fleet.slave(Map.of(), "told,shift");
        fleet.slave(Map.of(), "well,pair,lossy,mortal,shift");
        fleet.proxy("deaf", "proxied", BrokenConnectionScenarios.FAULTS);
        fleet.awaitSlaves();
        List<String> all = new ArrayList<>(List.of(
                "cut", "flaky", "island", "lossy", "firewall", "deaf", "mute", "killed", "stopped", "told", "well"));
        all.addAll(List.of(BrokenConnectionScenarios.FAULTS));
        MasterProcess master = fleet.master("main", FaultyFleet.RECONCILE_MILLIS, Map.of(), all.toArray(String[]::new));
        master.awaitReady();
        RealProcesses.master = master;
    }

    @AfterAll
    static void end() throws Exception {
        FaultyFleet fleet = RealProcesses.fleet;
        if (fleet != null) {
            try {
                fleet.expectAllIsWell();
            } finally {
                fleet.close();
            }
        }
    }

    @Nested
    @Execution(ExecutionMode.CONCURRENT)
    class OnPartitions extends PartitionScenarios {}

    @Nested
    @Execution(ExecutionMode.CONCURRENT)
    class OnBrokenConnections extends BrokenConnectionScenarios {}

    @Nested
    @Execution(ExecutionMode.CONCURRENT)
    class OnKilledProcesses extends KilledProcessScenarios {}

    @Nested
    @Execution(ExecutionMode.CONCURRENT)
    class OnWrongClocks extends WrongClockScenarios {}
}
