package dev.d8.master;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.ConfigurationException;
import dev.d8.internal.Json;
import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Against a server on loopback that answers as Telegram does. */
@Timeout(60)
class TelegramNotifierTest {

    private static final String TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw-_";
    private static final Duration PATIENCE = Duration.ofSeconds(10);
    private static final String SENT = "{\"ok\":true,\"result\":{\"message_id\":7,\"date\":1795662245,"
            + "\"chat\":{\"id\":-1001234567890,\"title\":\"D8\",\"type\":\"supergroup\"},\"text\":\"…\"}}";

    private final Receiver receiver = new Receiver();

    TelegramNotifierTest() throws IOException {}

    @AfterEach
    void close() {
        receiver.close();
    }

    private Notifier.Outcome deliver(Notice notice, Duration timeout) throws InterruptedException {
        return new TelegramNotifier(receiver.uri(""), TOKEN, "-1001234567890", timeout).deliver(notice);
    }

    private Notifier.Outcome deliver() throws InterruptedException {
        return deliver(notice(1, "it answers"), PATIENCE);
    }

    private static Notice notice(int count, String reason) {
        return new Notice(
                UUID.randomUUID(),
                Instant.EPOCH,
                IntStream.range(0, count)
                        .mapToObj(i -> new Notice.Change(
                                "pi" + i, URI.create("http://pi:7600"), SlaveStatus.DEAD, SlaveStatus.ALIVE, reason))
                        .toList());
    }

    private static String error(int code, String description, String more) {
        return "{\"ok\":false,\"error_code\":" + code + ",\"description\":\"" + description + "\"" + more + "}";
    }

    @Test
    void a_notice_is_sent_as_plain_text_without_previews() throws Exception {
        receiver.answer(200, Map.of("Content-Type", "application/json"), SENT);
        assertThat(deliver()).isEqualTo(new Notifier.Delivered());
        Receiver.Posted posted = receiver.posted.remove();
        assertThat(posted.path()).isEqualTo("/bot" + TOKEN + "/sendMessage");
        assertThat(Json.parseMap("message", posted.body()))
                .isEqualTo(Map.of(
                        "chat_id",
                        "-1001234567890",
                        "text",
                        "D8: 1 slave changed\npi0: dead → alive: it answers",
                        "link_preview_options",
                        Map.of("is_disabled", true)));
    }

    @Test
    void a_message_is_never_longer_than_telegram_takes() throws Exception {
        receiver.answer(200, Map.of(), SENT);
        assertThat(deliver(notice(500, "x".repeat(300)), PATIENCE)).isEqualTo(new Notifier.Delivered());
        String text = (String)
                Json.parseMap("message", receiver.posted.remove().body()).get("text");
        assertThat(text)
                .hasSizeBetween(3700, 4096)
                .startsWith("D8: 500 slaves changed\n")
                .endsWith("\nand 488 more");
    }

    @ParameterizedTest
    @CsvSource({
        "400, Bad Request: chat not found",
        "401, Unauthorized",
        "403, Forbidden: bot was blocked by the user",
        "404, Not Found"
    })
    void what_telegram_refuses_is_told_with_its_words(int status, String description) throws Exception {
        receiver.answer(status, Map.of(), error(status, description, ""));
        assertThat(deliver()).isEqualTo(new Notifier.Refused("it answers " + status + ": " + description));
    }

    @Test
    void a_bot_that_sends_too_much_waits_as_long_as_telegram_says() throws Exception {
        receiver.answer(
                429, Map.of(), error(429, "Too Many Requests: retry after 35", ",\"parameters\":{\"retry_after\":35}"));
        assertThat(deliver()).isEqualTo(new Notifier.Failed("it answers 429", Duration.ofSeconds(35)));
    }

    @Test
    void what_may_be_well_later_is_tried_again() throws Exception {
        receiver.answer(500, Map.of(), error(500, "Internal Server Error", ""));
        receiver.answer(502, Map.of("Retry-After", "3"), "<html>502 Bad Gateway</html>");
        receiver.hangUp();
        assertThat(deliver()).isEqualTo(new Notifier.Failed("it answers 500: Internal Server Error", Duration.ZERO));
        assertThat(deliver()).isEqualTo(new Notifier.Failed("it answers 502", Duration.ofSeconds(3)));
        assertThat(deliver()).isEqualTo(new Notifier.Failed("the connection broke", Duration.ZERO));
        receiver.stall();
        assertThat(deliver(notice(1, "it answers"), Duration.ofMillis(300)))
                .isEqualTo(new Notifier.Failed("no answer within 300 ms", Duration.ZERO));
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "<html>Log in to this network</html>", "[]", "{\"ok\":\"true\"}"})
    void what_is_not_telegram_has_not_delivered_it(String body) throws Exception {
        receiver.answer(200, Map.of(), body);
        assertThat(deliver()).isEqualTo(new Notifier.Failed("what answers is not Telegram", Duration.ZERO));
    }

    @Test
    void the_token_is_not_even_told_where_an_answer_repeats_it() throws Exception {
        receiver.answer(404, Map.of(), error(404, "no /bot" + TOKEN + "/sendMessage here", ""));
        assertThat(deliver()).isEqualTo(new Notifier.Refused("it answers 404: no /bot…/sendMessage here"));
    }

    @Test
    void what_cannot_be_used_is_told_without_the_token() {
        for (String token : List.of("", "AAHdqTcv", TOKEN + " ", TOKEN + "/../x")) {
            assertThatThrownBy(() -> new TelegramNotifier(TelegramNotifier.API, token, "1"))
                    .isInstanceOf(ConfigurationException.class)
                    .hasMessage("Telegram token: malformed (expected: NUMBER:LETTERS, as BotFather gives it)");
        }
        assertThatThrownBy(() -> new TelegramNotifier(TelegramNotifier.API, TOKEN, "our chat"))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageStartingWith("Telegram chat: \"our chat\" (expected: ");
        assertThatThrownBy(() -> new TelegramNotifier(URI.create("api.telegram.org"), TOKEN, "1"))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageStartingWith("Telegram API: it does not start with");
        assertThat(new TelegramNotifier(TelegramNotifier.API, TOKEN, "@ours").name())
                .isEqualTo("Telegram chat @ours");
    }
}
