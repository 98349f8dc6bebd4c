package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.spi.Options;
import dev.d8.spi.ServerSecurity;
import dev.d8.testkit.RecordingSlaveService;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.util.concurrent.MockTicker;
import io.netty.util.concurrent.Ticker;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** A connection whose peer has guessed too often: its next refusal waits, and it does nothing else meanwhile. */
@Timeout(60)
@ExtendWith(NoLeaks.class)
class LateAnswerTest {

    private static final String WRONG = "GET /api/slots HTTP/1.1\r\nHost: d8\r\nAuthorization: Bearer wrong\r\n\r\n";
    private static final String RIGHT = "GET /api/slots HTTP/1.1\r\nHost: d8\r\n" + Slave.AUTHORIZATION + "\r\n";

    private final MockTicker time = Ticker.newMockTicker();
    private final Guesses guesses = new Guesses(time);
    private final HttpSettings settings = HttpSettings.read(Options.NONE);
    private final NettyIo io = NettyIo.open(HttpSettings.Io.NIO, 1);
    private final HttpBinding binding = HttpBinding.open(
            settings,
            new Routes(new RecordingSlaveService(), new ServerSecurity(Slave.TOKEN), settings, guesses),
            new HttpMeters(),
            io,
            null,
            HttpAddress.ofBinding(URI.create("http://127.0.0.1:0")));
    private final EmbeddedChannel channel = connect();

    /** A connection on time that stands still; its peer has no address. */
    private EmbeddedChannel connect() {
        for (int i = 0; i < Guesses.FREE; i++) {
            guesses.wrong("");
        }
        StrictRequestDecoder decoder = new StrictRequestDecoder(settings);
        return EmbeddedChannel.builder()
                .ticker(time)
                .handlers(decoder, new ServerConnection(binding, decoder, true))
                .build();
    }

    @AfterEach
    void close() {
        channel.finishAndReleaseAll();
        binding.closeNow();
        io.loops().shutdownGracefully(0, 5, TimeUnit.SECONDS).awaitUninterruptibly();
    }

    private void send(String text) {
        channel.writeInbound(Unpooled.copiedBuffer(text, StandardCharsets.US_ASCII));
    }

    private void pass(Duration duration) {
        time.advance(duration.toNanos(), TimeUnit.NANOSECONDS);
        channel.runPendingTasks();
    }

    /** Returns the status lines of what was answered since the last look. */
    private String answered() {
        StringBuilder all = new StringBuilder();
        for (ByteBuf next = channel.readOutbound(); next != null; next = channel.readOutbound()) {
            String text = new String(ByteBufUtil.getBytes(next), StandardCharsets.US_ASCII);
            all.append(text.isEmpty() ? "" : text.split(" ", 3)[1] + " ");
            next.release();
        }
        return all.toString().strip();
    }

    @Test
    void a_refusal_waits_for_its_time_and_what_comes_behind_it_waits_too() {
        send(WRONG + RIGHT);
        send(RIGHT);
        pass(Guesses.SHORTEST.minusMillis(1));
        assertThat(answered()).isEmpty();
        pass(Duration.ofMillis(1));
        assertThat(answered()).isEqualTo("401 200 200");
    }

    @Test
    void a_right_token_is_served_at_once_before_and_after() {
        send(RIGHT);
        assertThat(answered()).isEqualTo("200");
        send(WRONG);
        pass(Guesses.SHORTEST);
        assertThat(answered()).isEqualTo("401");
        send(RIGHT);
        assertThat(answered()).isEqualTo("200");
    }

    @Test
    void a_call_without_any_token_waits_as_well() {
        send("GET /metrics HTTP/1.1\r\nHost: d8\r\n\r\n");
        assertThat(answered()).isEmpty();
        pass(Guesses.SHORTEST);
        assertThat(answered()).isEqualTo("401");
    }

    @Test
    void nothing_is_left_of_a_refusal_whose_peer_has_gone() {
        send(WRONG + RIGHT);
        channel.close();
        pass(Guesses.LONGEST);
        assertThat(answered()).isEmpty();
        assertThat(channel.runScheduledPendingTasks()).isEqualTo(-1);
    }

    @Test
    void a_body_is_not_read_meanwhile_and_what_has_come_of_it_changes_nothing() {
        String head = WRONG.replace("GET /api/slots", "POST /api/execute").stripTrailing() + "\r\n";
        send(head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nmalformed");
        assertThat(channel.config().isAutoRead()).isFalse();
        assertThat(answered()).isEmpty();
    }

    @Test
    void a_stop_waits_for_nobody_who_guesses() {
        send(WRONG);
        channel.pipeline().get(ServerConnection.class).closeWhenAnswered();
        channel.runPendingTasks();
        assertThat(answered()).isEqualTo("401");
    }

    @Test
    void over_a_real_socket_the_eleventh_waits_and_the_owner_at_the_same_address_does_not() throws Exception {
        try (RawConnection guessing = new RawConnection(binding.uri());
                RawConnection owner = new RawConnection(binding.uri())) {
            for (int i = 0; i < Guesses.FREE; i++) {
                assertThat(guessing.send(WRONG).read().status()).isEqualTo(401);
            }
            long began = System.nanoTime();
            guessing.send("POST /api/execute HTTP/1.1\r\nHost: d8\r\nContent-Length: 1000000\r\n\r\n");
            assertThat(owner.send(RIGHT).read().status()).isEqualTo(200);
            guessing.send("x".repeat(1_000_000));
            assertThat(guessing.read().status()).isEqualTo(401);
            assertThat(System.nanoTime() - began).isGreaterThanOrEqualTo(Guesses.SHORTEST.toNanos());
            assertThat(guessing.readToEnd()).isEmpty();
        }
    }
}
