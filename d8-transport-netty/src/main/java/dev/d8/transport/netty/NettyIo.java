package dev.d8.transport.netty;

import dev.d8.ConfigurationException;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.ServerSocketChannel;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.util.concurrent.FastThreadLocalThread;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicInteger;

/** The event loops and the socket classes that fit them. */
record NettyIo(
        EventLoopGroup loops, Class<? extends ServerSocketChannel> server, Class<? extends SocketChannel> client) {

    static NettyIo open(HttpSettings.Io io, int threads) {
        if (io == HttpSettings.Io.EPOLL && !Epoll.isAvailable()) {
            throw new ConfigurationException(
                    "option http.io: epoll cannot be had here: " + Epoll.unavailabilityCause() + " (use auto or nio)",
                    Epoll.unavailabilityCause());
        }
        ThreadFactory factory = named("d8-http-");
        return io == HttpSettings.Io.NIO || !Epoll.isAvailable()
                ? new NettyIo(
                        new MultiThreadIoEventLoopGroup(threads, factory, NioIoHandler.newFactory()),
                        NioServerSocketChannel.class,
                        NioSocketChannel.class)
                : new NettyIo(
                        new MultiThreadIoEventLoopGroup(threads, factory, EpollIoHandler.newFactory()),
                        EpollServerSocketChannel.class,
                        EpollSocketChannel.class);
    }

    /** Returns a maker of daemon threads. */
    static ThreadFactory named(String prefix) {
        AtomicInteger count = new AtomicInteger();
        return action -> {
            Thread thread = new FastThreadLocalThread(action, prefix + count.incrementAndGet());
            thread.setDaemon(true);
            return thread;
        };
    }
}
