package dev.d8.transport.netty;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells that a listening socket cannot take connections. Netty leaves it alone for a second then and tries again, so
 * what is told is told once, and anew only after a minute without trouble.
 */
final class AcceptTrouble extends ChannelInboundHandlerAdapter {

    private static final Logger log = LoggerFactory.getLogger(AcceptTrouble.class);
    private static final long QUIET_NANOS = 60_000_000_000L;

    private boolean troubled;
    private long lastTrouble;

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
        long now = ctx.executor().ticker().nanoTime();
        if (!troubled || now - lastTrouble > QUIET_NANOS) {
            log.warn(
                    "cannot take connections: {}; those that are open go on, and it tries again each second. "
                            + "If it has too many open files, allow it more (ulimit -n) or lower http.max_connections",
                    cause.getMessage());
        }
        troubled = true;
        lastTrouble = now;
    }
}
