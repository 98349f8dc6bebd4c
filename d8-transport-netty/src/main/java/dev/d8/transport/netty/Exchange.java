package dev.d8.transport.netty;

import dev.d8.D8Exception;
import dev.d8.TaskEvent;
import dev.d8.UnknownOutcomeException;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * One call of a client: what is sent, and the future that its answer completes. Apart from the future, used on the
 * client's event loop only.
 */
final class Exchange<T> {

    /** What a call is about. */
    enum Kind {
        /** How the slave or a task is: quickly answered, and sent twice it does no harm. */
        QUESTION,
        /** The same, and the answer may take a minute. */
        PATIENT_QUESTION,
        /** An update of the slave: sent twice it does no harm, and the answer may take minutes. */
        UPDATE,
        /** A task, which must not be sent twice. */
        TASK
    }

    private static final int NOT_FOUND = 404;

    private final HttpAddress slave;
    private final Kind kind;
    private final byte[] request;
    private final Function<byte[], T> decode;
    private final CompletableFuture<T> future = new CompletableFuture<>();

    private final @Nullable Streaming<T> streaming;
    private final Map<Integer, T> meanings;

    private @Nullable ClientConnection connection;
    private boolean retried;

    /**
     * Creates one.
     *
     * @param request head and body
     * @param decode reads the body of a good answer
     * @param streaming reads one that comes as events instead; nothing if none was asked for
     * @param meanings what certain statuses other than 200 and 202 mean
     */
    Exchange(
            HttpAddress slave,
            Kind kind,
            byte[] request,
            Function<byte[], T> decode,
            @Nullable Streaming<T> streaming,
            Map<Integer, T> meanings) {
        this.streaming = streaming;
        this.meanings = meanings;
        this.slave = slave;
        this.kind = kind;
        this.request = request;
        this.decode = decode;
    }

    /**
     * An answer that comes as events.
     *
     * @param reader takes them
     * @param result what the last one means
     */
    record Streaming<T>(EventReader reader, Function<TaskEvent, T> result) {}

    /** Returns what reads an answer with such a head; nothing where its body is read as a whole. */
    @Nullable
    EventReader reader(HttpResponse head) {
        boolean events = head.status().equals(HttpResponseStatus.OK)
                && head.headers().get(HttpHeaderNames.CONTENT_TYPE, "").startsWith(TaskCalls.EVENT_STREAM);
        return streaming != null && events ? streaming.reader() : null;
    }

    /** Hears that its events are over. */
    void streamed() {
        if (streaming == null) {
            return;
        }
        TaskEvent last = streaming.reader().last();
        if (last == null) {
            lost("the events ended without a result", null);
            return;
        }
        streaming.reader().afterwards(() -> {
            try {
                future.complete(streaming.result().apply(last));
            } catch (D8Exception e) {
                failed(e);
            } catch (RuntimeException e) {
                unreadable(String.valueOf(e.getMessage()), e);
            }
        });
    }

    CompletableFuture<T> future() {
        return future;
    }

    Kind kind() {
        return kind;
    }

    byte[] request() {
        return request;
    }

    /** Returns the connection that carries it; nothing before it is sent. */
    @Nullable
    ClientConnection connection() {
        return connection;
    }

    void carriedBy(ClientConnection carrier) {
        connection = carrier;
    }

    /** Says that it has to go out once more, on a fresh connection. */
    void retry() {
        retried = true;
        connection = null;
    }

    boolean retried() {
        return retried;
    }

    void answered(int status, HttpHeaders headers, byte[] body) {
        T meaning = meanings.get(status);
        if (meaning != null && (status != NOT_FOUND || headers.contains(TaskCalls.NEVER_CAME))) {
            future.complete(meaning);
            return;
        }
        try {
            future.complete(AnswerMeaning.of(slave, kind, status, headers, body, decode));
        } catch (D8Exception e) {
            future.completeExceptionally(e);
        }
    }

    void failed(D8Exception failure) {
        future.completeExceptionally(failure);
    }

    /** Fails as one whose answer cannot be read. */
    void unreadable(String why, @Nullable Throwable cause) {
        failed(AnswerMeaning.unreadable(slave, kind, why, cause));
    }

    /** Fails as one whose connection ended before its answer. */
    void lost(String why, @Nullable Throwable cause) {
        if (streaming != null && streaming.reader().last() != null) {
            streamed(); // All that matters has come.
            return;
        }
        failed(new UnknownOutcomeException(
                UnknownOutcomeException.Reason.CONNECTION_LOST,
                "slave " + slave + ": the connection ended before the answer was complete: " + why,
                cause));
    }
}
