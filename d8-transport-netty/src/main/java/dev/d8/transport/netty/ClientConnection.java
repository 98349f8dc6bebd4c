package dev.d8.transport.netty;

import dev.d8.SlaveUnreachableException;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.PrematureChannelClosureException;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpStatusClass;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.handler.ssl.SslCloseCompletionEvent;
import io.netty.util.ReferenceCountUtil;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** One connection of a client, carrying one exchange at a time. Everything happens on the client's event loop. */
final class ClientConnection extends ChannelInboundHandlerAdapter {

    private static final long ANSWER_AFTER_FAILED_WRITE_MILLIS = 1000;

    private final ConnectionPool pool;
    private final Channel channel;
    private final int maxAnswer;
    private final Function<Throwable, SlaveUnreachableException> withoutTls;

    private @Nullable Exchange<?> exchange;
    private boolean reused;
    private boolean written;
    private boolean interim;
    private @Nullable HttpResponse answer;
    private @Nullable EventReader events;
    private ByteArrayOutputStream body = new ByteArrayOutputStream(0);
    private @Nullable Throwable failure;

    ClientConnection(
            ConnectionPool pool,
            Channel channel,
            int maxAnswer,
            Function<Throwable, SlaveUnreachableException> withoutTls) {
        this.pool = pool;
        this.channel = channel;
        this.maxAnswer = maxAnswer;
        this.withoutTls = withoutTls;
    }

    boolean isActive() {
        return channel.isActive();
    }

    void close() {
        channel.close();
    }

    /**
     * Sends a request.
     *
     * @param again whether this connection has carried another before
     */
    void send(Exchange<?> next, boolean again) {
        exchange = next;
        reused = again;
        written = false;
        answer = null;
        next.carriedBy(this);
        channel.writeAndFlush(Unpooled.wrappedBuffer(next.request())).addListener(result -> {
            if (exchange != next) {
                return;
            }
            written = result.isSuccess();
            if (!written) {
                // The slave may have answered before it had read everything, and closed: its answer may be here
                // already.
                failure = result.cause();
                channel.eventLoop()
                        .schedule(
                                () -> {
                                    if (exchange == next) {
                                        channel.close();
                                    }
                                },
                                ANSWER_AFTER_FAILED_WRITE_MILLIS,
                                TimeUnit.MILLISECONDS);
            }
        });
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) throws IOException {
        try {
            Exchange<?> current = exchange;
            if (current == null || !(message instanceof HttpObject part)) {
                // Nobody asked.
                channel.close();
            } else if (part.decoderResult().isFailure()) {
                malformed(part.decoderResult().cause());
            } else {
                read(current, part);
            }
        } finally {
            ReferenceCountUtil.release(message);
        }
    }

    private void read(Exchange<?> current, HttpObject part) throws IOException {
        if (part instanceof HttpResponse head) {
            interim = head.status().codeClass() == HttpStatusClass.INFORMATIONAL;
            answer = interim ? null : head;
            body = new ByteArrayOutputStream(256);
            events = interim ? null : current.reader(head);
        }
        HttpResponse head = answer;
        EventReader reader = events;
        if (part instanceof HttpContent content && head != null && reader != null) {
            stream(current, reader, content);
        } else if (part instanceof HttpContent content && head != null) {
            int length = content.content().readableBytes();
            if (body.size() + (long) length > maxAnswer) {
                finish(current, false);
                current.unreadable("more than " + maxAnswer + " bytes", null);
                return;
            }
            content.content().readBytes(body, length);
            if (part instanceof LastHttpContent) {
                byte[] bytes = body.toByteArray();
                boolean packed = Routes.isPacked(head.headers());
                finish(current, HttpUtil.isKeepAlive(head));
                if (packed) {
                    try {
                        bytes = Gzip.unpack(bytes, maxAnswer);
                    } catch (IOException e) {
                        current.unreadable("gzip: " + e.getMessage(), e);
                        return;
                    }
                }
                current.answered(head.status().code(), head.headers(), bytes);
            }
        }
    }

    private void stream(Exchange<?> current, EventReader reader, HttpContent content) {
        try {
            reader.read(content.content());
        } catch (RuntimeException e) {
            finish(current, false);
            current.unreadable(String.valueOf(e.getMessage()), e);
            return;
        }
        if (content instanceof LastHttpContent) {
            finish(current, false);
            current.streamed();
        } else if (reader.full()) {
            channel.config().setAutoRead(false);
            reader.whenRoom(() -> channel.config().setAutoRead(true));
            if (!reader.full()) {
                channel.config().setAutoRead(true); // There was room before anybody could be told.
            }
        }
    }

    private void malformed(Throwable cause) {
        if (cause instanceof PrematureChannelClosureException) {
            // channelInactive follows.
            failure = cause;
            return;
        }
        Exchange<?> current = exchange;
        if (current != null) {
            finish(current, false);
            current.unreadable("not HTTP: " + cause.getMessage(), cause);
        }
    }

    /** Parts with the exchange; the connection goes back to the pool or ends. */
    private void finish(Exchange<?> current, boolean keepAlive) {
        exchange = null;
        answer = null;
        events = null;
        body = new ByteArrayOutputStream(0);
        boolean kept = keepAlive && written && channel.isActive();
        if (!kept) {
            channel.close();
        }
        pool.finished(current, kept ? this : null);
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
        pool.gone(this);
        Exchange<?> current = exchange;
        if (current == null) {
            return;
        }
        boolean nothingCame = answer == null && !interim;
        finish(current, false);
        if (nothingCame && reused && current.kind() != Exchange.Kind.TASK && !current.retried()) {
            // The slave closed an idle connection while this was on its way. Asking how it is twice does no harm.
            current.retry();
            pool.submit(current);
        } else {
            Throwable cause = failure;
            current.lost(cause == null ? "closed by the slave" : String.valueOf(cause.getMessage()), cause);
        }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
        failure = cause;
        Exchange<?> current = exchange;
        if (current != null && !reused && answer == null && !interim && TlsTrouble.refusesHandshake(channel, cause)) {
            finish(current, false);
            current.failed(withoutTls.apply(cause));
        } else {
            ctx.close();
        }
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
        if (event instanceof SslCloseCompletionEvent) {
            ctx.close(); // The slave said that it ends the connection: nothing may be sent on it any more.
        }
    }
}
