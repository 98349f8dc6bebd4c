package dev.d8.transport.netty;

import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.SlaveUnreachableException;
import dev.d8.TaskResult;
import dev.d8.VersionInfo;
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.WireFormat;
import dev.d8.transport.netty.HttpSettings.ClientGzip;
import io.netty.channel.EventLoop;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A slave's client. Its futures complete on an event loop: what hangs on them must not block. Thread-safe.
 *
 * <p>A request is never sent twice, with one exception: a health or version check that met a connection which the slave
 * had just closed goes out once more.
 */
final class HttpSlaveClient implements SlaveClient {

    private static final int GOODBYE_SECONDS = 2;

    private final Set<CompletableFuture<byte[]>> cancels = ConcurrentHashMap.newKeySet();
    private final HttpAddress slave;
    private final EventLoop loop;
    private final ConnectionPool pool;
    private final Consumer<HttpSlaveClient> whenClosed;
    private final WireFormat wire = WireFormat.json();
    private final byte[] healthRequest;
    private final byte[] versionRequest;
    private final boolean packsRequests;
    private final String executeHead;
    private final String cancelHead;
    private final String cancelEnd;

    HttpSlaveClient(
            HttpSettings settings,
            NettyIo io,
            Executor resolver,
            @Nullable TlsContext tls,
            HttpAddress slave,
            Credentials credentials,
            Consumer<HttpSlaveClient> whenClosed) {
        this.slave = slave;
        this.loop = io.loops().next();
        this.pool = new ConnectionPool(settings, slave, loop, new Connector(settings, io, loop, resolver, tls, slave));
        this.whenClosed = whenClosed;
        this.packsRequests = settings.clientGzip() == ClientGzip.BOTH;
        String common = " HTTP/1.1\r\nHost: " + slave.authority() + "\r\nUser-Agent: d8/" + version(getClass())
                + "\r\nAccept: application/json\r\n";
        healthRequest = ascii("GET " + Routes.HEALTH + common + "\r\n");
        versionRequest = ascii("GET " + Routes.VERSION + common + "\r\n");
        String authorization = "Authorization: Bearer " + credentials.token().reveal() + "\r\n";
        executeHead = "POST " + Routes.EXECUTE + common + authorization
                + "Content-Type: application/json\r\n"
                + (settings.clientGzip() == ClientGzip.NONE ? "" : "Accept-Encoding: gzip\r\n")
                + "Prefer: wait=99999\r\nIdempotency-Key: \"";
        cancelHead = "DELETE " + Routes.TASKS + "/";
        cancelEnd = common + authorization + "\r\n";
    }

    @Override
    public CompletableFuture<Health> health() {
        return call(false, healthRequest, wire::decodeHealth);
    }

    @Override
    public CompletableFuture<VersionInfo> version() {
        return call(false, versionRequest, wire::decodeVersion);
    }

    @Override
    public CompletableFuture<TaskResult> execute(Invocation invocation, ExecutionListener listener) {
        byte[] json = wire.encode(invocation);
        boolean packs = packsRequests && json.length >= Gzip.WORTH_IT;
        byte[] body = packs ? Gzip.pack(json) : json;
        byte[] head = ascii(executeHead + invocation.taskId() + "\"\r\n" + (packs ? "Content-Encoding: gzip\r\n" : "")
                + "Content-Length: " + body.length + "\r\n\r\n");
        byte[] request = Arrays.copyOf(head, head.length + body.length);
        System.arraycopy(body, 0, request, head.length, body.length);
        CompletableFuture<TaskResult> result = call(true, request, bytes -> wire.decodeResult(bytes, invocation));
        result.whenComplete((value, failure) -> {
            if (result.isCancelled()) {
                // The slave keeps a task that has an id, whoever goes. One that does not know this path ends it by
                // itself.
                CompletableFuture<byte[]> cancel =
                        call(false, ascii(cancelHead + invocation.taskId() + cancelEnd), bytes -> bytes);
                cancels.add(cancel);
                cancel.whenComplete((answer, error) -> cancels.remove(cancel));
            }
        });
        return result;
    }

    private <T> CompletableFuture<T> call(boolean task, byte[] request, Function<byte[], T> decode) {
        Exchange<T> exchange = new Exchange<>(slave, task, request, decode);
        CompletableFuture<T> future = exchange.future();
        try {
            loop.execute(() -> pool.submit(exchange));
        } catch (RejectedExecutionException e) {
            exchange.failed(
                    new SlaveUnreachableException("the transport to " + slave + " is closed; nothing was sent", e));
            return future;
        }
        future.whenComplete((value, failure) -> {
            if (future.isCancelled()) {
                onLoop(() -> pool.abandon(exchange));
            }
        });
        return future;
    }

    /** Is done when the slave has heard of every task that was given up, or does not take it in for a moment. */
    CompletableFuture<Void> goodbye() {
        return CompletableFuture.allOf(cancels.toArray(CompletableFuture[]::new))
                .orTimeout(GOODBYE_SECONDS, TimeUnit.SECONDS)
                .exceptionally(late -> null);
    }

    @Override
    public void close() {
        var unused = goodbye().whenComplete((nothing, failure) -> {
            onLoop(pool::close);
            whenClosed.accept(this);
        });
    }

    private void onLoop(Runnable action) {
        try {
            loop.execute(action);
        } catch (RejectedExecutionException e) {
            // The loop has ended, and with it every connection.
        }
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private static String version(Class<?> here) {
        try (InputStream in = here.getResourceAsStream("transport.properties")) {
            Properties properties = new Properties();
            if (in != null) {
                properties.load(in);
            }
            return properties.getProperty("version", "unknown");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
