package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import io.netty.util.concurrent.MockTicker;
import io.netty.util.concurrent.Ticker;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;

class GuessesTest {

    private static final String PEER = "192.0.2.1";

    private final MockTicker time = Ticker.newMockTicker();
    private final Guesses guesses = new Guesses(time);
    private final ListAppender<ILoggingEvent> logged = new ListAppender<>();

    @BeforeEach
    void listen() {
        logged.start();
        log().addAppender(logged);
    }

    @AfterEach
    void leave() {
        log().detachAppender(logged);
    }

    private static Logger log() {
        return (Logger) LoggerFactory.getLogger(Guesses.class);
    }

    private List<Duration> waits(String address, int times) {
        List<Duration> waits = new ArrayList<>();
        for (int i = 0; i < times; i++) {
            waits.add(guesses.wrong(address));
        }
        return waits;
    }

    @Test
    void ten_are_free_and_then_each_waits_twice_as_long_up_to_five_seconds() {
        assertThat(waits(PEER, 10)).containsOnly(Duration.ZERO);
        assertThat(waits(PEER, 9))
                .extracting(Duration::toMillis)
                .containsExactly(100L, 200L, 400L, 800L, 1600L, 3200L, 5000L, 5000L, 5000L);
    }

    @Test
    void a_minute_without_one_makes_up_for_all() {
        waits(PEER, 100);
        time.advance(60, TimeUnit.SECONDS);
        assertThat(waits(PEER, 10)).containsOnly(Duration.ZERO);
    }

    @Test
    void ten_a_minute_never_wait() {
        for (int i = 0; i < 100; i++) {
            assertThat(guesses.wrong(PEER)).isZero();
            time.advance(6, TimeUnit.SECONDS);
        }
    }

    @Test
    void a_wait_becomes_shorter_as_they_become_fewer() {
        waits(PEER, 11);
        time.advance(30, TimeUnit.SECONDS);
        assertThat(waits(PEER, 3)).extracting(Duration::toMillis).containsExactly(200L, 400L, 800L);
        time.advance(30, TimeUnit.SECONDS);
        assertThat(guesses.wrong(PEER)).isZero();
    }

    @Test
    void nobody_waits_for_what_others_did() {
        waits(PEER, 100);
        assertThat(guesses.wrong("192.0.2.2")).isZero();
    }

    @Test
    void addresses_of_one_ipv6_network_count_together() {
        for (int i = 0; i < 10; i++) {
            assertThat(guesses.wrong("2001:db8:1:2:0:0:0:" + i)).isZero();
        }
        assertThat(guesses.wrong("2001:db8:1:2:ffff:ffff:ffff:ffff")).isEqualTo(Duration.ofMillis(100));
        assertThat(guesses.wrong("2001:db8:1:3:0:0:0:1")).isZero();
        assertThat(logged.list)
                .extracting(ILoggingEvent::getFormattedMessage)
                .singleElement()
                .asString()
                .startsWith("2001:db8:1:2::/64 sent more than 10 wrong tokens");
    }

    @Test
    void no_more_than_ten_thousand_addresses_are_remembered_and_the_busiest_stay() {
        waits(PEER, 10);
        for (int i = 0; i < 20_000; i++) {
            if (i % 5_000 == 0) {
                guesses.wrong(PEER);
            }
            guesses.wrong("10.1." + i / 250 + "." + i % 250);
        }
        assertThat(guesses.size()).isEqualTo(Guesses.MOST);
        assertThat(guesses.wrong(PEER)).isPositive();
    }

    @Test
    void whoever_crosses_the_line_is_told_of_once_until_it_has_calmed_down() {
        waits(PEER, 100);
        assertThat(logged.list).hasSize(1);
        time.advance(59, TimeUnit.SECONDS);
        waits(PEER, 100);
        assertThat(logged.list).hasSize(1);
        time.advance(60, TimeUnit.SECONDS);
        waits(PEER, 11);
        assertThat(logged.list).hasSize(2);
    }
}
