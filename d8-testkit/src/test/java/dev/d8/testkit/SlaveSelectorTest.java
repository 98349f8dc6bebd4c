package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.ConfigurationException;
import dev.d8.Task;
import dev.d8.master.CircuitState;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import dev.d8.master.SlaveSelector;
import dev.d8.master.SlaveStatus;
import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class SlaveSelectorTest {

    private static final Task TASK = Task.python("x");

    private static Slave slave(String id, int inFlight, int slots, int millis) {
        return new Slave(
                id,
                URI.create("http://" + id + ":7600"),
                Set.of(),
                SlaveStatus.ALIVE,
                "",
                Optional.empty(),
                CircuitState.CLOSED,
                false,
                inFlight,
                slots,
                millis == 0 ? Optional.empty() : Optional.of(Duration.ofMillis(millis)));
    }

    private static Task keyed(String key) {
        return Task.builder(Task.PYTHON_CODE).with("command", "x").key(key).build();
    }

    @Test
    void of_a_few_the_one_whose_slots_are_least_used_is_taken() {
        List<Slave> few = List.of(slave("a", 3, 4, 0), slave("b", 1, 1, 0), slave("c", 8, 16, 0));
        assertThat(SlaveSelector.leastLoaded(new Random(1)).select(few, TASK).id())
                .isEqualTo("c");
    }

    @Test
    void of_many_the_better_of_two_is_taken_and_so_nobody_is_much_fuller_than_another() {
        SlaveSelector selector = SlaveSelector.leastLoaded(new Random(1));
        int[] loads = new int[20];
        for (int i = 0; i < 2000; i++) {
            List<Slave> slaves = IntStream.range(0, 20)
                    .mapToObj(number -> slave(String.valueOf(number), loads[number], 100, 0))
                    .toList();
            loads[Integer.parseInt(selector.select(slaves, TASK).id())]++;
        }
        // One at random would leave the fullest about 25 above the mean of 100; with two choices it is ln ln n.
        assertThat(IntStream.of(loads).max().orElseThrow()).isLessThan(106);
    }

    @Test
    void a_near_slave_is_preferred_until_it_is_busier() {
        SlaveSelector selector = SlaveSelector.lowestLatency(new Random(1));
        assertThat(selector.select(List.of(slave("near", 1, 2, 10), slave("far", 0, 2, 30)), TASK)
                        .id())
                .isEqualTo("near");
        assertThat(selector.select(List.of(slave("near", 2, 2, 20), slave("far", 0, 2, 30)), TASK)
                        .id())
                .isEqualTo("far");
        assertThat(selector.select(List.of(slave("new", 0, 2, 0), slave("far", 0, 2, 30)), TASK)
                        .id())
                .isEqualTo("far");
    }

    @Test
    void a_key_stays_with_its_slave_and_moves_only_if_that_one_goes() {
        SlaveSelector selector = SlaveSelector.sticky(SlaveSelector.roundRobin());
        List<Slave> ten = IntStream.range(0, 10)
                .mapToObj(number -> slave("slave-" + number, number, 1, 0))
                .toList();
        List<Slave> nine =
                ten.stream().filter(slave -> !slave.id().equals("slave-4")).toList();
        Map<String, Integer> counts = new HashMap<>();
        for (int i = 0; i < 1000; i++) {
            String before = selector.select(ten, keyed("key-" + i)).id();
            counts.merge(before, 1, Integer::sum);
            String after = selector.select(nine, keyed("key-" + i)).id();
            if (!before.equals("slave-4")) {
                assertThat(after).isEqualTo(before);
            }
        }
        assertThat(counts.values()).hasSize(10).allMatch(count -> count > 60 && count < 140);
        assertThat(selector.select(ten, TASK)).isNotEqualTo(selector.select(ten, TASK));
    }

    @Test
    void a_selector_is_found_by_its_name_and_an_unknown_one_is_told_with_those_that_are() {
        for (String name : List.of("least_loaded", "lowest_latency", "round_robin", "sticky")) {
            SlaveManager.builder().selector(name).build().close();
        }
        assertThatThrownBy(() -> SlaveManager.builder().selector("best").build())
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("\"best\"")
                .hasMessageContaining("least_loaded, lowest_latency, round_robin, sticky");
    }
}
