package dev.d8.slave;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.Output;
import dev.d8.SlaveRefusedException;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.Termination;
import dev.d8.Timing;
import dev.d8.slave.TaskLedger.Window;
import dev.d8.spi.WireFormat;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class KeptTasksTest {
    private static final long HOUR = Duration.ofHours(1).toNanos();

    @Test
    void each_is_found_until_it_has_made_room_and_its_id_after_that() {
        long seed = new Random().nextLong();
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        KeptTasks tasks = new KeptTasks(new Window(100, Long.MAX_VALUE, Duration.ofHours(24)));
        Deque<TaskEntry> fetched = new ArrayDeque<>();
        List<TaskEntry> unfetched = new ArrayList<>();
        List<TaskId> gone = new ArrayList<>();
        for (int i = 0; i < 5000; i++) {
            TaskId id = new TaskId(
                    i % 2 == 0 ? new UUID((long) i << 48, 0) : new UUID(random.nextLong(), random.nextLong()));
            if (fetched.size() + unfetched.size() >= 100 && fetched.isEmpty()) {
                assertThatThrownBy(() -> tasks.makeRoom(0)).isInstanceOf(SlaveRefusedException.class);
                TaskEntry next = unfetched.remove(random.nextInt(unfetched.size()));
                tasks.fetched(next);
                fetched.add(next);
            }
            tasks.makeRoom(0);
            if (fetched.size() + unfetched.size() >= 100) {
                gone.add(fetched.remove().id());
            }
            TaskEntry entry = new TaskEntry(id);
            tasks.add(entry);
            if (random.nextInt(10) == 0) {
                tasks.remove(entry);
                assertThat(tasks.find(id)).isNull();
                assertThat(tasks.isForgotten(id)).isFalse();
                continue;
            }
            tasks.over(entry, 1, 0);
            unfetched.add(entry);
            if (random.nextBoolean()) {
                TaskEntry next = unfetched.remove(random.nextInt(unfetched.size()));
                tasks.fetched(next);
                fetched.add(next);
            }
        }
        assertThat(gone).isNotEmpty().allMatch(tasks::isForgotten).allMatch(id -> tasks.find(id) == null);
        assertThat(fetched).allMatch(entry -> tasks.find(entry.id()) == entry);
        assertThat(unfetched).allMatch(entry -> tasks.find(entry.id()) == entry);
    }

    @Test
    void who_was_not_fetched_makes_room_after_an_hour() {
        KeptTasks tasks = new KeptTasks(new Window(1, Long.MAX_VALUE, Duration.ofHours(24)));
        TaskEntry entry = new TaskEntry(TaskId.random());
        tasks.add(entry);
        tasks.over(entry, 1, 0);
        assertThatThrownBy(() -> tasks.makeRoom(HOUR - 1)).isInstanceOf(SlaveRefusedException.class);
        tasks.makeRoom(HOUR);
        assertThat(tasks.find(entry.id())).isNull();
        assertThat(tasks.isForgotten(entry.id())).isTrue();
    }

    @Test
    void a_result_is_kept_as_its_answer_and_comes_back_as_it_was() {
        byte[] cut = {'5', '5', (byte) 0xE2, (byte) 0x82}; // The first two bytes of a euro sign.
        for (Output output : List.of(
                Output.EMPTY,
                Output.of("55\n"),
                Output.of("\u20ac"),
                Output.of(new byte[] {(byte) 0xFF}),
                Output.of("55\n".getBytes(StandardCharsets.UTF_8), 100),
                Output.of(cut, 5),
                Output.of("x".repeat(KeptResult.MOST + 1)))) {
            TaskId id = TaskId.random();
            TaskResult result = result(id, output);
            KeptResult kept = KeptResult.of(result);
            assertThat(kept.result(id)).isEqualTo(result);
            assertThat(kept.answer()).isEqualTo(WireFormat.json().encode(result));
        }
    }

    @Test
    void a_result_that_cannot_be_written_is_kept_all_the_same() {
        TaskId id = TaskId.random();
        Timing endless = new Timing(Duration.ZERO, Duration.ZERO, Duration.ofSeconds(Long.MAX_VALUE));
        TaskResult result = result(id, Optional.of(endless), Output.EMPTY);
        KeptResult kept = KeptResult.of(result);
        assertThat(kept.result(id)).isEqualTo(result);
        assertThatThrownBy(kept::answer).isInstanceOf(RuntimeException.class);
    }

    private static TaskResult result(TaskId id, Output output) {
        return result(id, Optional.empty(), output);
    }

    private static TaskResult result(TaskId id, Optional<Timing> timing, Output output) {
        return new TaskResult(
                id,
                "python",
                Termination.exited(3),
                output,
                Output.EMPTY,
                Optional.empty(),
                Optional.empty(),
                timing,
                Optional.empty(),
                List.of(),
                0);
    }
}
