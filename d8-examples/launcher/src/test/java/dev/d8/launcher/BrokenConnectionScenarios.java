package dev.d8.launcher;

import dev.d8.launcher.MasterProcess.Sent;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Connections that are reset or ended at each step of a call, or that hardly move. */
abstract class BrokenConnectionScenarios extends RealProcesses {

    static final String[] FAULTS = {"before", "during", "after", "end", "answer", "trickle", "never"};

    @ParameterizedTest
    @ValueSource(strings = {"before", "during", "after", "end", "answer"})
    void a_task_whose_connection_breaks_at_any_step_runs_once_and_has_its_result(String step) throws Exception {
        Sent task = master().once(step, 1);
        task.expectResult();
        master().once(step, 0).expectResult();
    }

    @Test
    void an_answer_of_a_byte_a_second_is_not_waited_for() throws Exception {
        master().once("trickle", 0.5).expectResult();
    }

    @Test
    void a_task_that_is_reset_each_time_certainly_never_starts() throws Exception {
        master().once("never", 0).expectNotStarted();
    }
}
