package dev.d8.transport.netty;

import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.SlaveUnreachableException;
import dev.d8.SlaveUpdate;
import dev.d8.TaskEvent;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.TaskState;
import dev.d8.VersionInfo;
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.WireFormat;
import dev.d8.transport.netty.Exchange.Kind;
import dev.d8.transport.netty.HttpSettings.ClientGzip;
import io.netty.channel.EventLoop;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A slave's client. Its futures complete on an event loop: what hangs on them must not block. Thread-safe.
 *
 * <p>A request is never sent twice, with one exception: a health or version check that met a connection which the slave
 * had just closed goes out once more.
 */
final class HttpSlaveClient implements SlaveClient {

    private static final int GOODBYE_SECONDS = 2;
    private static final int NOT_FOUND = 404;
    private static final int GONE = 410;

    private final Set<CompletableFuture<?>> cancels = ConcurrentHashMap.newKeySet();
    private final HttpAddress slave;
    private final EventLoop loop;
    private final ConnectionPool pool;
    private final Consumer<HttpSlaveClient> whenClosed;
    private final WireFormat wire = WireFormat.json();
    private final byte[] healthRequest;
    private final byte[] versionRequest;
    private final boolean packsRequests;
    private final String executeHead;
    private final String aloudHead;
    private final String submitHead;
    private final String updateHead;
    private final String taskEnd;
    private final Executor threads;
    private final int maxAnswer;

    HttpSlaveClient(
            HttpSettings settings,
            NettyIo io,
            Executor threads,
            @Nullable TlsContext tls,
            HttpAddress slave,
            Credentials credentials,
            Consumer<HttpSlaveClient> whenClosed) {
        this.slave = slave;
        this.loop = io.loops().next();
        this.pool = new ConnectionPool(settings, slave, loop, new Connector(settings, io, loop, threads, tls, slave));
        this.whenClosed = whenClosed;
        this.threads = threads;
        this.maxAnswer = settings.maxAnswer();
        this.packsRequests = settings.clientGzip() == ClientGzip.BOTH;
        String common =
                " HTTP/1.1\r\nHost: " + slave.authority() + "\r\nUser-Agent: d8/" + version(getClass()) + "\r\n";
        String authorization = "Authorization: Bearer " + credentials.token().reveal() + "\r\n";
        String json = "Accept: application/json\r\n";
        String gzip = settings.clientGzip() == ClientGzip.NONE ? "" : "Accept-Encoding: gzip\r\n";
        String task = common + authorization + "Content-Type: application/json\r\n" + gzip;
        String key = "Prefer: wait=99999\r\nIdempotency-Key: \"";
        healthRequest = ascii("GET " + Routes.HEALTH + common + json + "\r\n");
        versionRequest = ascii("GET " + Routes.VERSION + common + json + "\r\n");
        executeHead = "POST " + Routes.EXECUTE + task + json + key;
        aloudHead =
                "POST " + Routes.EXECUTE + task + "Accept: " + TaskCalls.EVENT_STREAM + ", application/json\r\n" + key;
        submitHead = "POST " + Routes.TASKS + task + json + key;
        updateHead = "POST " + Routes.UPDATE + task + json;
        taskEnd = common + authorization + gzip + "\r\n";
    }

    @Override
    public CompletableFuture<Health> health() {
        return call(new Exchange<>(slave, Kind.QUESTION, healthRequest, wire::decodeHealth, null, Map.of()));
    }

    @Override
    public CompletableFuture<VersionInfo> version() {
        return call(new Exchange<>(slave, Kind.QUESTION, versionRequest, wire::decodeVersion, null, Map.of()));
    }

    @Override
    public CompletableFuture<TaskResult> execute(Invocation invocation, ExecutionListener listener) {
        CompletableFuture<TaskResult> result =
                listener == ExecutionListener.NONE ? execute(invocation) : executeAloud(invocation, listener);
        result.whenComplete((value, failure) -> {
            if (result.isCancelled()) {
                // The slave keeps a task that has an id, whoever goes. One that does not know this path ends it by
                // itself.
                CompletableFuture<TaskState> cancel = cancel(invocation.taskId());
                cancels.add(cancel);
                cancel.whenComplete((answer, error) -> cancels.remove(cancel));
            }
        });
        return result;
    }

    private CompletableFuture<TaskResult> execute(Invocation invocation) {
        return call(new Exchange<>(
                slave,
                Kind.TASK,
                post(executeHead, invocation),
                bytes -> wire.decodeResult(bytes, invocation),
                null,
                Map.of()));
    }

    /** A slave that tells nothing of a task while it runs, as the original does, answers as ever. */
    private CompletableFuture<TaskResult> executeAloud(Invocation invocation, ExecutionListener listener) {
        HeardTask heard = new HeardTask(slave, listener, maxAnswer);
        EventReader reader = new EventReader(invocation.taskId(), heard, threads);
        CompletableFuture<TaskResult> spoken = call(new Exchange<>(
                slave,
                Kind.TASK,
                post(aloudHead, invocation),
                bytes -> wire.decodeResult(bytes, invocation),
                new Exchange.Streaming<>(reader, heard::result),
                Map.of()));
        CompletableFuture<TaskResult> result = new CompletableFuture<>();
        spoken.whenComplete((value, failure) -> {
            if (failure != null) {
                result.completeExceptionally(failure);
            } else if (heard.everything()) {
                result.complete(value);
            } else {
                var unused = find(invocation.taskId(), Duration.ZERO).whenComplete((state, trouble) -> {
                    Optional<TaskResult> whole = trouble == null ? state.flatMap(TaskState::result) : Optional.empty();
                    result.complete(whole.orElse(value)); // Else as much of it as was heard.
                });
            }
        });
        result.whenComplete((value, failure) -> {
            if (result.isCancelled()) {
                spoken.cancel(true);
            }
        });
        return result;
    }

    @Override
    public CompletableFuture<TaskState> submit(Invocation invocation) {
        return call(new Exchange<>(
                slave,
                Kind.TASK,
                post(submitHead, invocation),
                bytes -> wire.decodeState(bytes, invocation.taskId()),
                null,
                Map.of(GONE, TaskState.of(invocation.taskId(), TaskState.Phase.FORGOTTEN))));
    }

    @Override
    public CompletableFuture<Optional<TaskState>> find(TaskId id, Duration wait) {
        return call(new Exchange<>(
                slave,
                wait.isZero() ? Kind.QUESTION : Kind.PATIENT_QUESTION,
                ascii("GET " + Routes.TASK + id + (wait.isZero() ? "" : "?wait=" + wait.toMillis() / 1000.0) + taskEnd),
                bytes -> Optional.of(wire.decodeState(bytes, id)),
                null,
                Map.of(NOT_FOUND, Optional.empty(), GONE, Optional.of(TaskState.of(id, TaskState.Phase.FORGOTTEN)))));
    }

    @Override
    public CompletableFuture<TaskState> cancel(TaskId id) {
        return call(new Exchange<>(
                slave,
                Kind.QUESTION,
                ascii("DELETE " + Routes.TASK + id + taskEnd),
                bytes -> wire.decodeState(bytes, id),
                null,
                Map.of()));
    }

    @Override
    public CompletableFuture<Optional<TaskEvent>> follow(TaskId id, long from, Consumer<TaskEvent> listener) {
        return call(new Exchange<>(
                slave,
                Kind.PATIENT_QUESTION,
                ascii("GET " + Routes.TASK + id + Routes.EVENTS + "?from=" + from + taskEnd),
                bytes -> {
                    throw new IllegalArgumentException("no events");
                },
                new Exchange.Streaming<>(new EventReader(id, listener, threads), Optional::of),
                Map.of(NOT_FOUND, Optional.empty())));
    }

    @Override
    public CompletableFuture<SlaveUpdate> update(String commit) {
        return call(new Exchange<>(
                slave,
                Kind.UPDATE,
                request(updateHead, wire.encodeUpdate(commit)),
                wire::decodeUpdated,
                null,
                Map.of()));
    }

    private byte[] post(String beginning, Invocation invocation) {
        return request(beginning + invocation.taskId() + "\"\r\n", wire.encode(invocation));
    }

    private byte[] request(String beginning, byte[] json) {
        boolean packs = packsRequests && json.length >= Gzip.WORTH_IT;
        byte[] body = packs ? Gzip.pack(json) : json;
        byte[] head = ascii(beginning + (packs ? "Content-Encoding: gzip\r\n" : "") + "Content-Length: " + body.length
                + "\r\n\r\n");
        byte[] request = Arrays.copyOf(head, head.length + body.length);
        System.arraycopy(body, 0, request, head.length, body.length);
        return request;
    }

    private <T> CompletableFuture<T> call(Exchange<T> exchange) {
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
