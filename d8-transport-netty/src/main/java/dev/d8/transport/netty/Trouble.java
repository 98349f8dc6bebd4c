package dev.d8.transport.netty;

import dev.d8.InvalidTaskException;
import dev.d8.NoExecutorException;
import dev.d8.SlaveRefusedException;
import dev.d8.TaskForgottenException;
import dev.d8.TaskIdTakenException;
import dev.d8.UpdateRefusedException;
import io.netty.handler.codec.http.HttpResponseStatus;
import java.util.concurrent.CompletionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Why a slave does not do what it is asked for, as HTTP tells it.
 *
 * @param cause what the slave threw
 */
record Trouble(HttpResponseStatus status, String message, Throwable cause) {

    private static final Logger log = LoggerFactory.getLogger(Trouble.class);

    /** Finds the words for a failure; one that nobody has words for is the slave's own fault, and logged. */
    static Trouble of(Throwable failure) {
        Throwable cause =
                failure instanceof CompletionException && failure.getCause() != null ? failure.getCause() : failure;
        HttpResponseStatus status = status(cause);
        if (status.equals(HttpResponseStatus.INTERNAL_SERVER_ERROR)) {
            log.error("a call failed inside the slave", cause);
            return new Trouble(status, "internal error", cause);
        }
        String message = cause.getMessage();
        return new Trouble(status, message == null ? cause.getClass().getSimpleName() : message, cause);
    }

    private static HttpResponseStatus status(Throwable cause) {
        if (cause instanceof InvalidTaskException) {
            return HttpResponseStatus.BAD_REQUEST;
        }
        if (cause instanceof NoExecutorException || cause instanceof TaskIdTakenException) {
            return HttpResponseStatus.UNPROCESSABLE_ENTITY;
        }
        if (cause instanceof TaskForgottenException) {
            return HttpResponseStatus.GONE;
        }
        if (cause instanceof UpdateRefusedException update) {
            return update.reason() == UpdateRefusedException.Reason.OFF
                    ? HttpResponseStatus.FORBIDDEN
                    : HttpResponseStatus.CONFLICT;
        }
        if (cause instanceof SlaveRefusedException refused) {
            return refused.reason() == SlaveRefusedException.Reason.QUEUE_FULL
                    ? HttpResponseStatus.TOO_MANY_REQUESTS
                    : HttpResponseStatus.SERVICE_UNAVAILABLE;
        }
        return HttpResponseStatus.INTERNAL_SERVER_ERROR;
    }

    /** Returns whether the task certainly did not start and may be had elsewhere or later. */
    boolean notStarted() {
        return cause instanceof SlaveRefusedException;
    }

    Answer answer() {
        if (cause instanceof SlaveRefusedException refused) {
            long seconds =
                    Math.max(1, refused.retryAfter().plusNanos(999_999_999).toSeconds());
            return Answer.error(status, "Retry-After: " + seconds + "\r\nD8-Not-Started: true\r\n", message);
        }
        return Answer.error(status, message);
    }
}
