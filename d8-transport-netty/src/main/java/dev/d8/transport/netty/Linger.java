package dev.d8.transport.netty;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.socket.DuplexChannel;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.ReferenceCountUtil;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * Ends a connection whose peer may still be sending: closing at once would reset it, and the reset would destroy the
 * answer before the peer has read it (RFC 9112, 9.6). So the answer goes out, then the end of the stream; what still
 * comes is read and dropped until the peer closes too, for {@link #LONGEST} at most.
 */
final class Linger extends ChannelInboundHandlerAdapter {

    /** How long a peer may take to stop sending and read its answer: 5 s. */
    static final Duration LONGEST = Duration.ofSeconds(5);

    private Linger() {}

    /** Sends a last answer and ends the connection. */
    static void close(Channel channel, ByteBuf answer) {
        channel.pipeline().addFirst(new Linger());
        channel.config().setAutoRead(true);
        var deadline = channel.eventLoop().schedule(() -> channel.close(), LONGEST.toNanos(), TimeUnit.NANOSECONDS);
        channel.closeFuture().addListener(closed -> deadline.cancel(false));
        channel.writeAndFlush(answer).addListener(written -> {
            SslHandler tls = channel.pipeline().get(SslHandler.class);
            if (!written.isSuccess()) {
                channel.close();
            } else if (tls == null) {
                ((DuplexChannel) channel).shutdownOutput();
            } else {
                tls.closeOutbound().addListener(told -> ((DuplexChannel) channel).shutdownOutput());
            }
        });
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
        ReferenceCountUtil.release(message);
    }
}
