package dev.d8.launcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.launcher.FaultyNetwork.Link;
import dev.d8.launcher.FaultyNetworkMaster.End;
import dev.d8.launcher.MasterProcess.Sent;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Lines that lose packets: all, in one direction, or some. */
abstract class PartitionScenarios extends RealProcesses {

    @Test
    void a_line_that_is_dead_for_a_while_costs_no_task_its_result() throws Exception {
        Link line = fleet().line("flaky");
        Sent running = master().once("flaky", 3).awaitStarted();
        line.loseEverything();
        awaitLost("flaky");
        master().once("flaky", 0).expectNotStarted();
        line.heal();
        running.expectResult();
        awaitStatus("flaky", "ALIVE");
        master().once("flaky", 0).expectResult();
    }

    @Test
    void after_a_partition_longer_than_every_time_out_the_outcome_is_unknown_and_the_slave_is_back() throws Exception {
        Link line = fleet().line("island");
        Sent running = master().once("island", 2).awaitStarted();
        line.loseEverything();
        running.expectUnknown();
        assertThat(running.message()).contains("island").contains("cannot be reached since");
        line.heal();
        awaitStatus("island", "ALIVE");
        master().once("island", 0).expectResult();
        assertThat(running.starts()).isEqualTo(1);
    }

    @Test
    void an_idempotent_task_leaves_a_slave_that_is_cut_off_and_no_other_task_does() throws Exception {
        Link line = fleet().line("cut");
        Sent moves = master().idempotent("label:pair", 3).awaitStarted();
        Sent stays = master().once("label:pair", 3).awaitStarted();
        line.loseEverything();
        assertThat(moves.end()).as(moves.message()).isEqualTo(End.RESULT);
        stays.expectUnknown();
        assertThat(stays.starts()).isEqualTo(1);
        line.heal();
    }

    @Test
    void requests_that_are_lost_on_an_open_connection_start_nothing_twice() throws Exception {
        Link line = fleet().line("deaf");
        Sent running = master().once("deaf", 2).awaitStarted();
        line.loseRequests();
        Sent late = master().once("deaf", 0);
        running.expectResult(); // Its answer comes all the same.
        assertThat(late.end()).as(late.message()).isIn(End.UNKNOWN, End.NOT_STARTED);
        line.heal();
        awaitStatus("deaf", "ALIVE");
        master().once("deaf", 0).expectResult();
    }

    @Test
    void answers_that_are_lost_leave_the_outcome_open() throws Exception {
        Link line = fleet().line("mute");
        Sent running = master().once("mute", 2).awaitStarted();
        line.loseAnswers();
        Sent late = master().once("mute", 0);
        running.expectUnknown();
        assertThat(late.end()).as(late.message()).isIn(End.UNKNOWN, End.NOT_STARTED);
        line.heal();
        awaitStatus("mute", "ALIVE");
        assertThat(running.starts()).isEqualTo(1);
        assertThat(master().find("mute", running)).isEqualTo("DONE"); // Whoever asks later is told.
    }

    @Test
    void a_line_that_loses_a_third_runs_nothing_twice() throws Exception {
        Link line = fleet().line("lossy");
        line.lose(0.3);
        List<Sent> tasks = new ArrayList<>();
        for (int i = 0; i < 8 * rounds(); i++) {
            tasks.add(master().once("lossy", 0.2));
            tasks.add(master().idempotent("label:lossy", 0.2));
        }
        int results = 0;
        for (Sent task : tasks) {
            results += task.end() == End.RESULT ? 1 : 0;
        }
        line.heal();
        assertThat(results).isGreaterThanOrEqualTo(tasks.size() / 2);
    }

    @Test
    void a_firewall_that_resets_everything_for_a_while_costs_no_task_its_result() throws Exception {
        Link line = fleet().line("firewall");
        Sent running = master().once("firewall", 3).awaitStarted();
        line.reset();
        Sent sent = master().once("firewall", 0);
        awaitLost("firewall");
        line.heal();
        running.expectResult();
        assertThat(sent.end()).as(sent.message()).isIn(End.RESULT, End.NOT_STARTED);
    }
}
