package dev.d8.launcher;

import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** What the scenarios of {@link RealProcessesTest} have in common: its fleet, and the master that most of them use. */
abstract class RealProcesses {

    static @Nullable FaultyFleet fleet;
    static @Nullable MasterProcess master;

    static FaultyFleet fleet() {
        return Objects.requireNonNull(fleet);
    }

    static MasterProcess master() {
        return Objects.requireNonNull(master);
    }

    /** Waits until the master takes a slave for such. */
    static void awaitStatus(String slave, String status) throws Exception {
        FaultyNetwork.await(
                slave + " is " + status, () -> master().status(slave).equals(status));
    }

    /** Waits until the master has lost sight of a slave: it is dead, or out of sight with most of the others. */
    static void awaitLost(String slave) throws Exception {
        FaultyNetwork.await(slave + " is lost", () -> List.of("DEAD", "UNKNOWN").contains(master().status(slave)));
    }

    /** How often what hangs on chance is tried: {@code -Dd8.netns.rounds}, default 1. */
    static int rounds() {
        return Integer.getInteger("d8.netns.rounds", 1);
    }
}
