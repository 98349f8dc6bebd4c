package dev.d8.launcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.launcher.FaultyFleet.Machine;
import dev.d8.launcher.FaultyNetworkMaster.End;
import dev.d8.launcher.MasterProcess.Sent;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Slaves and masters that are killed, stopped for a while, and told to end. */
abstract class KilledProcessScenarios extends RealProcesses {

    @Test
    void of_a_slave_that_is_killed_every_task_is_accounted_for() throws Exception {
        Machine machine = fleet().machine("killed");
        for (int round = 0; round < rounds(); round++) {
            List<Sent> tasks = new ArrayList<>();
            Sent running = master().once("killed", 30).awaitStarted();
            Sent moves = master().idempotent("label:mortal", 3).awaitStarted();
            for (int i = 0; i < 12; i++) { // One is sent, one waits, one runs, one is over: some are at each step.
                tasks.add(master().once("killed", 0.05 * i));
            }
            FaultyNetwork.await("one is over", () -> tasks.stream().anyMatch(Sent::ended));
            machine.kill();
            Sent idle = master().once("killed", 0);
            machine.startAgain();
            running.expectUnknown();
            assertThat(running.starts()).isEqualTo(1);
            assertThat(running.runsToTheEnd()).isZero();
            assertThat(moves.end()).as(moves.message()).isEqualTo(End.RESULT);
            for (Sent task : tasks) {
                assertThat(task.end()).as(task.message()).isIn(End.RESULT, End.UNKNOWN, End.NOT_STARTED);
            }
            assertThat(idle.end()).as(idle.message()).isIn(End.RESULT, End.UNKNOWN, End.NOT_STARTED);
            awaitStatus("killed", "ALIVE");
            master().once("killed", 0).expectResult();
        }
        machine.kill();
        awaitLost("killed");
        master().once("killed", 0).expectNotStarted();
    }

    @Test
    void a_slave_that_is_stopped_for_a_while_goes_on_where_it_was() throws Exception {
        Machine machine = fleet().machine("stopped");
        Sent running = master().once("stopped", 2).awaitStarted();
        FaultyNetwork.signal(machine.slave.process, "STOP");
        Sent sent = master().once("stopped", 0);
        awaitLost("stopped");
        FaultyNetwork.signal(machine.slave.process, "CONT");
        running.expectResult();
        sent.expectResult();

        awaitStatus("stopped", "ALIVE");
        Sent lost = master().once("stopped", 200).awaitStarted();
        FaultyNetwork.signal(machine.slave.process, "STOP");
        Sent late = master().once("stopped", 0);
        lost.expectUnknown();
        assertThat(late.end()).as(late.message()).isIn(End.UNKNOWN, End.NOT_STARTED);
        FaultyNetwork.signal(machine.slave.process, "CONT");
        // It was told to end the task meanwhile, and reads that now.
        FaultyNetwork.await("nothing runs there", () -> master().taken("stopped") == 0);
        assertThat(lost.childLives()).isFalse();
        assertThat(late.starts()).isLessThanOrEqualTo(1);
    }

    @Test
    void a_slave_that_is_told_to_stop_under_load_loses_nothing() throws Exception {
        Machine machine = fleet().machine("told");
        List<Sent> tasks = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            tasks.add(master().once("label:shift", 0.3));
        }
        FaultyNetwork.await("one is over", () -> tasks.stream().anyMatch(Sent::ended));
        tasks.add(master().once("told", 2).awaitStarted());
        machine.slave.process.toHandle().destroy();
        for (int i = 0; i < 10; i++) {
            tasks.add(master().once("label:shift", 0.1));
        }
        assertThat(machine.slave.process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(machine.slave.process.exitValue()).isZero();
        for (Sent task : tasks) {
            task.expectResult();
        }
        for (Sent task : tasks) {
            task.expectResult();
        }
    }

    @Test
    void the_tasks_of_a_master_that_is_killed_run_once_and_their_results_are_kept() throws Exception {
        MasterProcess dying = fleet().master("dying", FaultyFleet.RECONCILE_MILLIS, Map.of(), "well");
        dying.awaitReady();
        List<Sent> theirs = new ArrayList<>();
        List<Sent> ours = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            theirs.add(dying.once("well", 1).awaitStarted());
            ours.add(master().once("well", 0.5));
        }
        FaultyNetwork.signal(dying.process, "KILL");
        for (Sent task : ours) {
            task.expectResult();
        }
        for (Sent task : theirs) {
            FaultyNetwork.await("it is over", () -> master().find("well", task).equals("DONE"));
            assertThat(task.starts()).isEqualTo(1);
            assertThat(task.runsToTheEnd()).isEqualTo(1);
        }
    }

    @Test
    void a_master_that_is_stopped_longer_than_every_time_out_has_its_results_afterwards() throws Exception {
        MasterProcess stopped = fleet().master("stopped", 2000, Map.of(), "well");
        stopped.awaitReady();
        Sent running = stopped.once("well", 3).awaitStarted();
        Sent longer = stopped.once("well", 7).awaitStarted();
        long began = System.nanoTime();
        FaultyNetwork.signal(stopped.process, "STOP");
        FaultyNetwork.await(
                "every time-out is over", () -> System.nanoTime() - began > TimeUnit.MILLISECONDS.toNanos(4500));
        FaultyNetwork.signal(stopped.process, "CONT");
        running.expectResult();
        longer.expectResult();
    }

    @Test
    void what_is_cancelled_leaves_nothing_running() throws Exception {
        Sent task = master().once("well", 200).awaitStarted();
        FaultyNetwork.await("its child runs", task::childLives);
        task.cancel();
        assertThat(task.end()).isEqualTo(End.CANCELLED);
        FaultyNetwork.await("its child is gone", () -> !task.childLives());
    }
}
