package dev.d8.transport.netty;

import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpVersion;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Base64;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A request to go on as a WebSocket, RFC 6455, 4.2. */
final class Upgrade {

    /** What the server adds to the key, so that nobody takes an ordinary answer for one of these. */
    private static final String MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

    private static final int KEY_BYTES = 16;
    private static final Answer MALFORMED = Answer.error(
            HttpResponseStatus.BAD_REQUEST,
            "Upgrade: not the opening of a WebSocket (expected: GET, HTTP/1.1, Connection: Upgrade, one Sec-WebSocket-Key)");
    private static final Answer OTHER_VERSION = Answer.error(
            HttpResponseStatus.UPGRADE_REQUIRED,
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
            "Sec-WebSocket-Version: not 13");

    private Upgrade() {}

    /** Returns whether a request wants that. */
    static boolean isWanted(HttpHeaders headers) {
        return headers.containsValue(HttpHeaderNames.UPGRADE, HttpHeaderValues.WEBSOCKET, true);
    }

    /** Returns what is wrong with such a request, if anything is. */
    static @Nullable Answer objection(HttpRequest request) {
        HttpHeaders headers = request.headers();
        boolean opens = request.method().equals(HttpMethod.GET)
                && request.protocolVersion().equals(HttpVersion.HTTP_1_1)
                && headers.containsValue(HttpHeaderNames.CONNECTION, HttpHeaderValues.UPGRADE, true)
                && isKey(headers.getAll(HttpHeaderNames.SEC_WEBSOCKET_KEY));
        if (!opens) {
            return MALFORMED;
        }
        return headers.getAll(HttpHeaderNames.SEC_WEBSOCKET_VERSION).equals(List.of("13")) ? null : OTHER_VERSION;
    }

    private static boolean isKey(List<String> keys) {
        try {
            return keys.size() == 1 && Base64.getDecoder().decode(keys.get(0).strip()).length == KEY_BYTES;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    /** Returns what the answer has to say to the request's key. */
    static String accept(HttpHeaders headers) {
        String key = headers.get(HttpHeaderNames.SEC_WEBSOCKET_KEY, "").strip();
        try {
            return Base64.getEncoder()
                    .encodeToString(MessageDigest.getInstance("SHA-1")
                            .digest((key + MAGIC).getBytes(StandardCharsets.US_ASCII)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // Every JDK has it.
        }
    }
}
