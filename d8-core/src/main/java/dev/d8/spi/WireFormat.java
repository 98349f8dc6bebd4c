package dev.d8.spi;

import dev.d8.Health;
import dev.d8.InvalidTaskException;
import dev.d8.Invocation;
import dev.d8.SlaveUpdate;
import dev.d8.Slots;
import dev.d8.TaskEvent;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.TaskState;
import dev.d8.VersionInfo;
import dev.d8.internal.JsonWireFormat;
import java.util.List;
import java.util.Optional;

/**
 * How D8's values look as bytes, for transports. Thread-safe.
 *
 * <p>Reading is strict about what it knows (a field of the wrong type fails and is named) and blind to what it does not
 * know, so that older and newer peers understand each other.
 */
public interface WireFormat {

    /** Returns D8's JSON: UTF-8, snake_case, the original protocol's fields first. */
    static WireFormat json() {
        return JsonWireFormat.INSTANCE;
    }

    /** Writes a health answer. */
    byte[] encode(Health health);

    /** Writes a version answer. */
    byte[] encode(VersionInfo version);

    /** Writes an invocation. */
    byte[] encode(Invocation invocation);

    /** Writes a result. */
    byte[] encode(TaskResult result);

    /**
     * Writes how much a slave can run.
     *
     * @param queued how many tasks wait
     */
    byte[] encode(Slots slots, int queued);

    /** Writes what is known of a task. */
    byte[] encode(TaskState state);

    /** Writes an event; a result without what the task wrote, which its follower has heard. */
    byte[] encode(TaskEvent event);

    /** Writes what came of asking for an update. */
    byte[] encode(SlaveUpdate update);

    /** Writes a call for an update. */
    byte[] encodeUpdate(String commit);

    /** Writes an error answer. */
    byte[] encodeError(String message);

    /**
     * Reads a health answer.
     *
     * @throws InvalidTaskException if it is malformed; the message names the field
     */
    Health decodeHealth(byte[] bytes);

    /**
     * Reads a version answer.
     *
     * @throws InvalidTaskException if it is malformed; the message names the field
     */
    VersionInfo decodeVersion(byte[] bytes);

    /**
     * Reads a call, which may have an id that its caller will ask for it by.
     *
     * @param key the id that came beside the bytes, if one did
     * @throws InvalidTaskException if it is malformed, or the ids differ; the message names the field
     */
    Call decodeCall(byte[] bytes, Optional<TaskId> key);

    /**
     * What a caller asks for.
     *
     * @param keyed whether the caller chose the task's id
     */
    record Call(Invocation invocation, boolean keyed) {}

    /**
     * Reads several calls at once.
     *
     * @throws InvalidTaskException if there is no list of them; what is wrong with one of them is told in its place
     */
    List<BatchedCall> decodeBatch(byte[] bytes);

    /**
     * One of several calls: what it asks for, or what is wrong with it.
     *
     * @param call there if and only if {@code trouble} is not
     */
    record BatchedCall(Optional<Call> call, Optional<InvalidTaskException> trouble) {}

    /**
     * Reads an invocation.
     *
     * @throws InvalidTaskException if it is malformed; the message names the field
     */
    Invocation decodeInvocation(byte[] bytes);

    /**
     * Reads a result, an original slave's too.
     *
     * @param sent what was asked: it gives the task id where the slave sends none
     * @throws InvalidTaskException if it is malformed; the message names the field
     */
    TaskResult decodeResult(byte[] bytes, Invocation sent);

    /**
     * Reads an event.
     *
     * @param task whose it is
     * @return nothing if it is of a kind that this side does not know
     * @throws InvalidTaskException if it is malformed; the message names the field
     */
    Optional<TaskEvent> decodeEvent(byte[] bytes, TaskId task);

    /**
     * Reads what is known of a task.
     *
     * @param task whose it is
     * @throws InvalidTaskException if it is malformed; the message names the field
     */
    TaskState decodeState(byte[] bytes, TaskId task);

    /**
     * Reads a call for an update.
     *
     * @return the commit, as it came
     * @throws InvalidTaskException if it is malformed; the message names the field
     */
    String decodeUpdate(byte[] bytes);

    /**
     * Reads what came of asking for an update.
     *
     * @throws InvalidTaskException if it is malformed; the message names the field
     */
    SlaveUpdate decodeUpdated(byte[] bytes);

    /** Reads an error answer; whatever the bytes are, returns something that can be shown on one line. */
    String decodeError(byte[] bytes);
}
