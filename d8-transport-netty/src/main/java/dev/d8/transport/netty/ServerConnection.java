package dev.d8.transport.netty;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelPipeline;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.codec.http.websocketx.Utf8FrameValidator;
import io.netty.handler.codec.http.websocketx.WebSocket13FrameDecoder;
import io.netty.handler.codec.http.websocketx.WebSocket13FrameEncoder;
import io.netty.handler.codec.http.websocketx.WebSocketDecoderConfig;
import io.netty.util.ReferenceCountUtil;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One connection of a server: takes requests one at a time, answers them in order, and keeps the time-outs. Everything
 * happens on the connection's event loop.
 *
 * <p>A peer that closes its sending side counts as gone, and what it asked for is ended: HTTP gives no way to tell the
 * two apart, and a task whose caller is gone would run for nobody.
 */
final class ServerConnection extends ChannelInboundHandlerAdapter {

    private static final Logger log = LoggerFactory.getLogger(ServerConnection.class);

    private enum Phase {
        /** Waits for a request. */
        IDLE,
        /** Part of a head has come, or the connection is new. */
        HEAD,
        /** The body of a task is on its way. */
        BODY,
        /** An answer waits for its time. */
        LATE,
        /** A task runs. */
        RUNNING,
        /** The last answer has been written. */
        CLOSING
    }

    /** What a follower may say at once, in bytes; none of it means anything. */
    private static final int LONGEST_MESSAGE = 64 << 10;

    private final HttpBinding binding;
    private final HttpSettings settings;
    private final Routes routes;
    private final HttpMeters meters;
    private final StrictRequestDecoder decoder;
    private final boolean admitted;

    private volatile @Nullable ChannelHandlerContext context;
    private Phase phase = Phase.HEAD;
    private @Nullable Deadline deadline;
    private long unsentAtLastLook;
    private boolean awaitingWritable;

    // The request being taken.
    private Answer.Connection after = Answer.Connection.CLOSED;
    private boolean headOnly;
    private boolean http10;
    private boolean bodyToCome;
    private boolean packed;
    private int bodyLimit;
    private Answer tooLarge = Routes.BODY_TIMED_OUT;
    private int expected;

    /** What has come of the body, where it did not come whole. */
    private @Nullable ByteArrayOutputStream body;

    private HttpMeters.Group group = HttpMeters.Group.OTHER;
    private @Nullable Peer peer;
    private TaskCalls.@Nullable Call call;
    private @Nullable CompletableFuture<Answer> coming;
    private @Nullable Answer late;

    ServerConnection(HttpBinding binding, StrictRequestDecoder decoder, boolean admitted) {
        this.binding = binding;
        this.settings = binding.settings();
        this.routes = binding.routes();
        this.meters = binding.meters();
        this.decoder = decoder;
        this.admitted = admitted;
    }

    @Override
    public void handlerAdded(ChannelHandlerContext ctx) {
        context = ctx;
        deadline = new Deadline(ctx.executor(), () -> timedOut(ctx));
    }

    @Override
    public void channelActive(ChannelHandlerContext ctx) {
        if (admitted) {
            deadline().in(settings.headerTimeout());
        } else {
            bodyToCome = true;
            after = Answer.Connection.CLOSED;
            answer(ctx, Routes.TOO_MANY_CONNECTIONS);
        }
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) throws Exception {
        if (phase == Phase.LATE) {
            ReferenceCountUtil.release(message);
        } else if (message instanceof HttpRequest request) {
            head(ctx, request);
        } else if (message instanceof HttpContent content) {
            try {
                content(ctx, content);
            } finally {
                ReferenceCountUtil.release(content);
            }
        } else if (message instanceof Refusal refusal) {
            headOnly = false;
            if (refusal.status().equals(HttpResponseStatus.BAD_REQUEST)) {
                meters.refused(HttpMeters.Refused.MALFORMED);
            }
            refuse(ctx, Answer.error(refusal.status(), refusal.why()));
        }
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext ctx) {
        if (phase == Phase.IDLE && decoder.headStarted()) {
            phase = Phase.HEAD;
            deadline().in(settings.headerTimeout());
        }
        ctx.flush();
    }

    private void head(ChannelHandlerContext ctx, HttpRequest request) throws Exception {
        group = HttpMeters.Group.of(request.uri());
        boolean chunked = HttpUtil.isTransferEncodingChunked(request);
        long length = chunked ? -1 : HttpUtil.getContentLength(request, 0L);
        bodyToCome = chunked || length > 0;
        headOnly = request.method().equals(HttpMethod.HEAD);
        http10 = request.protocolVersion().equals(HttpVersion.HTTP_1_0);
        if (!HttpUtil.isKeepAlive(request) || binding.closing()) {
            after = Answer.Connection.CLOSED;
        } else {
            after = http10 ? Answer.Connection.KEPT_ALIVE : Answer.Connection.KEPT;
        }
        if (peer == null) {
            peer = Peer.of(ctx.channel());
        }
        Decision decision = routes.decide(request, length, peer);
        if (decision instanceof Answer answer) {
            answer(ctx, answer);
            return;
        }
        if (decision instanceof Late waits) {
            keepWaiting(ctx, waits);
            return;
        }
        call = (TaskCalls.Call) decision;
        packed = Routes.isPacked(request.headers());
        bodyLimit = routes.limit(request.headers());
        tooLarge = routes.tooLarge(request.headers());
        phase = Phase.BODY;
        expected = (int) Math.min(Math.max(length, 64), 64 << 10);
        deadline().in(settings.bodyTimeout());
        if (bodyToCome && request.headers().contains(HttpHeaderNames.EXPECT) && !http10) {
            ctx.writeAndFlush(Routes.CONTINUE.duplicate(), ctx.voidPromise());
        }
    }

    /** Answers later, and does nothing else until then. A body stays with the peer; without one its going away is noticed. */
    private void keepWaiting(ChannelHandlerContext ctx, Late waits) {
        phase = Phase.LATE;
        late = waits.answer();
        deadline().in(waits.delay());
        if (bodyToCome) {
            ctx.channel().config().setAutoRead(false);
        }
    }

    private void content(ChannelHandlerContext ctx, HttpContent content) throws IOException {
        TaskCalls.Call asked = call;
        if (phase != Phase.BODY || asked == null) {
            return;
        }
        ByteBuf piece = content.content();
        if ((body == null ? 0 : body.size()) + piece.readableBytes() > bodyLimit) {
            refuse(ctx, tooLarge);
            return;
        }
        boolean last = content instanceof LastHttpContent;
        if (body == null && !last) {
            body = new ByteArrayOutputStream(expected);
        }
        if (body != null) {
            piece.readBytes(body, piece.readableBytes());
        }
        if (last) {
            byte[] whole = body == null ? ByteBufUtil.getBytes(piece) : body.toByteArray();
            bodyToCome = false;
            body = null;
            phase = Phase.RUNNING;
            deadline().never();
            CompletableFuture<Answer> started;
            try {
                started = asked.run(packed ? Gzip.unpack(whole, settings.maxBody()) : whole);
            } catch (Gzip.TooLargeException e) {
                started = CompletableFuture.completedFuture(routes.tooLarge());
            } catch (IOException e) {
                started = CompletableFuture.completedFuture(Routes.notPacked(e));
            } catch (RuntimeException e) {
                started = CompletableFuture.failedFuture(e);
            }
            coming = started;
            started.whenComplete((made, failure) -> {
                if (!ctx.channel().isActive()) {
                    return;
                }
                Answer answer = failure == null ? made : routes.failure(failure);
                if (ctx.executor().inEventLoop()) {
                    answer(ctx, answer);
                } else {
                    ctx.executor().execute(() -> answer(ctx, answer));
                }
            });
        }
    }

    /** Answers and ends the connection, whatever was asked for. */
    private void refuse(ChannelHandlerContext ctx, Answer answer) {
        bodyToCome = true;
        answer(ctx, answer);
    }

    private void answer(ChannelHandlerContext ctx, Answer answer) {
        if (phase == Phase.CLOSING || !ctx.channel().isActive()) {
            return;
        }
        if (admitted) {
            meters.answered(group, answer.status());
            group = HttpMeters.Group.OTHER;
        }
        if (call != null && coming != null && !headOnly) {
            call.answered();
        }
        call = null;
        coming = null;
        body = null;
        if (bodyToCome || binding.closing()) {
            after = Answer.Connection.CLOSED;
        }
        Source.Opening pieces = answer.pieces();
        if (pieces != null && !headOnly) {
            flow(ctx, answer, pieces);
            return;
        }
        var out = answer.encode(ctx.alloc(), after, headOnly);
        if (after == Answer.Connection.CLOSED) {
            phase = Phase.CLOSING;
            deadline().never();
            if (bodyToCome) {
                Linger.close(ctx.channel(), out);
            } else {
                deadline().in(settings.idleTimeout());
                ctx.writeAndFlush(out).addListener(ChannelFutureListener.CLOSE);
            }
            return;
        }
        phase = Phase.IDLE;
        deadline().in(settings.idleTimeout());
        ctx.write(out, ctx.voidPromise());
        if (!decoder.reading() || !ctx.channel().isWritable()) {
            ctx.flush();
        }
        if (ctx.channel().isWritable()) {
            next(ctx);
        } else {
            awaitingWritable = true;
        }
    }

    /** Hands the connection over to an answer that comes in pieces, which is its last. */
    private void flow(ChannelHandlerContext ctx, Answer answer, Source.Opening pieces) {
        Outflow.Framing framing =
                answer.messages() ? Outflow.Framing.MESSAGES : http10 ? Outflow.Framing.PLAIN : Outflow.Framing.CHUNKED;
        phase = Phase.CLOSING;
        deadline().cancel();
        ctx.writeAndFlush(answer.encodeHead(ctx.alloc(), framing), ctx.voidPromise());
        ChannelPipeline pipeline = ctx.pipeline();
        if (answer.messages()) {
            WebSocketDecoderConfig strict = WebSocketDecoderConfig.newBuilder()
                    .maxFramePayloadLength(LONGEST_MESSAGE)
                    .closeOnProtocolViolation(false)
                    .build();
            pipeline.addLast(
                    new WebSocket13FrameDecoder(strict),
                    new Utf8FrameValidator(false),
                    new WebSocket13FrameEncoder(false));
        }
        // It writes at once, so nobody must keep the channel's events from it; the decoder hands on what it has left.
        pipeline.remove(this);
        pipeline.addLast(new Outflow(pieces, framing, settings.idleTimeout()));
        pipeline.remove(decoder);
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext ctx) {
        // The next request waits until the peer has read enough of this answer: unread answers never pile up here.
        if (awaitingWritable && ctx.channel().isWritable()) {
            awaitingWritable = false;
            next(ctx);
        }
    }

    private void next(ChannelHandlerContext ctx) {
        try {
            decoder.next(ctx.pipeline().context(decoder));
        } catch (Exception e) {
            exceptionCaught(ctx, e);
        }
    }

    /** Ends the connection if nothing is asked for, else after the answer. Any thread. */
    void closeWhenAnswered() {
        ChannelHandlerContext ctx = context;
        if (ctx == null) {
            return;
        }
        ctx.executor().execute(() -> {
            if (phase == Phase.IDLE || phase == Phase.HEAD) {
                phase = Phase.CLOSING;
                // Behind an answer that the peer has not taken yet.
                ctx.writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(ChannelFutureListener.CLOSE);
            } else if (phase == Phase.LATE) {
                timedOut(ctx); // A stop waits for nobody who guesses.
            }
        });
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
        phase = Phase.CLOSING;
        deadline().cancel();
        CompletableFuture<Answer> running = coming;
        if (running != null) {
            running.cancel(true);
        }
        ctx.fireChannelInactive();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
        if (cause instanceof IOException) {
            log.debug("connection from {} lost: {}", ctx.channel().remoteAddress(), cause.toString());
        } else {
            log.error("connection from {} failed", ctx.channel().remoteAddress(), cause);
        }
        ctx.close();
    }

    private Deadline deadline() {
        return Objects.requireNonNull(deadline, "not in a pipeline yet");
    }

    private void timedOut(ChannelHandlerContext ctx) {
        switch (phase) {
            case HEAD -> {
                if (decoder.headStarted()) {
                    headOnly = false;
                    refuse(ctx, Routes.HEAD_TIMED_OUT);
                } else {
                    ctx.close();
                }
            }
            case BODY -> refuse(ctx, Routes.BODY_TIMED_OUT);
            case LATE -> answer(ctx, Objects.requireNonNull(late));
            case IDLE, CLOSING -> {
                long unsent = ctx.channel().bytesBeforeWritable();
                if (unsent > 0 && unsent != unsentAtLastLook) {
                    // The peer still takes its answer.
                    unsentAtLastLook = unsent;
                    deadline().in(settings.idleTimeout());
                } else {
                    ctx.close();
                }
            }
            case RUNNING -> {}
        }
    }
}
