package dev.d8.transport.netty;

import dev.d8.D8Exception;
import dev.d8.UnknownOutcomeException;
import io.netty.handler.codec.http.HttpHeaders;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * One call of a client: what is sent, and the future that its answer completes. Apart from the future, used on the
 * client's event loop only.
 */
final class Exchange<T> {

    private final HttpAddress slave;
    private final boolean task;
    private final byte[] request;
    private final Function<byte[], T> decode;
    private final CompletableFuture<T> future = new CompletableFuture<>();

    private @Nullable ClientConnection connection;
    private boolean retried;

    /**
     * Creates one.
     *
     * @param task whether it runs a task, so that it must not be sent twice
     * @param request head and body
     * @param decode reads the body of a good answer
     */
    Exchange(HttpAddress slave, boolean task, byte[] request, Function<byte[], T> decode) {
        this.slave = slave;
        this.task = task;
        this.request = request;
        this.decode = decode;
    }

    CompletableFuture<T> future() {
        return future;
    }

    boolean task() {
        return task;
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
        try {
            future.complete(AnswerMeaning.of(slave, task, status, headers, body, decode));
        } catch (D8Exception e) {
            future.completeExceptionally(e);
        }
    }

    void failed(D8Exception failure) {
        future.completeExceptionally(failure);
    }

    /** Fails as one whose answer cannot be read. */
    void unreadable(String why, @Nullable Throwable cause) {
        failed(AnswerMeaning.unreadable(slave, task, why, cause));
    }

    /** Fails as one whose connection ended before its answer. */
    void lost(String why, @Nullable Throwable cause) {
        failed(new UnknownOutcomeException(
                UnknownOutcomeException.Reason.CONNECTION_LOST,
                "slave " + slave + ": the connection ended before the answer was complete: " + why,
                cause));
    }
}
