package dev.d8.transport.netty;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.TooLongFrameException;
import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpMessage;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpRequestDecoder;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;
import java.util.Iterator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads requests exactly as RFC 9112 writes them and passes on one at a time; whatever else comes becomes one {@link
 * Refusal}, and nothing after it. Used by one connection, on its event loop.
 *
 * <p>After a request's last byte it rests until {@link #next}. What arrives meanwhile is kept up to {@link #MAX_PIPELINED}
 * bytes; past that it stays with the peer. Up to that point the peer's going away is noticed at once.
 */
final class StrictRequestDecoder extends HttpRequestDecoder {

    /** How many bytes may wait behind the request that is being answered before reading stops. */
    static final int MAX_PIPELINED = 64 << 10;

    private final HeadScanner scanner;
    private boolean inHead = true;
    private boolean resting;
    private boolean reading;

    StrictRequestDecoder(HttpSettings settings) {
        // The scanner has counted already, each part with its own limit: Netty's must only not be smaller.
        super(new HttpDecoderConfig()
                .setMaxInitialLineLength(Math.max(settings.maxRequestLine(), 1 << 10))
                .setMaxHeaderSize(settings.maxHeaderBytes() * 2)
                .setMaxChunkSize(64 << 10));
        scanner = new HeadScanner(settings);
    }

    /** Returns whether part of a request's head has come. */
    boolean headStarted() {
        return inHead && scanner.started();
    }

    /** Goes on to the next request, which may have come already. */
    void next(ChannelHandlerContext own) throws Exception {
        resting = false;
        if (!reading && actualReadableBytes() > 0) {
            channelRead(own, Unpooled.EMPTY_BUFFER);
            own.fireChannelReadComplete();
        }
        if (!own.channel().config().isAutoRead() && !full()) {
            own.channel().config().setAutoRead(true);
        }
    }

    /** Returns whether it is at work, so that {@link #channelReadComplete} will follow. */
    boolean reading() {
        return reading;
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object input) throws Exception {
        reading = true;
        try {
            super.channelRead(ctx, input);
        } finally {
            reading = false;
        }
        if (full()) {
            ctx.channel().config().setAutoRead(false);
        }
    }

    private boolean full() {
        return resting && actualReadableBytes() > MAX_PIPELINED;
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext ctx) throws Exception {
        if (ctx.channel().config().isAutoRead()) {
            super.channelReadComplete(ctx);
        } else {
            // The superclass would ask for more, having passed nothing on.
            ctx.fireChannelReadComplete();
        }
    }

    @Override
    protected void decode(ChannelHandlerContext ctx, ByteBuf in, List<Object> out) throws Exception {
        if (resting) {
            return;
        }
        if (inHead && !scanner.scan(in)) {
            Refusal refusal = scanner.refusal();
            if (refusal != null) {
                refuse(in, out, refusal);
            }
            return;
        }
        super.decode(ctx, in, out);
        for (int i = 0; i < out.size(); i++) {
            Refusal refusal = check(out.get(i));
            if (refusal != null) {
                // What came before it stands: it may be refused for a reason of its own, wherever the bytes were cut.
                while (out.size() > i) {
                    ReferenceCountUtil.release(out.remove(out.size() - 1));
                }
                refuse(in, out, refusal);
                return;
            }
        }
    }

    private void refuse(ByteBuf in, List<Object> out, Refusal refusal) {
        in.skipBytes(in.readableBytes());
        resting = true;
        out.add(refusal);
    }

    private @Nullable Refusal check(Object part) {
        if (part instanceof HttpObject object && object.decoderResult().isFailure()) {
            Throwable cause = object.decoderResult().cause();
            return cause instanceof TooLongFrameException && !inHead
                    ? new Refusal(HttpResponseStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "chunk framing is too long")
                    : Refusal.malformed(inHead ? "malformed request: " + cause.getMessage() : "malformed chunk");
        }
        if (part instanceof HttpRequest request) {
            inHead = false;
            Refusal refusal = checkHead(request);
            if (refusal != null) {
                return refusal;
            }
        }
        if (part instanceof LastHttpContent) {
            inHead = true;
            scanner.reset();
            resting = true;
        }
        return null;
    }

    private static @Nullable Refusal checkHead(HttpRequest request) {
        Iterator<? extends CharSequence> hosts = request.headers().valueCharSequenceIterator(HttpHeaderNames.HOST);
        if (hosts.hasNext()) {
            hosts.next();
            if (hosts.hasNext()) {
                return Refusal.malformed("more than one Host header");
            }
        } else if (request.protocolVersion().equals(HttpVersion.HTTP_1_1)) {
            return Refusal.malformed("no Host header");
        }
        if (request.headers().contains(HttpHeaderNames.TRANSFER_ENCODING)) {
            List<String> codings = request.headers().getAll(HttpHeaderNames.TRANSFER_ENCODING);
            if (codings.size() != 1 || !HttpHeaderValues.CHUNKED.contentEqualsIgnoreCase(codings.get(0))) {
                return Refusal.malformed("Transfer-Encoding is not \"chunked\"");
            }
            if (request.headers().contains(HttpHeaderNames.CONTENT_LENGTH)) {
                return Refusal.malformed("Content-Length together with Transfer-Encoding");
            }
        }
        return null;
    }

    /** Checks what only the raw request line shows: Netty accepts {@code http/1.1} and passes on {@code HTTP/1.1}. */
    @Override
    protected HttpMessage createMessage(String[] initialLine) throws Exception {
        if (!initialLine[2].equals("HTTP/1.1") && !initialLine[2].equals("HTTP/1.0")) {
            throw new IllegalArgumentException("the version is not HTTP/1.1 or HTTP/1.0");
        }
        boolean refusedAnyway =
                initialLine[0].equals(HttpMethod.CONNECT.name()) || initialLine[0].equals(HttpMethod.TRACE.name());
        if (!initialLine[1].startsWith("/") && !refusedAnyway) {
            throw new IllegalArgumentException("the target does not start with /");
        }
        return super.createMessage(initialLine);
    }
}
