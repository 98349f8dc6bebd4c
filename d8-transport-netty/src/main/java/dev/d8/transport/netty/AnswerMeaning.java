package dev.d8.transport.netty;

import dev.d8.D8Exception;
import dev.d8.InvalidTaskException;
import dev.d8.NoExecutorException;
import dev.d8.ProtocolException;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveUnreachableException;
import dev.d8.UnauthorizedException;
import dev.d8.UnknownOutcomeException;
import dev.d8.UpdateRefusedException;
import dev.d8.spi.WireFormat;
import io.netty.handler.codec.http.HttpHeaders;
import java.time.Duration;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** What an answer means for the caller: a value, or which {@link D8Exception}. */
final class AnswerMeaning {

    private static final long MAX_RETRY_AFTER_SECONDS = 24 * 3600;

    private AnswerMeaning() {}

    static <T> T of(
            HttpAddress slave,
            Exchange.Kind kind,
            int status,
            HttpHeaders headers,
            byte[] body,
            Function<byte[], T> decode) {
        if (status != 200 && status != 202) {
            throw failure(slave, kind, status, headers, body);
        }
        try {
            return decode.apply(body);
        } catch (RuntimeException e) {
            throw unreadable(slave, kind, String.valueOf(e.getMessage()), e);
        }
    }

    /** Returns the failure of an answer that is there but makes no sense. */
    static D8Exception unreadable(HttpAddress slave, Exchange.Kind kind, String why, @Nullable Throwable cause) {
        return kind == Exchange.Kind.TASK
                ? new UnknownOutcomeException(
                        UnknownOutcomeException.Reason.INVALID_ANSWER,
                        "slave " + slave + ": an answer that cannot be read: " + why,
                        cause)
                : new ProtocolException(slave + " does not answer like a D8 slave: " + why);
    }

    private static D8Exception failure(
            HttpAddress slave, Exchange.Kind kind, int status, HttpHeaders headers, byte[] body) {
        String said = WireFormat.json().decodeError(body);
        String message = said.isEmpty() ? "status " + status + " from " + slave + ", without a message" : said;
        if ((status == 429 || status == 503) && "true".equalsIgnoreCase(headers.get("D8-Not-Started"))) {
            return new SlaveRefusedException(
                    status == 429 ? SlaveRefusedException.Reason.QUEUE_FULL : SlaveRefusedException.Reason.DRAINING,
                    retryAfter(headers.get("Retry-After")),
                    message);
        }
        if (status == 408) { // The request did not arrive whole, so nothing was started.
            return new SlaveUnreachableException("slave " + slave + " gave up waiting, status 408: " + message, null);
        }
        if (status == 401) {
            return new UnauthorizedException(
                    "the slave at " + slave + " does not accept this token; check SLAVE_TOKEN on both sides");
        }
        if (status == 403) {
            return new UnauthorizedException("the slave at " + slave + " does not allow this: " + message);
        }
        if (kind == Exchange.Kind.TASK && (status == 400 || status == 413 || status == 414 || status == 431)) {
            return new InvalidTaskException(message);
        }
        if (kind == Exchange.Kind.UPDATE && status == 409) {
            return new UpdateRefusedException(UpdateRefusedException.Reason.IMPOSSIBLE, message);
        }
        if (kind == Exchange.Kind.TASK && status == 422) {
            return new NoExecutorException(message);
        }
        if (status >= 500) {
            return new UnknownOutcomeException(
                    UnknownOutcomeException.Reason.SLAVE_ERROR,
                    "slave " + slave + " failed with status " + status + ": " + message,
                    null);
        }
        if (status < 300) {
            return unreadable(slave, kind, "status " + status + " (expected: 200)", null);
        }
        return new ProtocolException(slave + " does not answer like a D8 slave: status " + status
                + (status < 400 ? " (redirects are not followed)" : "") + ": " + message);
    }

    private static Duration retryAfter(@Nullable String seconds) {
        try {
            if (seconds != null) {
                return Duration.ofSeconds(
                        Math.min(MAX_RETRY_AFTER_SECONDS, Math.max(0, Long.parseLong(seconds.strip()))));
            }
        } catch (NumberFormatException e) {
            // A date, which D8's slaves do not send.
        }
        return Duration.ofSeconds(1);
    }
}
