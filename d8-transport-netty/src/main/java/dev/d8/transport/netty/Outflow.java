package dev.d8.transport.netty;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http.websocketx.CloseWebSocketFrame;
import io.netty.handler.codec.http.websocketx.CorruptedWebSocketFrameException;
import io.netty.handler.codec.http.websocketx.PingWebSocketFrame;
import io.netty.handler.codec.http.websocketx.PongWebSocketFrame;
import io.netty.handler.codec.http.websocketx.TextWebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketCloseStatus;
import io.netty.util.ReferenceCountUtil;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The last answer of a connection where that comes in pieces: it takes them from their source as fast as the peer reads
 * them, and no faster. It stands in the place of {@link ServerConnection} from the answer's head on. Everything happens on
 * the connection's event loop.
 */
final class Outflow extends ChannelInboundHandlerAdapter {

    /** How the pieces travel. */
    enum Framing {
        /** As they are, until the connection ends. */
        PLAIN,
        /** As chunks of HTTP/1.1. */
        CHUNKED,
        /** Each as a text message of a WebSocket, RFC 6455. */
        MESSAGES
    }

    private static final Logger log = LoggerFactory.getLogger(Outflow.class);
    private static final ByteBuf LINE_END = Unpooled.unreleasableBuffer(
            Unpooled.copiedBuffer("\r\n", StandardCharsets.US_ASCII).asReadOnly());
    private static final ByteBuf LAST_CHUNK = Unpooled.unreleasableBuffer(
            Unpooled.copiedBuffer("0\r\n\r\n", StandardCharsets.US_ASCII).asReadOnly());

    /** How long a peer may take to answer that a WebSocket is closed. */
    private static final Duration GOODBYE = Duration.ofSeconds(5);

    private final Source.Opening opening;
    private final Framing framing;
    private final Duration patience;
    private final Duration quiet;
    private final AtomicBoolean asked = new AtomicBoolean();

    private @Nullable Source source;
    private @Nullable Deadline deadline;
    private boolean ended;
    private boolean heard = true;
    private long unsentAtLastLook;

    /**
     * Prepares one; it begins when it is added to a pipeline.
     *
     * @param patience how long a peer may read nothing, or as a WebSocket say nothing
     */
    Outflow(Source.Opening opening, Framing framing, Duration patience) {
        this.opening = opening;
        this.framing = framing;
        this.patience = patience;
        this.quiet = patience.dividedBy(2);
    }

    @Override
    public void handlerAdded(ChannelHandlerContext ctx) {
        deadline = new Deadline(ctx.executor(), () -> quietFor(ctx));
        deadline().in(quiet);
        ctx.channel().config().setAutoRead(true);
        source = opening.open(() -> {
            if (asked.compareAndSet(false, true)) {
                try {
                    ctx.executor().execute(() -> {
                        asked.set(false);
                        flow(ctx);
                    });
                } catch (RejectedExecutionException e) {
                    log.debug("the transport is closed");
                }
            }
        });
        flow(ctx);
    }

    private Deadline deadline() {
        return Objects.requireNonNull(deadline, "not in a pipeline yet");
    }

    private void flow(ChannelHandlerContext ctx) {
        Source from = source;
        if (ended || from == null) {
            return;
        }
        boolean any = false;
        while (ctx.channel().isWritable() && !from.over()) {
            byte[] piece;
            try {
                piece = from.next();
            } catch (RuntimeException e) {
                exceptionCaught(ctx, e);
                return;
            }
            if (piece == null) {
                break;
            }
            write(ctx, piece);
            any = true;
        }
        if (from.over()) {
            end(ctx);
        } else if (any) {
            ctx.flush();
            deadline().in(quiet);
        }
    }

    private void write(ChannelHandlerContext ctx, byte[] piece) {
        ByteBuf content = Unpooled.wrappedBuffer(piece);
        switch (framing) {
            case PLAIN -> ctx.write(content, ctx.voidPromise());
            case CHUNKED -> {
                byte[] size = (Integer.toHexString(piece.length) + "\r\n").getBytes(StandardCharsets.US_ASCII);
                ctx.write(
                        Unpooled.wrappedBuffer(Unpooled.wrappedBuffer(size), content, LINE_END.duplicate()),
                        ctx.voidPromise());
            }
            case MESSAGES -> ctx.write(new TextWebSocketFrame(content), ctx.voidPromise());
        }
    }

    /** The last piece is on its way. */
    private void end(ChannelHandlerContext ctx) {
        switch (framing) {
            case PLAIN -> endWith(ctx, Unpooled.EMPTY_BUFFER);
            case CHUNKED -> endWith(ctx, LAST_CHUNK.duplicate());
            case MESSAGES -> goodbye(ctx, WebSocketCloseStatus.NORMAL_CLOSURE);
        }
        letGo();
    }

    private void endWith(ChannelHandlerContext ctx, ByteBuf last) {
        ended = true;
        deadline().in(patience);
        ctx.writeAndFlush(last).addListener(written -> ctx.close());
    }

    /** Says that the WebSocket ends; its peer says so too and closes, or is closed. */
    private void goodbye(ChannelHandlerContext ctx, WebSocketCloseStatus why) {
        ended = true;
        ctx.writeAndFlush(new CloseWebSocketFrame(why))
                .addListener(written -> deadline().in(GOODBYE));
    }

    private void letGo() {
        if (source != null) {
            source.close();
        }
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext ctx) {
        // Who does not read is not listened to either: answers to pings would pile up.
        ctx.channel().config().setAutoRead(ctx.channel().isWritable() || ended);
        flow(ctx);
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
        heard = true;
        if (message instanceof PingWebSocketFrame ping && !ended) {
            ctx.writeAndFlush(new PongWebSocketFrame(ping.content()));
        } else if (message instanceof CloseWebSocketFrame close) {
            close(ctx, close);
        } else {
            ReferenceCountUtil.release(message); // Nothing that a follower says means anything.
        }
    }

    private void close(ChannelHandlerContext ctx, CloseWebSocketFrame close) {
        if (ended) {
            close.release();
            ctx.close();
        } else {
            ended = true;
            letGo();
            ctx.writeAndFlush(close).addListener(written -> ctx.close());
        }
    }

    private void quietFor(ChannelHandlerContext ctx) {
        long unsent = ctx.channel().bytesBeforeWritable();
        if (ended || (unsent > 0 && unsent == unsentAtLastLook) || !heard) {
            ctx.close(); // It takes nothing, or is gone.
            return;
        }
        unsentAtLastLook = unsent;
        Source from = source;
        if (unsent == 0 && from != null) {
            if (framing == Framing.MESSAGES) {
                heard = false;
                ctx.writeAndFlush(new PingWebSocketFrame());
            } else {
                write(ctx, from.idle());
                ctx.flush();
            }
        }
        deadline().in(quiet);
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
        ended = true;
        deadline().cancel();
        letGo();
        ctx.fireChannelInactive();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
        if (cause instanceof CorruptedWebSocketFrameException broken) {
            if (!ended) {
                letGo();
                ended = true;
                ctx.writeAndFlush(new CloseWebSocketFrame(broken.closeStatus())).addListener(written -> ctx.close());
            }
        } else {
            if (cause instanceof IOException) {
                log.debug("connection from {} lost: {}", ctx.channel().remoteAddress(), cause.toString());
            } else {
                log.error("connection from {} failed", ctx.channel().remoteAddress(), cause);
            }
            ctx.close();
        }
    }
}
