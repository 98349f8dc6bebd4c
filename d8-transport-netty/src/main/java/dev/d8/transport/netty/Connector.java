package dev.d8.transport.netty;

import dev.d8.D8Exception;
import dev.d8.SlaveUnreachableException;
import io.netty.bootstrap.Bootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.ConnectTimeoutException;
import io.netty.channel.EventLoop;
import io.netty.channel.socket.SocketChannel;
import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpResponseDecoder;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.NetUtil;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NoRouteToHostException;
import java.net.UnknownHostException;
import java.security.cert.CertificateException;
import java.util.Locale;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLPeerUnverifiedException;
import org.jspecify.annotations.Nullable;

/** Opens connections to one slave, on one event loop. Looks names up elsewhere, since the JDK's look-up blocks. */
final class Connector {

    /** Hears how it went, on the event loop: exactly one of the two is there. */
    interface Result {
        void of(@Nullable ClientConnection connection, @Nullable D8Exception failure);
    }

    private final HttpSettings settings;
    private final NettyIo io;
    private final EventLoop loop;
    private final Executor resolver;
    private final @Nullable TlsContext tls;
    private final HttpAddress slave;

    Connector(
            HttpSettings settings,
            NettyIo io,
            EventLoop loop,
            Executor resolver,
            @Nullable TlsContext tls,
            HttpAddress slave) {
        this.settings = settings;
        this.io = io;
        this.loop = loop;
        this.resolver = resolver;
        this.tls = tls;
        this.slave = slave;
    }

    /** Opens a connection. The connect time-out covers the look-up too; the handshake of TLS has its own. */
    void connect(ConnectionPool pool, Result result) {
        new Attempt(pool, result).begin();
    }

    private final class Attempt {
        private final ConnectionPool pool;
        private final Result result;
        private boolean over;

        Attempt(ConnectionPool pool, Result result) {
            this.pool = pool;
            this.result = result;
        }

        void begin() {
            var deadline = loop.schedule(
                    () -> fail(new ConnectTimeoutException("time-out")),
                    settings.connectTimeout().toNanos(),
                    TimeUnit.NANOSECONDS);
            whenOver = () -> deadline.cancel(false);
            byte[] literal = NetUtil.createByteArrayFromIpAddressString(slave.host());
            try {
                if (literal != null) {
                    tryEach(new InetAddress[] {InetAddress.getByAddress(literal)}, 0);
                } else {
                    resolver.execute(this::lookUp);
                }
            } catch (UnknownHostException | RejectedExecutionException e) {
                fail(e);
            }
        }

        private Runnable whenOver = () -> {};

        private void lookUp() {
            try {
                InetAddress[] addresses = InetAddress.getAllByName(slave.host());
                loop.execute(() -> tryEach(addresses, 0));
            } catch (UnknownHostException e) {
                loop.execute(() -> fail(e));
            }
        }

        private void tryEach(InetAddress[] addresses, int index) {
            if (over) {
                return;
            }
            open(addresses[index]).addListener((ChannelFuture opened) -> {
                if (opened.isSuccess() && !over) {
                    over = true;
                    whenOver.run();
                    connected(opened.channel());
                } else if (opened.isSuccess()) {
                    opened.channel().close();
                } else if (index + 1 < addresses.length) {
                    tryEach(addresses, index + 1);
                } else {
                    fail(opened.cause());
                }
            });
        }

        private void connected(Channel channel) {
            SslHandler handshaking = channel.pipeline().get(SslHandler.class);
            if (handshaking == null) {
                result.of(channel.pipeline().get(ClientConnection.class), null);
                return;
            }
            handshaking.handshakeFuture().addListener(shaken -> {
                Throwable failure = shaken.cause();
                if (failure == null) {
                    try {
                        TlsTrouble.requireValid(handshaking.engine().getSession());
                        result.of(channel.pipeline().get(ClientConnection.class), null);
                        return;
                    } catch (CertificateException | SSLPeerUnverifiedException e) {
                        failure = e;
                    }
                }
                channel.close();
                result.of(null, withoutTls(failure));
            });
        }

        private ChannelFuture open(InetAddress address) {
            return new Bootstrap()
                    .group(loop)
                    .channel(io.client())
                    .option(ChannelOption.TCP_NODELAY, true)
                    // A failed write must not throw away an answer that has come already.
                    .option(ChannelOption.AUTO_CLOSE, false)
                    .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, (int)
                            Math.min(settings.connectTimeout().toMillis() + 1, Integer.MAX_VALUE))
                    .handler(new ChannelInitializer<SocketChannel>() {
                        @Override
                        protected void initChannel(SocketChannel channel) {
                            if (tls != null) {
                                channel.pipeline().addLast(tls.newHandler(channel.alloc(), slave));
                            }
                            channel.pipeline()
                                    .addLast(new HttpResponseDecoder(new HttpDecoderConfig()
                                            .setMaxInitialLineLength(settings.maxRequestLine())
                                            .setMaxHeaderSize(settings.maxHeaderBytes())
                                            .setMaxChunkSize(64 << 10)))
                                    .addLast(new ClientConnection(
                                            pool, channel, settings.maxAnswer(), Connector.this::withoutTls));
                        }
                    })
                    .connect(new InetSocketAddress(address, slave.port()));
        }

        private void fail(Throwable cause) {
            if (!over) {
                over = true;
                whenOver.run();
                result.of(null, unreachable(explain(cause), cause));
            }
        }
    }

    private SlaveUnreachableException withoutTls(Throwable cause) {
        return unreachable(TlsTrouble.explain(cause, settings.tls()), cause);
    }

    private SlaveUnreachableException unreachable(String why, Throwable cause) {
        return new SlaveUnreachableException("cannot reach " + slave + ": " + why, cause);
    }

    private String explain(Throwable cause) {
        String message = String.valueOf(cause.getMessage()).toLowerCase(Locale.ROOT);
        if (cause instanceof ConnectTimeoutException) {
            return "no answer within " + settings.connectTimeout().toMillis() / 1000.0
                    + " s. Is the machine on, and does a firewall let this port through?";
        }
        if (cause instanceof UnknownHostException) {
            return "unknown host name " + slave.host() + ". Is it spelt right?";
        }
        if (message.contains("refused")) {
            return "connection refused. Is the slave running there?";
        }
        if (cause instanceof NoRouteToHostException || message.contains("unreachable")) {
            return "no route to this address. Is the network up?";
        }
        return cause instanceof RejectedExecutionException ? "the transport is closed" : message;
    }
}
