package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.d8.ConfigurationException;
import dev.d8.Token;
import dev.d8.VersionInfo;
import dev.d8.master.CircuitState;
import dev.d8.master.Notice;
import dev.d8.master.Notices;
import dev.d8.master.Notifier;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import dev.d8.master.SlaveStatus;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.TimeSource;
import dev.d8.version.VersionProvider;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.slf4j.LoggerFactory;

/** Which changes become notices, and what becomes of notices that do not arrive. */
@Timeout(60)
class NoticesTest {

    private static final Logger LOG = (Logger) LoggerFactory.getLogger(Notices.class);
    private static final Duration WINDOW = Duration.ofSeconds(5);
    private static final Notifier.Outcome WELL = new Notifier.Delivered();

    private final ListAppender<ILoggingEvent> logged = new ListAppender<>();
    private final FakeTime time = new FakeTime();
    private final BlockingQueue<Duration> pauses = new LinkedBlockingQueue<>();
    private final Post post = new Post();
    private final Notices notices = Notices.builder(post)
            .time(new Watched())
            .startGrace(Duration.ZERO)
            .clock(() -> Instant.parse("2026-11-26T03:04:05.678Z"))
            .build();

    /** Tells of each pause between tries, once that is scheduled. */
    private final class Watched implements TimeSource {
        @Override
        public long nanoTime() {
            return time.nanoTime();
        }

        @Override
        public Scheduled schedule(Duration delay, Runnable action) {
            Scheduled scheduled = time.schedule(delay, action);
            if (Thread.currentThread().getName().equals("d8-notices")) {
                pauses.add(delay);
            }
            return scheduled;
        }
    }

    /** Takes notices as the test says. */
    private static final class Post implements Notifier {
        final BlockingQueue<Notice> tried = new LinkedBlockingQueue<>();
        final Semaphore open = new Semaphore(1 << 20);
        volatile Outcome outcome = WELL;

        @Override
        public String name() {
            return "post";
        }

        @Override
        public Outcome deliver(Notice notice) throws InterruptedException {
            Outcome now = outcome;
            tried.add(notice);
            open.acquire();
            return now;
        }
    }

    @BeforeEach
    void listen() {
        logged.start();
        LOG.addAppender(logged);
        LOG.setLevel(Level.INFO);
    }

    @AfterEach
    void leave() {
        notices.close();
        LOG.detachAppender(logged);
        LOG.setLevel(null);
    }

    private static Slave slave(String id, SlaveStatus status, String reason) {
        return new Slave(
                id,
                URI.create("http://" + id + ":7600"),
                Set.of(),
                status,
                reason,
                Optional.empty(),
                CircuitState.CLOSED,
                false,
                0,
                1,
                Optional.empty());
    }

    private void change(String id, SlaveStatus from, SlaveStatus to) {
        notices.statusChanged(slave(id, from, "before"), slave(id, to, "it is " + to.wireName()));
    }

    /** One notice of one slave that died. */
    private void died(String id) {
        change(id, SlaveStatus.ALIVE, SlaveStatus.DEAD);
        time.advance(WINDOW);
    }

    private Notice tried() throws InterruptedException {
        return Objects.requireNonNull(post.tried.poll(30, TimeUnit.SECONDS), "nothing was tried");
    }

    private void awaitPause(Duration expected) throws InterruptedException {
        assertThat(pauses.poll(30, TimeUnit.SECONDS)).isEqualTo(expected);
        time.advance(expected.minusNanos(1));
        assertThat(post.tried).isEmpty();
        time.advance(Duration.ofNanos(1));
    }

    private static List<String> ids(Notice notice) {
        return notice.changes().stream().map(Notice.Change::slave).toList();
    }

    private List<String> log() {
        return List.copyOf(logged.list).stream()
                .map(ILoggingEvent::getFormattedMessage)
                .toList();
    }

    @Test
    void a_change_is_told_when_the_time_for_others_is_over() throws Exception {
        change("pi", SlaveStatus.ALIVE, SlaveStatus.DEAD);
        time.advance(WINDOW.minusNanos(1));
        assertThat(post.tried).isEmpty();
        time.advance(Duration.ofNanos(1));
        Notice notice = tried();
        assertThat(notice.at()).isEqualTo("2026-11-26T03:04:05Z");
        assertThat(notice.changes())
                .containsExactly(new Notice.Change(
                        "pi", URI.create("http://pi:7600"), SlaveStatus.ALIVE, SlaveStatus.DEAD, "it is dead"));
        assertThat(notice.text(4096)).isEqualTo("D8: 1 slave changed\npi: alive → dead: it is dead");
    }

    @Test
    void what_changes_within_that_time_is_one_notice_and_what_changes_later_another() throws Exception {
        change("b", SlaveStatus.UNKNOWN, SlaveStatus.ALIVE);
        time.advance(Duration.ofSeconds(4));
        change("a", SlaveStatus.UNKNOWN, SlaveStatus.VERSION_MISMATCH);
        time.advance(Duration.ofSeconds(1));
        died("c");
        Notice first = tried();
        assertThat(first.text(4096))
                .isEqualTo("D8: 2 slaves changed\nb: unknown → alive: it is alive\n"
                        + "a: unknown → version_mismatch: it is version_mismatch");
        Notice second = tried();
        assertThat(ids(second)).containsExactly("c");
        assertThat(second.id()).isNotEqualTo(first.id());
    }

    @Test
    void a_slave_that_is_back_to_what_it_was_is_left_out() throws Exception {
        change("flapping", SlaveStatus.ALIVE, SlaveStatus.DEAD);
        change("flapping", SlaveStatus.DEAD, SlaveStatus.ALIVE);
        time.advance(WINDOW);
        change("flapping", SlaveStatus.ALIVE, SlaveStatus.DRAINING);
        change("stopped", SlaveStatus.ALIVE, SlaveStatus.DRAINING);
        change("flapping", SlaveStatus.DRAINING, SlaveStatus.ALIVE);
        change("stopped", SlaveStatus.DRAINING, SlaveStatus.DEAD);
        time.advance(WINDOW);
        assertThat(tried().text(4096)).isEqualTo("D8: 1 slave changed\nstopped: alive → dead: it is dead");
        assertThat(post.tried).isEmpty();
    }

    @Test
    void another_reason_is_no_change_but_the_last_one_is_told() throws Exception {
        notices.statusChanged(slave("a", SlaveStatus.ALIVE, "it answers"), slave("a", SlaveStatus.ALIVE, "it runs x"));
        assertThat(time.pending()).isZero();
        change("a", SlaveStatus.ALIVE, SlaveStatus.VERSION_MISMATCH);
        notices.statusChanged(
                slave("a", SlaveStatus.VERSION_MISMATCH, "it runs x"),
                slave("a", SlaveStatus.VERSION_MISMATCH, "it runs y"));
        time.advance(WINDOW);
        assertThat(tried().changes()).extracting(Notice.Change::reason).containsExactly("it runs y");
    }

    @Test
    void a_text_lists_twenty_and_says_how_many_more() throws Exception {
        IntStream.range(0, 57).forEach(i -> change("s" + i, SlaveStatus.ALIVE, SlaveStatus.DEAD));
        time.advance(WINDOW);
        Notice notice = tried();
        assertThat(notice.changes()).hasSize(57);
        assertThat(notice.text(4096).lines())
                .hasSize(22)
                .startsWith("D8: 57 slaves changed", "s0: alive → dead: it is dead")
                .endsWith("s19: alive → dead: it is dead", "and 37 more");
        assertThat(notice.text(100))
                .isEqualTo("D8: 57 slaves changed\ns0: alive → dead: it is dead\ns1: alive → dead: it is dead\n"
                        + "and 55 more");
    }

    @Test
    void a_reason_is_one_line_and_not_too_long() throws Exception {
        String forged = "gone\nother: dead → alive\u2028\u202e: "
                + "x".repeat(299 - "gone other: dead → alive : ".length()) + "\ud83d\ude00" + "y".repeat(1000);
        notices.statusChanged(slave("a", SlaveStatus.ALIVE, ""), slave("a", SlaveStatus.DEAD, forged));
        time.advance(WINDOW);
        assertThat(tried().changes().get(0).reason())
                .startsWith("gone other: dead → alive : xxx")
                .endsWith("x…")
                .hasSize(300);
    }

    @Test
    void what_fails_is_tried_five_times_and_the_next_notice_after_it() throws Exception {
        post.outcome = new Notifier.Failed("no answer", Duration.ZERO);
        died("a");
        Notice first = tried();
        for (int seconds : List.of(1, 2, 4, 8)) {
            awaitPause(Duration.ofSeconds(seconds));
            assertThat(tried()).isSameAs(first);
        }
        died("b");
        assertThat(ids(tried())).containsExactly("b");
        assertThat(log()).containsExactly("notices to post are lost: no answer");
        post.outcome = WELL;
        awaitPause(Duration.ofSeconds(1));
        assertThat(ids(tried())).containsExactly("b");
        notices.close();
        assertThat(log())
                .containsExactly(
                        "notices to post are lost: no answer", "notices to post arrive again; lost meanwhile: 1");
    }

    @Test
    void a_receiver_that_asks_for_a_longer_pause_gets_it_up_to_an_hour() throws Exception {
        post.outcome = new Notifier.Failed("slowly", Duration.ofSeconds(35));
        died("a");
        tried();
        post.outcome = new Notifier.Failed("slowly", Duration.ofDays(365));
        awaitPause(Duration.ofSeconds(35));
        tried();
        awaitPause(Duration.ofHours(1));
        tried();
    }

    @Test
    void what_is_refused_is_not_tried_again_and_told_once() throws Exception {
        post.outcome = new Notifier.Refused("it answers 401");
        died("a");
        died("b");
        assertThat(ids(tried())).containsExactly("a");
        assertThat(ids(tried())).containsExactly("b");
        notices.close();
        assertThat(pauses).isEmpty();
        assertThat(log())
                .containsExactly(
                        "notices to post are lost: it answers 401", "stopped; notices to post that were lost: 2");
    }

    @Test
    void a_receiver_that_hangs_holds_nobody_up_and_the_latest_hundred_wait() throws Exception {
        post.open.drainPermits();
        died("hanging");
        tried();
        IntStream.range(0, 130).forEach(i -> died("s" + i));
        assertThat(log()).containsExactly("more than 100 notices to post wait; the eldest are lost");
        post.open.release(1000);
        for (int i = 30; i < 130; i++) {
            assertThat(ids(tried())).containsExactly("s" + i);
        }
        notices.close();
        assertThat(log())
                .endsWith("notices to post arrive again; lost meanwhile: 30")
                .hasSize(2);
    }

    @Test
    void an_exception_is_told_without_its_message() throws Exception {
        Notifier broken = new Notifier() {
            @Override
            public String name() {
                return "broken";
            }

            @Override
            public Outcome deliver(Notice notice) {
                post.tried.add(notice);
                throw new IllegalStateException("s3cret");
            }
        };
        try (Notices told = Notices.builder(broken).time(time).build()) {
            told.statusChanged(slave("a", SlaveStatus.ALIVE, ""), slave("a", SlaveStatus.DEAD, ""));
        }
        assertThat(ids(tried())).containsExactly("a");
        assertThat(log()).contains("notices to broken are lost: it failed with java.lang.IllegalStateException");
        assertThat(log()).noneMatch(line -> line.contains("s3cret"));
    }

    @Test
    void closing_sends_what_is_collected_and_waits_for_no_pause() throws Exception {
        post.outcome = new Notifier.Failed("no answer", Duration.ofSeconds(30));
        died("a");
        tried();
        assertThat(pauses.poll(30, TimeUnit.SECONDS)).isEqualTo(Duration.ofSeconds(30));
        post.outcome = WELL;
        change("b", SlaveStatus.ALIVE, SlaveStatus.DEAD);
        notices.close();
        assertThat(ids(tried())).containsExactly("a");
        assertThat(ids(tried())).containsExactly("b");
        assertThat(log()).isEmpty();
        died("c");
        notices.close();
        assertThat(post.tried).isEmpty();
    }

    @Test
    void closing_does_not_try_the_others_where_one_fails() throws Exception {
        post.outcome = new Notifier.Failed("no answer", Duration.ofHours(1));
        died("a");
        tried();
        assertThat(pauses.poll(30, TimeUnit.SECONDS)).isNotNull();
        died("b");
        died("c");
        notices.close();
        assertThat(ids(tried())).containsExactly("a");
        assertThat(post.tried).isEmpty();
        assertThat(log())
                .containsExactly("notices to post are lost: no answer", "stopped; notices to post that were lost: 3");
    }

    @Test
    void closing_leaves_a_receiver_that_hangs() throws Exception {
        post.open.drainPermits();
        Notices hanging = Notices.builder(post)
                .time(time)
                .startGrace(Duration.ZERO)
                .patience(Duration.ofMillis(20))
                .build();
        for (String id : List.of("a", "b")) {
            hanging.statusChanged(slave(id, SlaveStatus.ALIVE, ""), slave(id, SlaveStatus.DEAD, ""));
            time.advance(WINDOW);
        }
        tried();
        hanging.close();
        assertThat(log()).containsExactly("stopped; notices to post that were lost: 2");
    }

    @Test
    void what_is_found_at_the_start_is_one_notice_and_a_slave_that_was_late_is_not_dead_in_it() throws Exception {
        try (Notices fresh = Notices.builder(post)
                .time(time)
                .startGrace(Duration.ofSeconds(30))
                .build()) {
            fresh.statusChanged(slave("a", SlaveStatus.UNKNOWN, ""), slave("a", SlaveStatus.DEAD, "no answer"));
            fresh.statusChanged(slave("b", SlaveStatus.UNKNOWN, ""), slave("b", SlaveStatus.DEAD, "no answer"));
            time.advance(Duration.ofSeconds(20));
            fresh.statusChanged(slave("a", SlaveStatus.DEAD, "no answer"), slave("a", SlaveStatus.ALIVE, "it answers"));
            time.advance(Duration.ofSeconds(11));
            assertThat(tried().changes())
                    .extracting(change -> change.slave() + " " + change.to())
                    .containsExactly("a ALIVE", "b DEAD");
            fresh.statusChanged(slave("b", SlaveStatus.DEAD, ""), slave("b", SlaveStatus.ALIVE, "it answers"));
            time.advance(WINDOW);
            assertThat(tried().changes()).hasSize(1);
        }
    }

    @Test
    void that_the_master_is_cut_off_is_told_at_once_and_by_itself() throws Exception {
        notices.masterCutOff(true, "7 of 10 slaves stopped answering\nat once");
        Notice alarm = tried();
        assertThat(alarm.changes()).isEmpty();
        assertThat(alarm.text(4096))
                .isEqualTo("D8: this master seems to be cut off: 7 of 10 slaves stopped answering at once");
    }

    @Test
    void a_manager_tells_of_its_slaves() throws Exception {
        String commit = "0123456789abcdef0123456789abcdef01234567";
        InMemoryTransport transport = new InMemoryTransport();
        Token token = Token.of("the-token");
        transport.serve(
                new RecordingSlaveService().healthy(RecordingSlaveService.health(commit)),
                URI.create("memory://a:1"),
                new ServerSecurity(token));
        List<String> heard = new CopyOnWriteArrayList<>();
        try (SlaveManager manager = SlaveManager.builder()
                .transport(transport)
                .token(token)
                .version(VersionProvider.of(new VersionInfo(commit, "1.0.0", "main", false)))
                .time(time)
                .callbackExecutor(Runnable::run)
                .listener(notices)
                .listener((before, after) -> heard.add(after.id()))
                .build()) {
            manager.register("a", URI.create("memory://a:1"));
            manager.register("gone", URI.create("memory://gone:1"));
            time.advance(Duration.ofSeconds(20));
        }
        assertThat(heard).containsExactly("a", "gone");
        assertThat(List.of(tried(), tried()))
                .extracting(notice -> notice.text(4096).lines().toList().get(1))
                .satisfiesExactly(
                        alive -> assertThat(alive).isEqualTo("a: unknown → alive: it answers"),
                        dead -> assertThat(dead).startsWith("gone: unknown → dead: "));
    }

    @Test
    void what_is_out_of_range_is_refused() {
        assertThatThrownBy(() -> Notices.builder(post).window(Duration.ofSeconds(-1)))
                .isInstanceOf(ConfigurationException.class)
                .hasMessage("window: PT-1S (expected: >= 0)");
        assertThatThrownBy(() -> Notices.builder(post).patience(Duration.ZERO))
                .isInstanceOf(ConfigurationException.class)
                .hasMessage("patience: PT0S (expected: > 0)");
    }
}
