package dev.d8;

import org.jspecify.annotations.Nullable;

/**
 * Something between a task and its result went wrong, as opposed to the task itself, whose failure is a
 * {@link TaskResult}.
 *
 * <p>The subclasses are the failure classes that decide what may be sent again:
 *
 * <table>
 * <caption>What each means for a task that was on its way</caption>
 * <tr><th>class</th><th>the task</th><th>the master</th></tr>
 * <tr><td>{@link SlaveUnreachableException}</td><td>did not leave this machine</td><td>tries again, any slave</td></tr>
 * <tr><td>{@link SlaveRefusedException}, {@link VersionMismatchException}, {@link NoExecutorException},
 *     {@link TaskWithdrawnException}</td>
 *     <td>was turned away</td><td>goes elsewhere</td></tr>
 * <tr><td>{@link UnauthorizedException}, {@link InvalidTaskException}, {@link ProtocolException},
 *     {@link TaskIdTakenException}</td>
 *     <td>was turned away</td><td>fails: it would be turned away again</td></tr>
 * <tr><td>{@link TaskForgottenException}</td><td>has run</td><td>fails</td></tr>
 * <tr><td>{@link UnknownOutcomeException}</td><td>may have run</td><td>fails, unless the task is idempotent</td></tr>
 * <tr><td>{@link NoSlaveException}, {@link ConfigurationException}, {@link QueueFullException},
 *     {@link NotRecordedException}, {@link DeadlineExceededException}</td>
 *     <td>did not leave this machine</td><td>fails</td></tr>
 * <tr><td>{@link MasterClosedException}</td><td>may run on, or be gone on with by the next master</td><td>is gone</td></tr>
 * </table>
 *
 * <p>{@link UpdateRefusedException} is about no task.
 */
public abstract sealed class D8Exception extends RuntimeException
        permits ConfigurationException,
                DeadlineExceededException,
                InvalidTaskException,
                MasterClosedException,
                NoExecutorException,
                NoSlaveException,
                NotRecordedException,
                ProtocolException,
                QueueFullException,
                SlaveRefusedException,
                SlaveUnreachableException,
                TaskForgottenException,
                TaskIdTakenException,
                TaskWithdrawnException,
                UnauthorizedException,
                UnknownOutcomeException,
                UpdateRefusedException,
                VersionMismatchException {

    private static final long serialVersionUID = 1L;

    D8Exception(String message, @Nullable Throwable cause) {
        super(message, cause);
    }

    /** Returns whether the task certainly did not start, so that sending it again cannot run it twice. */
    public boolean retrySafe() {
        return true;
    }
}
