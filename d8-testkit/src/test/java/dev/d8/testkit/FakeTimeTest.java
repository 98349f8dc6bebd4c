package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class FakeTimeTest {

    private final FakeTime time = new FakeTime();
    private final List<String> ran = new ArrayList<>();

    @Test
    void actions_run_in_the_order_of_their_moments_and_only_when_they_are_due() {
        time.schedule(Duration.ofSeconds(2), () -> ran.add("second at " + time.nanoTime()));
        time.schedule(Duration.ofSeconds(1), () -> ran.add("first"));
        time.schedule(Duration.ofSeconds(1), () -> ran.add("also first"));
        time.schedule(Duration.ofSeconds(9), () -> ran.add("too late"));
        time.advance(Duration.ofSeconds(3));
        assertThat(ran).containsExactly("first", "also first", "second at 2000000000");
        assertThat(time.nanoTime()).isEqualTo(3_000_000_000L);
        assertThat(time.pending()).isEqualTo(1);
    }

    @Test
    void what_an_action_schedules_runs_in_the_same_advance_if_it_falls_due() {
        time.schedule(Duration.ofSeconds(1), () -> time.schedule(Duration.ofSeconds(1), () -> ran.add("inner")));
        time.advance(Duration.ofSeconds(2));
        assertThat(ran).containsExactly("inner");
    }

    @Test
    void an_action_that_was_called_off_does_not_run() {
        TimeSource.Scheduled action = time.schedule(Duration.ofSeconds(1), () -> ran.add("called off"));
        action.cancel();
        time.advance(Duration.ofSeconds(2));
        assertThat(ran).isEmpty();
    }
}
