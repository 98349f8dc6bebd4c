package dev.d8.transport.netty;

import dev.d8.ConfigurationException;
import dev.d8.spi.Transport;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.socket.SocketChannel;
import io.netty.handler.ssl.SslHandler;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/** A bound address and its connections. Thread-safe. */
final class HttpBinding implements Transport.Binding {

    private final HttpSettings settings;
    private final Routes routes;
    private final HttpMeters meters;
    private final @Nullable TlsContext tls;
    private final Admission admission;
    private final Map<Channel, ServerConnection> connections = new ConcurrentHashMap<>();
    private final CompletableFuture<Void> closed = new CompletableFuture<>();
    private final Channel listener;
    private final HttpAddress address;
    private final AtomicBoolean closing = new AtomicBoolean();
    private volatile boolean released;

    private HttpBinding(
            HttpSettings settings,
            Routes routes,
            HttpMeters meters,
            NettyIo io,
            @Nullable TlsContext tls,
            HttpAddress requested) {
        this.settings = settings;
        this.routes = routes;
        this.meters = meters;
        this.tls = tls;
        this.admission = new Admission(settings);
        this.listener = listen(io, requested);
        this.address = requested.withPort(((InetSocketAddress) listener.localAddress()).getPort());
    }

    /** Binds an address. Blocks for as long as the operating system needs. */
    static HttpBinding open(
            HttpSettings settings,
            Routes routes,
            HttpMeters meters,
            NettyIo io,
            @Nullable TlsContext tls,
            HttpAddress requested) {
        return new HttpBinding(settings, routes, meters, io, tls, requested);
    }

    private Channel listen(NettyIo io, HttpAddress requested) {
        InetSocketAddress resolved = new InetSocketAddress(requested.host(), requested.port());
        if (resolved.isUnresolved()) {
            throw new ConfigurationException("cannot bind " + requested + ": unknown host name " + requested.host()
                    + " (expected: an address of this machine, such as 127.0.0.1)");
        }
        ChannelFuture bound = new ServerBootstrap()
                .group(io.loops())
                .channel(io.server())
                .option(ChannelOption.SO_REUSEADDR, true)
                .option(ChannelOption.SO_BACKLOG, 1024)
                .childOption(ChannelOption.TCP_NODELAY, true)
                .childHandler(new ChannelInitializer<SocketChannel>() {
                    @Override
                    protected void initChannel(SocketChannel channel) {
                        accept(channel);
                    }
                })
                .bind(resolved)
                .awaitUninterruptibly();
        if (!bound.isSuccess()) {
            throw new ConfigurationException(
                    "cannot bind " + requested + ": " + explain(requested, bound.cause()), bound.cause());
        }
        bound.channel().pipeline().addLast(new AcceptTrouble());
        return bound.channel();
    }

    private void accept(SocketChannel channel) {
        InetSocketAddress peer = channel.remoteAddress();
        if (peer == null) {
            channel.close();
            return;
        }
        Admission.Verdict verdict = admission.entered(peer.getAddress());
        boolean served = verdict == Admission.Verdict.SERVED;
        if (served) {
            meters.connected();
        } else {
            meters.refused(HttpMeters.Refused.TOO_MANY_CONNECTIONS);
        }
        channel.closeFuture().addListener(gone -> {
            admission.left(peer.getAddress(), verdict);
            if (served) {
                meters.disconnected();
            }
        });
        if (verdict == Admission.Verdict.DROPPED || closing.get()) {
            channel.close();
            return;
        }
        channel.pipeline().addLast(meters.bytes());
        if (tls != null) {
            SslHandler handler = tls.newHandler(channel.alloc());
            channel.pipeline().addLast(handler).addLast(new ServerHandshake(handler, meters));
        }
        StrictRequestDecoder decoder = new StrictRequestDecoder(settings);
        ServerConnection connection = new ServerConnection(this, decoder, served);
        channel.pipeline().addLast(decoder).addLast(connection);
        connections.put(channel, connection);
        channel.closeFuture().addListener(gone -> {
            connections.remove(channel);
            completeIfEmpty();
        });
        if (closing.get()) {
            channel.close();
        }
    }

    HttpSettings settings() {
        return settings;
    }

    Routes routes() {
        return routes;
    }

    HttpMeters meters() {
        return meters;
    }

    /** Returns whether each connection ends with its next answer. */
    boolean closing() {
        return closing.get();
    }

    @Override
    public URI uri() {
        return address.uri();
    }

    @Override
    public CompletableFuture<Void> closeAsync() {
        if (closing.compareAndSet(false, true)) {
            listener.close().addListener(done -> {
                connections.values().forEach(HttpBinding::closeWhenAnswered);
                // NIO gives the port up only when it selects next: until then the system would let callers in, and
                // reset them. What is scheduled on the loop runs after that.
                listener.eventLoop()
                        .schedule(
                                () -> {
                                    released = true;
                                    completeIfEmpty();
                                },
                                1,
                                TimeUnit.NANOSECONDS);
            });
        }
        return closed.copy();
    }

    private static void closeWhenAnswered(ServerConnection connection) {
        try {
            connection.closeWhenAnswered();
        } catch (RejectedExecutionException e) {
            // The transport has closed meanwhile: its event loop has ended, and it with that.
        }
    }

    /** Returns what completes when the last connection has ended. */
    CompletableFuture<Void> closed() {
        return closed;
    }

    /** Ends every connection at once; the tasks of their callers are cancelled. */
    void closeNow() {
        closeAsync();
        connections.keySet().forEach(Channel::close);
    }

    /** Hears that the event loops have ended, and every connection with them. */
    void terminated() {
        closed.complete(null);
    }

    private void completeIfEmpty() {
        if (released && connections.isEmpty()) {
            closed.complete(null);
        }
    }

    private static String explain(HttpAddress address, @Nullable Throwable cause) {
        String message = cause == null ? "" : String.valueOf(cause.getMessage());
        String text = message.toLowerCase(Locale.ROOT);
        if (text.contains("in use")) {
            return "the port is in use. Stop the program that has it, or choose another port";
        }
        if (text.contains("permission denied")) {
            return "permission denied. Ports below 1024 need privileges: choose a higher one";
        }
        if (text.contains("cannot assign") || text.contains("not available")) {
            return address.host() + " is not an address of this machine. Choose one of its own, or 0.0.0.0 for all";
        }
        return message;
    }
}
