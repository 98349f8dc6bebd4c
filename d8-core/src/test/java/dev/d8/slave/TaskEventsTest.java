package dev.d8.slave;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.ExecutorInfo;
import dev.d8.Output;
import dev.d8.TaskEvent;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.Termination;
import dev.d8.spi.ExecutionListener.Stream;
import dev.d8.spi.TaskFeed;
import dev.d8.spi.TimeSource;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a task's followers hear: everything in order, from where they like, and what they missed where they are slow. */
@Timeout(60)
class TaskEventsTest {

    private static final TaskResult RESULT = new TaskResult(
            TaskId.random(),
            "python",
            Termination.OK,
            Output.EMPTY,
            Output.EMPTY,
            Optional.empty(),
            Optional.empty(),
            Optional.empty(),
            Optional.of(new ExecutorInfo(false, List.of(), Optional.empty())),
            List.of(),
            0);

    private final TimeSource time = TimeSource.system();
    private final TaskEvents events = new TaskEvents(time, Duration.ZERO);

    @AfterEach
    void close() {
        time.close();
    }

    private void print(String text) {
        events.output(Stream.STDOUT, text.getBytes(StandardCharsets.UTF_8));
    }

    private void end() {
        events.outputEnds();
        events.end(RESULT, null);
    }

    private List<String> heard(long from) {
        return heard(events.follow(from, () -> {}));
    }

    private static List<String> heard(TaskFeed feed) {
        List<String> heard = new ArrayList<>();
        for (TaskEvent event = feed.next(); event != null; event = feed.next()) {
            if (event instanceof TaskEvent.Wrote wrote) {
                heard.add(wrote.stream() + "@" + wrote.offset() + ":"
                        + new String(wrote.bytes(), StandardCharsets.UTF_8));
            } else if (event instanceof TaskEvent.Ended) {
                heard.add("ended");
            } else {
                heard.add(event.toString());
            }
        }
        return heard;
    }

    @Test
    void everything_is_told_in_the_order_in_which_it_came_to_whoever_comes_when() {
        TaskFeed early = events.follow(0, () -> {});
        assertThat(heard(early)).isEmpty();
        events.started();
        print("one\n");
        events.output(Stream.STDERR, "oh\n".getBytes(StandardCharsets.UTF_8));
        print("::d8::{\"progress\": 50, \"message\": \"half\"}\ntwo\n");
        List<String> sofar = heard(early);
        end();
        assertThat(sofar)
                .containsExactly(
                        "Started[]",
                        "STDOUT@0:one\n",
                        "STDERR@4:oh\n",
                        "Progressed[percent=50.0, message=half, offset=7]",
                        "STDOUT@7:two\n");
        assertThat(heard(early)).containsExactly("ended");
        assertThat(heard(early)).isEmpty();
        sofar.add("ended");
        assertThat(heard(0)).isEqualTo(sofar);
    }

    @Test
    void a_follower_goes_on_where_it_was() {
        events.started();
        print("0123456789");
        events.output(Stream.STDERR, "abc".getBytes(StandardCharsets.UTF_8));
        end();
        assertThat(heard(4)).containsExactly("STDOUT@4:456789", "STDERR@10:abc", "ended");
        assertThat(heard(12)).containsExactly("STDERR@12:c", "ended");
        assertThat(heard(13)).containsExactly("ended");
        assertThat(heard(99)).containsExactly("ended");
    }

    @Test
    void what_is_written_a_little_at_a_time_is_told_together() {
        for (int i = 0; i < 100_000; i++) {
            print("x");
        }
        end();
        assertThat(heard(0)).hasSizeLessThan(20);
        assertThat(events.kept()).isLessThan(2 * 100_000);
    }

    @Test
    void a_follower_is_told_once_when_there_is_something_after_nothing() {
        AtomicInteger told = new AtomicInteger();
        TaskFeed feed = events.follow(0, told::incrementAndGet);
        print("a");
        assertThat(told).hasValue(0);
        assertThat(heard(feed)).hasSize(1);
        print("b");
        print("c");
        assertThat(told).hasValue(1);
        assertThat(heard(feed)).containsExactly("STDOUT@1:bc");
        feed.close();
        print("d");
        assertThat(told).hasValue(1);
        assertThat(heard(feed)).isEmpty();
    }

    @Test
    void a_character_in_two_pieces_is_told_whole() {
        byte[] euro = "€".getBytes(StandardCharsets.UTF_8);
        TaskFeed feed = events.follow(0, () -> {});
        events.output(Stream.STDOUT, new byte[] {'x', euro[0]});
        events.output(Stream.STDERR, new byte[] {euro[0], euro[1]});
        assertThat(heard(feed)).containsExactly("STDOUT@0:x");
        events.output(Stream.STDOUT, new byte[] {euro[1], euro[2], 'y'});
        assertThat(heard(feed)).containsExactly("STDOUT@1:€y");
        events.outputEnds();
        TaskEvent.Wrote rest = Objects.requireNonNull((TaskEvent.Wrote) feed.next());
        assertThat(rest.bytes()).containsExactly(euro[0], euro[1]);
    }

    @Test
    void long_output_is_cut_between_characters() {
        print("€".repeat(30_000));
        end();
        List<String> heard = heard(0);
        assertThat(heard).hasSizeGreaterThan(2);
        assertThat(heard).noneMatch(event -> event.contains("\uFFFD"));
    }

    @Test
    void who_comes_late_or_is_slow_hears_what_was_missed() {
        TaskFeed slow = events.follow(0, () -> {});
        events.started();
        String block = "x".repeat(64 << 10);
        for (int i = 0; i < 100; i++) {
            print(block);
        }
        assertThat(events.kept()).isLessThanOrEqualTo(TaskEvents.KEPT);
        assertThat(slow.next()).isEqualTo(new TaskEvent.Started());
        TaskEvent.Skipped skipped = Objects.requireNonNull((TaskEvent.Skipped) slow.next());
        assertThat(skipped.offset()).isZero();
        TaskEvent.Wrote after = Objects.requireNonNull((TaskEvent.Wrote) slow.next());
        assertThat(after.offset()).isEqualTo(skipped.next());
        end();
        assertThat(heard(slow).get(0)).startsWith("STDOUT@" + after.next() + ":");
        assertThat(events.kept()).isLessThanOrEqualTo(TaskEvents.KEPT_AFTER);
        assertThat(heard(0).get(1)).startsWith("Skipped[offset=0, next=");
    }

    @Test
    void a_follower_that_reads_on_misses_nothing_however_fast_the_task_is() throws Exception {
        TaskEvents patient = new TaskEvents(time, Duration.ofSeconds(30));
        Semaphore news = new Semaphore(0);
        TaskFeed feed = patient.follow(0, news::release);
        ByteArrayOutputStream written = new ByteArrayOutputStream();
        long seed = System.nanoTime();
        Random random = new Random(seed);
        Thread task = new Thread(() -> {
            patient.started();
            for (int i = 0; i < 1000; i++) {
                byte[] chunk = new byte[random.nextInt(20_000)];
                random.nextBytes(chunk);
                written.writeBytes(chunk);
                patient.output(Stream.STDERR, chunk);
            }
            patient.outputEnds();
            patient.end(RESULT, null);
        });
        task.start();
        ByteArrayOutputStream read = new ByteArrayOutputStream();
        TaskEvent event;
        do {
            event = feed.next();
            if (event instanceof TaskEvent.Wrote wrote) {
                assertThat(wrote.offset()).isEqualTo(read.size());
                read.writeBytes(wrote.bytes());
            } else if (event == null) {
                assertThat(news.tryAcquire(30, TimeUnit.SECONDS)).isTrue();
            } else {
                assertThat(event).as("seed " + seed).isNotInstanceOf(TaskEvent.Skipped.class);
            }
        } while (!(event instanceof TaskEvent.Ended));
        task.join();
        assertThat(read.toByteArray()).as("seed " + seed).isEqualTo(written.toByteArray());
    }

    @Test
    void a_cancelled_task_does_not_wait_for_a_slow_follower() throws Exception {
        TaskEvents patient = new TaskEvents(time, Duration.ofDays(1));
        patient.follow(0, () -> {});
        CountDownLatch over = new CountDownLatch(1);
        Thread task = new Thread(() -> {
            for (int i = 0; i < 100; i++) {
                patient.output(Stream.STDOUT, new byte[64 << 10]);
            }
            over.countDown();
        });
        task.start();
        task.interrupt();
        assertThat(over.await(30, TimeUnit.SECONDS)).isTrue();
    }

    @Test
    void a_task_that_was_turned_away_after_all_says_so() {
        events.end(null, new IllegalStateException("the slave is stopping"));
        assertThat(heard(0)).containsExactly("Failed[message=the slave is stopping, notStarted=false]");
    }
}
