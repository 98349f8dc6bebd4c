package dev.d8.transport.netty;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.DecoderException;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.ssl.NotSslRecordException;
import io.netty.handler.ssl.SslCloseCompletionEvent;
import io.netty.handler.ssl.SslHandler;
import io.netty.handler.ssl.SslHandshakeCompletionEvent;
import io.netty.util.AttributeKey;
import java.security.Principal;
import java.util.Optional;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLEngineResult.HandshakeStatus;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLPeerUnverifiedException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * TLS on a server's connection, from behind its {@link SslHandler}: the connection counts as begun when the handshake is
 * over, and ends when the peer says so or does what is not allowed. Not on the way of what is read and written.
 */
final class ServerHandshake extends ChannelInboundHandlerAdapter {

    private static final Logger log = LoggerFactory.getLogger(ServerHandshake.class);

    private static final AttributeKey<Principal> CALLER = AttributeKey.valueOf(ServerHandshake.class, "caller");

    private final SslHandler tls;
    private final HttpMeters meters;
    private boolean renegotiable;
    private boolean failed;

    ServerHandshake(SslHandler tls, HttpMeters meters) {
        this.tls = tls;
        this.meters = meters;
    }

    /** Returns the subject of the caller's certificate, if it had to show one. */
    static Optional<Principal> caller(Channel channel) {
        return Optional.ofNullable(channel.attr(CALLER).get());
    }

    @Override
    public void channelActive(ChannelHandlerContext ctx) {
        // Passed on when the handshake is over.
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
        if (event instanceof SslHandshakeCompletionEvent handshake) {
            if (handshake.isSuccess()) {
                begin(ctx);
            } else {
                fail(ctx, handshake.cause());
            }
        } else if (event instanceof SslCloseCompletionEvent) {
            ctx.close(); // As for the end of a plain stream: the peer is gone.
        } else {
            ctx.fireUserEventTriggered(event);
        }
    }

    private void begin(ChannelHandlerContext ctx) {
        SSLEngine engine = tls.engine();
        renegotiable = !engine.getSession().getProtocol().equals("TLSv1.3");
        if (engine.getNeedClientAuth()) {
            try {
                Principal caller = engine.getSession().getPeerPrincipal();
                ctx.channel().attr(CALLER).set(caller);
                log.debug("connection from {}: it is {}", ctx.channel().remoteAddress(), caller);
            } catch (SSLPeerUnverifiedException e) {
                throw new IllegalStateException("TLS let somebody in without a certificate", e);
            }
        }
        ctx.fireChannelActive();
    }

    private void fail(ChannelHandlerContext ctx, Throwable cause) {
        failed = true;
        meters.refused(HttpMeters.Refused.TLS);
        if (cause instanceof NotSslRecordException) {
            // Its message has what was sent, with a token perhaps.
            log.debug("connection from {}: not TLS", ctx.channel().remoteAddress());
            // Past the handler of TLS, in the clear. That closes the connection now.
            ctx.pipeline()
                    .context(tls)
                    .writeAndFlush(Answer.error(
                                    HttpResponseStatus.BAD_REQUEST, "this port speaks TLS; the address is https://…")
                            .encode(ctx.alloc(), Answer.Connection.CLOSED, false));
        } else {
            log.debug("connection from {}: no TLS: {}", ctx.channel().remoteAddress(), cause.toString());
        }
    }

    /**
     * Ends a connection whose peer wants to negotiate anew, which TLS 1.2 has and nobody needs: each time costs the server
     * far more than the peer. The JDK can forbid it for all of a process only.
     */
    @Override
    public void channelReadComplete(ChannelHandlerContext ctx) {
        if (renegotiable
                && tls.engine().getHandshakeStatus() != HandshakeStatus.NOT_HANDSHAKING
                && !tls.engine().isOutboundDone()) {
            renegotiable = false;
            log.debug(
                    "connection from {}: wants to negotiate anew", ctx.channel().remoteAddress());
            ctx.close();
        } else {
            ctx.fireChannelReadComplete();
        }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
        Throwable reason = cause instanceof DecoderException && cause.getCause() != null ? cause.getCause() : cause;
        if (!(reason instanceof SSLException)) {
            ctx.fireExceptionCaught(cause);
        } else if (!failed) {
            log.debug("connection from {}: TLS failed: {}", ctx.channel().remoteAddress(), reason.getMessage());
            ctx.close();
        }
    }
}
