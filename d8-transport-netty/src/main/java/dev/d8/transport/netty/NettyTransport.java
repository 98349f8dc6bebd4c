package dev.d8.transport.netty;

import dev.d8.spi.Credentials;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.SlaveService;
import dev.d8.spi.Transport;
import io.micrometer.core.instrument.MeterRegistry;
import io.netty.util.concurrent.EventExecutor;
import io.netty.util.concurrent.Ticker;
import java.net.URI;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** HTTP/1.1 on Netty: one group of event loops under every binding and client. Thread-safe. */
final class NettyTransport implements Transport {

    private static final long CLOSE_SECONDS = 5;

    private final HttpSettings settings;
    private final NettyIo io;
    private final HttpMeters meters = new HttpMeters();
    private final ExecutorService threads = Executors.newCachedThreadPool(NettyIo.named("d8-http-worker-"));
    private final Set<HttpBinding> bindings = ConcurrentHashMap.newKeySet();
    private final Set<HttpSlaveClient> clients = ConcurrentHashMap.newKeySet();
    private @Nullable TlsContext clientTls;
    private volatile boolean closed;

    NettyTransport(HttpSettings settings) {
        this.settings = settings;
        this.io = NettyIo.open(settings.io(), settings.threads());
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        meters.bindTo(registry);
    }

    @Override
    public Binding serve(SlaveService service, URI bind, ServerSecurity security) {
        requireOpen();
        HttpAddress address = HttpAddress.ofBinding(bind);
        HttpBinding binding = HttpBinding.open(
                settings,
                new Routes(service, security, settings, new Guesses(Ticker.systemTicker())),
                meters,
                io,
                TlsContext.ofServer(settings.tls(), address),
                address);
        bindings.add(binding);
        binding.closed().thenRun(() -> bindings.remove(binding));
        return binding;
    }

    @Override
    public SlaveClient connect(URI slave, Credentials credentials) {
        requireOpen();
        HttpAddress address = HttpAddress.ofSlave(slave);
        TlsContext tls = address.tls() ? clientTls() : null;
        HttpSlaveClient client = new HttpSlaveClient(settings, io, threads, tls, address, credentials, clients::remove);
        clients.add(client);
        return client;
    }

    /** Made when it is needed: reading the JDK's CAs takes a while. */
    private synchronized TlsContext clientTls() {
        if (clientTls == null) {
            clientTls = TlsContext.ofClient(settings.tls());
        }
        return clientTls;
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("the transport is closed");
        }
    }

    @Override
    public void close() {
        closed = true;
        boolean onLoop = false;
        for (EventExecutor loop : io.loops()) {
            onLoop |= loop.inEventLoop();
        }
        if (!onLoop) {
            clients.forEach(client -> client.goodbye().join());
        }
        clients.forEach(HttpSlaveClient::close);
        bindings.forEach(HttpBinding::closeNow);
        threads.shutdownNow();
        io.loops()
                .shutdownGracefully(0, CLOSE_SECONDS, TimeUnit.SECONDS)
                .addListener(ended -> bindings.forEach(HttpBinding::terminated));
        if (onLoop) {
            return;
        }
        io.loops().terminationFuture().awaitUninterruptibly(CLOSE_SECONDS, TimeUnit.SECONDS);
    }
}
