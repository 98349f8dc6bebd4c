package dev.d8.master;

import dev.d8.ConfigurationException;
import dev.d8.internal.Json;
import java.net.URI;
import java.net.http.HttpRequest;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.time.InstantSource;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Posts notices as JSON to an address, signed, so that the receiver knows whom they are from. Thread-safe.
 *
 * <p>The header {@code D8-Signature} is {@code t=SECONDS,v1=HEX}: the Unix time of this try, and the HMAC-SHA256, by the
 * secret, of that number, a dot and the body. {@code D8-Notice-Id} is the notice's id, which is in the body, too. Any 2xx
 * within 10 s is well. 429 and 5xx are tried again, and so is what got no answer. Redirects are not followed.
 */
public final class WebhookNotifier implements Notifier {

    /** The fewest characters of a secret: 32. */
    public static final int MIN_SECRET_LENGTH = 32;

    private final URI url;
    private final SecretKeySpec key;
    private final InstantSource clock;
    private final NoticeHttp http;

    /**
     * Creates one.
     *
     * @param url where to post, {@code https} or {@code http}
     * @param secret what the receiver checks signatures with, at least 32 characters
     * @throws ConfigurationException if one of them cannot be used; the message holds neither
     */
    public WebhookNotifier(URI url, String secret) {
        this(url, secret, NoticeHttp.TIMEOUT, InstantSource.system());
    }

    WebhookNotifier(URI url, String secret, Duration timeout, InstantSource clock) {
        if (secret.length() < MIN_SECRET_LENGTH) {
            throw new ConfigurationException("webhook secret: it has " + secret.length()
                    + " characters (expected: at least " + MIN_SECRET_LENGTH + ", such as openssl rand -hex 32 makes)");
        }
        this.url = NoticeHttp.checked("webhook", url);
        this.key = new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), "HmacSHA256");
        this.clock = clock;
        this.http = new NoticeHttp(timeout, clock);
    }

    @Override
    public String name() {
        return NoticeHttp.origin(url);
    }

    @Override
    public Outcome deliver(Notice notice) throws InterruptedException {
        String body = json(notice);
        long now = clock.instant().getEpochSecond();
        HttpRequest.Builder request = HttpRequest.newBuilder(url)
                .header("D8-Notice-Id", notice.id().toString())
                .header("D8-Signature", "t=" + now + ",v1=" + hmac(now + "." + body));
        return http.post(
                request, body, answer -> http.outcome(answer, "it answers " + answer.statusCode(), Duration.ZERO));
    }

    private static String json(Notice notice) {
        List<Map<String, String>> changes =
                notice.changes().stream().map(WebhookNotifier::fields).toList();
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("event", notice.alarm().isPresent() ? "master_alarm" : "slaves_changed");
        fields.put("id", notice.id().toString());
        fields.put("at", notice.at().toString());
        notice.alarm().ifPresent(alarm -> fields.put("alarm", alarm));
        fields.put("changes", changes);
        return Json.line(fields);
    }

    private static Map<String, String> fields(Notice.Change change) {
        Map<String, String> fields = new LinkedHashMap<>();
        fields.put("slave", change.slave());
        fields.put("address", change.address().toString());
        fields.put("from", change.from().wireName());
        fields.put("to", change.to().wireName());
        fields.put("reason", change.reason());
        return fields;
    }

    private String hmac(String text) {
        try {
            Mac mac = Mac.getInstance(key.getAlgorithm());
            mac.init(key);
            return HexFormat.of().formatHex(mac.doFinal(text.getBytes(StandardCharsets.UTF_8)));
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException("every Java platform has HMAC-SHA256", e);
        }
    }
}
