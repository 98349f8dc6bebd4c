package dev.d8.master;

import dev.d8.ConfigurationException;
import java.io.ByteArrayOutputStream;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandler;
import java.net.http.HttpResponse.BodySubscribers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.InstantSource;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.format.DateTimeParseException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;

/**
 * Posts notices. Of what goes wrong nothing is told that may have the address in it, since addresses hold secrets: a bot's
 * token, or a path that nobody else knows. Thread-safe.
 */
final class NoticeHttp {

    static final Duration TIMEOUT = Duration.ofSeconds(10);

    /** How much of an answer is kept, in bytes. */
    private static final int LONGEST_ANSWER = 16 << 10;

    private final HttpClient client;
    private final Duration timeout;
    private final InstantSource clock;

    NoticeHttp(Duration timeout, InstantSource clock) {
        this.timeout = timeout;
        this.clock = clock;
        // HTTP/2 would ask a plain server for an upgrade, which some dislike.
        this.client = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .followRedirects(HttpClient.Redirect.NEVER)
                .connectTimeout(timeout)
                .build();
    }

    /** Returns an address that can be posted to; what is wrong is told without it. */
    static URI checked(String what, URI url) {
        String scheme = url.getScheme();
        if (!"http".equalsIgnoreCase(scheme) && !"https".equalsIgnoreCase(scheme)) {
            throw malformed(what, "it does not start with https:// or http://");
        }
        if (url.getHost() == null) {
            throw malformed(what, "it names no host");
        }
        if (url.getPort() == 0 || url.getPort() > 65535) {
            throw malformed(what, "there is no port " + url.getPort());
        }
        if (url.getRawUserInfo() != null || url.getRawFragment() != null) {
            throw malformed(what, "it has an @ or a #");
        }
        return url;
    }

    private static ConfigurationException malformed(String what, String why) {
        return new ConfigurationException(what + ": " + why + " (expected: such as https://example.org/hook)");
    }

    /** Returns the part of an address that is not secret. */
    static String origin(URI url) {
        return url.getScheme() + "://" + url.getRawAuthority();
    }

    /** Posts JSON and has its answer read, all within the time-out. */
    Notifier.Outcome post(
            HttpRequest.Builder request, String json, Function<HttpResponse<String>, Notifier.Outcome> reader)
            throws InterruptedException {
        // The client's own time-out ends with the head of an answer, whose body may come for ever.
        CompletableFuture<HttpResponse<String>> call = client.sendAsync(
                request.header("Content-Type", "application/json")
                        .POST(HttpRequest.BodyPublishers.ofString(json))
                        .build(),
                kept());
        try {
            return reader.apply(call.get(timeout.toMillis(), TimeUnit.MILLISECONDS));
        } catch (TimeoutException e) {
            return new Notifier.Failed(noAnswer(), Duration.ZERO);
        } catch (ExecutionException e) {
            return new Notifier.Failed(describe(e.getCause()), Duration.ZERO);
        } finally {
            call.cancel(true);
        }
    }

    private static BodyHandler<String> kept() {
        return head -> {
            ByteArrayOutputStream start = new ByteArrayOutputStream();
            return BodySubscribers.mapping(
                    BodySubscribers.ofByteArrayConsumer(chunk -> chunk.ifPresent(
                            bytes -> start.write(bytes, 0, Math.min(bytes.length, LONGEST_ANSWER - start.size())))),
                    nothing -> start.toString(StandardCharsets.UTF_8));
        };
    }

    /** Returns what an answer means: 2xx is well, 429 and 5xx may be well later, nothing else will. */
    Notifier.Outcome outcome(HttpResponse<?> answer, String reason, Duration pause) {
        int status = answer.statusCode();
        if (status / 100 == 2) {
            return new Notifier.Delivered();
        }
        if (status == 429 || status >= 500) {
            Duration asked = retryAfter(answer);
            return new Notifier.Failed(reason, asked.compareTo(pause) > 0 ? asked : pause);
        }
        return new Notifier.Refused(reason);
    }

    /** Seconds, or a date. */
    private Duration retryAfter(HttpResponse<?> answer) {
        String value = answer.headers().firstValue("Retry-After").orElse("").strip();
        if (value.matches("[0-9]{1,9}")) {
            return Duration.ofSeconds(Long.parseLong(value));
        }
        try {
            Duration until = Duration.between(
                    clock.instant(),
                    ZonedDateTime.parse(value, DateTimeFormatter.RFC_1123_DATE_TIME)
                            .toInstant());
            return until.isNegative() ? Duration.ZERO : until;
        } catch (DateTimeParseException e) {
            return Duration.ZERO;
        }
    }

    private String noAnswer() {
        return "no answer within " + timeout.toMillis() + " ms";
    }

    private String describe(@Nullable Throwable error) {
        if (error instanceof HttpConnectTimeoutException) {
            return noAnswer();
        }
        if (error instanceof ConnectException) {
            return "cannot connect; is its name right, and does something listen there?";
        }
        if (error instanceof SSLException) {
            return "TLS: " + error.getMessage(); // TLS knows the host and not the path.
        }
        return "the connection broke";
    }
}
