package dev.d8.transport.netty;

import dev.d8.spi.WireFormat;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.ByteBufUtil;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.util.AsciiString;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * A server's answer, before it is known how the connection goes on: the head up to the body's length, and the body or where
 * its pieces come from. Immutable.
 */
final class Answer implements Decision {

    private static final AsciiString KEPT = AsciiString.cached("\r\n\r\n");
    private static final AsciiString KEPT_ALIVE = AsciiString.cached("\r\nConnection: keep-alive\r\n\r\n");
    private static final AsciiString CLOSED = AsciiString.cached("\r\nConnection: close\r\n\r\n");
    private static final AsciiString CHUNKED =
            AsciiString.cached("\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    private static final byte[] NONE = {};
    private static final String JSON = "application/json";

    /** What nearly every answer begins with. */
    private static final AsciiString OK_JSON = head(HttpResponseStatus.OK, JSON, "Content-Length: ");

    /** How the connection goes on, as the answer's head tells it. */
    enum Connection {
        /** It goes on, which HTTP/1.1 takes for granted. */
        KEPT,
        /** It goes on, which HTTP/1.0 has to be told. */
        KEPT_ALIVE,
        /** It ends. */
        CLOSED
    }

    private final int status;
    private final AsciiString head;
    private final byte[] body;
    private final Source.@Nullable Opening pieces;
    private final boolean messages;

    private Answer(int status, AsciiString head, byte[] body, Source.@Nullable Opening pieces, boolean messages) {
        this.status = status;
        this.head = head;
        this.body = body;
        this.pieces = pieces;
        this.messages = messages;
    }

    /** Makes an answer whose body comes in pieces, with more header lines, each with its line end. */
    static Answer inPieces(String type, String headers, Source.Opening pieces) {
        return new Answer(
                HttpResponseStatus.OK.code(),
                head(HttpResponseStatus.OK, type, headers + "Cache-Control: no-store"),
                NONE,
                pieces,
                false);
    }

    /** Makes an answer that turns the connection into a WebSocket. */
    static Answer webSocket(String accept, Source.Opening messages) {
        return new Answer(
                HttpResponseStatus.SWITCHING_PROTOCOLS.code(),
                new AsciiString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade"
                        + "\r\nSec-WebSocket-Accept: " + accept),
                NONE,
                messages,
                true);
    }

    /** Returns where the body's pieces come from; nothing if it is here. */
    Source.@Nullable Opening pieces() {
        return pieces;
    }

    /** Returns whether the pieces are a WebSocket's messages. */
    boolean messages() {
        return messages;
    }

    /** Writes the head of an answer whose body comes in pieces. */
    ByteBuf encodeHead(ByteBufAllocator allocator, Outflow.Framing framing) {
        AsciiString end = switch (framing) {
            case PLAIN -> CLOSED;
            case CHUNKED -> CHUNKED;
            case MESSAGES -> KEPT;
        };
        ByteBuf out = allocator.buffer(head.length() + end.length());
        ByteBufUtil.copy(head, out);
        ByteBufUtil.copy(end, out);
        return out;
    }

    static Answer ok(byte[] json) {
        return of(HttpResponseStatus.OK, "", json);
    }

    static Answer error(HttpResponseStatus status, String message) {
        return error(status, "", message);
    }

    /** Makes an error answer with more header lines, each with its line end. */
    static Answer error(HttpResponseStatus status, String headers, String message) {
        return of(status, headers, WireFormat.json().encodeError(message));
    }

    /** Makes an answer of Prometheus's text format, version 0.0.4. */
    static Answer metrics(String text) {
        return of(
                HttpResponseStatus.OK,
                "text/plain; version=0.0.4; charset=utf-8",
                "",
                text.getBytes(StandardCharsets.UTF_8));
    }

    /** Makes an answer with more header lines, each with its line end. */
    static Answer of(HttpResponseStatus status, String headers, byte[] json) {
        return of(status, JSON, headers, json);
    }

    private static Answer of(HttpResponseStatus status, String type, String headers, byte[] body) {
        AsciiString head = headers.isEmpty() && type.equals(JSON) && status.equals(HttpResponseStatus.OK)
                ? OK_JSON
                : head(status, type, headers + "Content-Length: ");
        return new Answer(status.code(), head, body, null, false);
    }

    private static AsciiString head(HttpResponseStatus status, String type, String rest) {
        return new AsciiString("HTTP/1.1 " + status.code() + " " + status.reasonPhrase() + "\r\nContent-Type: " + type
                + "\r\nX-Content-Type-Options: nosniff\r\n" + rest);
    }

    int status() {
        return status;
    }

    /** Writes the answer into one buffer; of one that comes in pieces only the head, which then tells no length. */
    ByteBuf encode(ByteBufAllocator allocator, Connection connection, boolean headOnly) {
        AsciiString end = switch (connection) {
            case KEPT -> KEPT;
            case KEPT_ALIVE -> KEPT_ALIVE;
            case CLOSED -> CLOSED;
        };
        int bodyLength = headOnly ? 0 : body.length;
        String length = pieces == null ? Integer.toString(body.length) : "";
        ByteBuf out = allocator.buffer(head.length() + length.length() + end.length() + bodyLength);
        ByteBufUtil.copy(head, out);
        ByteBufUtil.writeAscii(out, length);
        ByteBufUtil.copy(end, out);
        return out.writeBytes(body, 0, bodyLength);
    }
}
