package dev.d8.master;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.ConfigurationException;
import dev.d8.spi.TimeSource;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Against a server on loopback that checks signatures as a receiver should. */
@Timeout(60)
class WebhookNotifierTest {

    private static final String SECRET = "webhook-secret-0123456789abcdef0123";
    private static final Duration PATIENCE = Duration.ofSeconds(10);
    private static final Notice NOTICE = new Notice(
            UUID.fromString("01234567-89ab-4def-8123-456789abcdef"),
            Instant.parse("2026-11-26T03:04:05Z"),
            List.of(
                    new Notice.Change(
                            "pi",
                            URI.create("http://10.0.0.7:7600"),
                            SlaveStatus.ALIVE,
                            SlaveStatus.DEAD,
                            "cannot reach \"it\": né"),
                    new Notice.Change(
                            "vps",
                            URI.create("https://vps:7600"),
                            SlaveStatus.UNKNOWN,
                            SlaveStatus.VERSION_MISMATCH,
                            "it runs another commit")));

    private final Receiver receiver = new Receiver();
    private Instant now = Instant.ofEpochSecond(1_795_662_245);

    WebhookNotifierTest() throws IOException {}

    @AfterEach
    void close() {
        receiver.close();
    }

    private WebhookNotifier notifier(Duration timeout) {
        return new WebhookNotifier(receiver.uri("/hook/pa7h?key=pa7h"), SECRET, timeout, () -> now);
    }

    private Notifier.Outcome deliver() throws InterruptedException {
        return notifier(PATIENCE).deliver(NOTICE);
    }

    /** What docs/operations.md asks of a receiver. */
    private static boolean genuine(Receiver.Posted posted, String secret, long now) throws Exception {
        Matcher signature = Pattern.compile("t=([0-9]+),v1=([0-9a-f]{64})")
                .matcher(Objects.requireNonNull(posted.headers().getFirst("D8-Signature")));
        assertThat(signature.matches()).isTrue();
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), "HmacSHA256"));
        byte[] expected = mac.doFinal((signature.group(1) + "." + posted.body()).getBytes(StandardCharsets.UTF_8));
        return MessageDigest.isEqual(expected, HexFormat.of().parseHex(signature.group(2)))
                && Math.abs(now - Long.parseLong(signature.group(1))) <= 300;
    }

    @Test
    void a_notice_is_posted_as_json_that_its_receiver_can_trust() throws Exception {
        assertThat(deliver()).isEqualTo(new Notifier.Delivered());
        Receiver.Posted posted = receiver.posted.remove();
        assertThat(posted.path()).isEqualTo("/hook/pa7h?key=pa7h");
        assertThat(posted.headers().getFirst("Content-Type")).isEqualTo("application/json");
        assertThat(posted.headers().getFirst("D8-Notice-Id")).isEqualTo("01234567-89ab-4def-8123-456789abcdef");
        assertThat(posted.body())
                .isEqualTo("{\"event\":\"slaves_changed\",\"id\":\"01234567-89ab-4def-8123-456789abcdef\","
                        + "\"at\":\"2026-11-26T03:04:05Z\",\"changes\":["
                        + "{\"slave\":\"pi\",\"address\":\"http://10.0.0.7:7600\",\"from\":\"alive\",\"to\":\"dead\","
                        + "\"reason\":\"cannot reach \\\"it\\\": n\\u00E9\"},"
                        + "{\"slave\":\"vps\",\"address\":\"https://vps:7600\",\"from\":\"unknown\","
                        + "\"to\":\"version_mismatch\",\"reason\":\"it runs another commit\"}]}");
        assertThat(genuine(posted, SECRET, now.getEpochSecond())).isTrue();
        assertThat(genuine(posted, SECRET + "x", now.getEpochSecond())).isFalse();
        assertThat(genuine(posted, SECRET, now.getEpochSecond() + 301)).isFalse();
    }

    @Test
    void another_try_has_the_same_id_and_body_and_a_signature_of_its_own_time() throws Exception {
        receiver.answer(500, Map.of(), "oh");
        deliver();
        now = now.plusSeconds(3600);
        assertThat(deliver()).isEqualTo(new Notifier.Delivered());
        Receiver.Posted first = receiver.posted.remove();
        Receiver.Posted second = receiver.posted.remove();
        assertThat(second.headers().get("D8-Notice-Id"))
                .isEqualTo(first.headers().get("D8-Notice-Id"));
        assertThat(second.body()).isEqualTo(first.body());
        assertThat(genuine(second, SECRET, now.getEpochSecond())).isTrue();
    }

    @Test
    void notices_arrive_in_order_and_each_try_of_one_has_its_id() throws Exception {
        receiver.answer(500, Map.of(), "");
        receiver.hangUp();
        try (Notices notices =
                Notices.builder(notifier(PATIENCE)).time(new Hasty()).build()) {
            notices.statusChanged(slave("a", SlaveStatus.ALIVE), slave("a", SlaveStatus.DEAD));
            List<Receiver.Posted> posted = new ArrayList<>(List.of(receiver.posted.take()));
            notices.statusChanged(slave("b", SlaveStatus.ALIVE), slave("b", SlaveStatus.DEAD));
            for (int i = 0; i < 3; i++) {
                posted.add(receiver.posted.take());
            }
            assertThat(posted)
                    .extracting(one -> one.body().contains("\"slave\":\"a\""))
                    .containsExactly(true, true, true, false);
            List<String> ids = posted.stream()
                    .map(one -> String.valueOf(one.headers().getFirst("D8-Notice-Id")))
                    .toList();
            assertThat(Set.copyOf(ids.subList(0, 3))).hasSize(1).doesNotContain(ids.get(3));
        }
    }

    private static Slave slave(String id, SlaveStatus status) {
        return new Slave(
                id,
                URI.create("http://pi:7600"),
                Set.of(),
                status,
                "",
                Optional.empty(),
                CircuitState.CLOSED,
                false,
                0,
                1,
                Optional.empty());
    }

    /** Time in which everything is due at once. */
    private static final class Hasty implements TimeSource {
        @Override
        public long nanoTime() {
            return 0;
        }

        @Override
        public Scheduled schedule(Duration delay, Runnable action) {
            new Thread(action).start();
            return () -> {};
        }
    }

    @ParameterizedTest
    @CsvSource({
        "429, 7, 7",
        "503, 7, 7",
        "500, , 0",
        "429, 'Thu, 26 Nov 2026 03:05:05 GMT', 60",
        "429, 'Thu, 26 Nov 2020 03:05:05 GMT', 0",
        "429, soon, 0",
        "429, -1, 0"
    })
    void what_may_be_well_later_is_tried_again_when_the_receiver_likes(int status, String after, int seconds)
            throws Exception {
        now = NOTICE.at();
        receiver.answer(status, after == null ? Map.of() : Map.of("Retry-After", after), "no");
        assertThat(deliver()).isEqualTo(new Notifier.Failed("it answers " + status, Duration.ofSeconds(seconds)));
    }

    @ParameterizedTest
    @ValueSource(ints = {302, 400, 401, 404, 410, 413})
    void what_will_not_be_well_later_is_refused(int status) throws Exception {
        receiver.answer(status, Map.of("Location", receiver.uri("/other").toString()), "no");
        assertThat(deliver()).isEqualTo(new Notifier.Refused("it answers " + status));
        assertThat(receiver.posted).hasSize(1);
    }

    @Test
    void a_connection_that_is_closed_is_tried_again() throws Exception {
        receiver.hangUp();
        assertThat(deliver()).isEqualTo(new Notifier.Failed("the connection broke", Duration.ZERO));
        receiver.close();
        assertThat(deliver())
                .isEqualTo(new Notifier.Failed(
                        "cannot connect; is its name right, and does something listen there?", Duration.ZERO));
    }

    @Test
    void an_answer_that_does_not_end_in_time_is_none() throws Exception {
        receiver.stall();
        assertThat(notifier(Duration.ofMillis(300)).deliver(NOTICE))
                .isEqualTo(new Notifier.Failed("no answer within 300 ms", Duration.ZERO));
    }

    @Test
    void of_a_long_answer_the_rest_is_passed_over() throws Exception {
        receiver.answer(200, Map.of(), "x".repeat(1 << 20));
        assertThat(deliver()).isEqualTo(new Notifier.Delivered());
    }

    @ParameterizedTest
    @CsvSource({
        "ftp://example.org/pa7h, it does not start with https:// or http://",
        "example.org/pa7h, it does not start with https:// or http://",
        "https:///pa7h, it names no host",
        "https://a_b/pa7h, it names no host",
        "https://example.org:70000/pa7h, there is no port 70000",
        "https://pa7h@example.org/, it has an @ or a #",
        "https://example.org/#pa7h, it has an @ or a #"
    })
    void an_address_that_cannot_be_used_is_told_without_it(String url, String why) {
        assertThatThrownBy(() -> new WebhookNotifier(URI.create(url), SECRET))
                .isInstanceOf(ConfigurationException.class)
                .hasMessage("webhook: " + why + " (expected: such as https://example.org/hook)");
    }

    @Test
    void a_secret_that_could_be_guessed_is_refused_and_none_is_ever_shown() {
        assertThatThrownBy(() -> new WebhookNotifier(receiver.uri("/"), "s3cret"))
                .isInstanceOf(ConfigurationException.class)
                .hasMessage("webhook secret: it has 6 characters (expected: at least 32, such as openssl rand -hex 32"
                        + " makes)");
        assertThat(notifier(PATIENCE).name()).isEqualTo(receiver.uri("").toString());
    }
}
