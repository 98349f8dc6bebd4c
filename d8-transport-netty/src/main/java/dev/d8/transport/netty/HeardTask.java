package dev.d8.transport.netty;

import dev.d8.D8Exception;
import dev.d8.Output;
import dev.d8.SlaveRefusedException;
import dev.d8.TaskEvent;
import dev.d8.TaskResult;
import dev.d8.UnknownOutcomeException;
import dev.d8.spi.ExecutionListener;
import java.io.ByteArrayOutputStream;
import java.time.Duration;
import java.util.EnumMap;
import java.util.Map;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A task that is listened to while it runs: passes on what is heard, and puts its result together at the end. */
final class HeardTask implements Consumer<TaskEvent> {

    private static final Logger log = LoggerFactory.getLogger(HeardTask.class);

    private final HttpAddress slave;
    private final ExecutionListener listener;
    private final int most;
    private final Map<ExecutionListener.Stream, ByteArrayOutputStream> written =
            new EnumMap<>(ExecutionListener.Stream.class);
    private boolean listening = true;
    private boolean missed;

    /**
     * Creates one.
     *
     * @param most that is kept of each stream, in bytes
     */
    HeardTask(HttpAddress slave, ExecutionListener listener, int most) {
        this.slave = slave;
        this.listener = listener;
        this.most = most;
        for (ExecutionListener.Stream stream : ExecutionListener.Stream.values()) {
            written.put(stream, new ByteArrayOutputStream());
        }
    }

    @Override
    public void accept(TaskEvent event) {
        if (event instanceof TaskEvent.Wrote wrote) {
            ByteArrayOutputStream all = written(wrote.stream());
            if (all.size() + wrote.bytes().length > most) {
                missed = true;
            } else {
                all.writeBytes(wrote.bytes());
            }
        } else if (event instanceof TaskEvent.Skipped) {
            missed = true;
        }
        if (listening) {
            try {
                tell(event);
            } catch (RuntimeException e) {
                listening = false;
                log.warn("a task's listener failed and hears no more", e);
            }
        }
    }

    private void tell(TaskEvent event) {
        if (event instanceof TaskEvent.Started) {
            listener.started();
        } else if (event instanceof TaskEvent.Wrote wrote) {
            listener.output(wrote.stream(), wrote.bytes());
        } else if (event instanceof TaskEvent.Progressed progressed) {
            listener.progress(progressed.percent(), progressed.message());
        }
    }

    private ByteArrayOutputStream written(ExecutionListener.Stream stream) {
        return written.computeIfAbsent(stream, any -> new ByteArrayOutputStream());
    }

    /** Returns whether nothing was missed of what the task wrote. */
    boolean everything() {
        return !missed;
    }

    /**
     * Returns the result, with as much of the output as was heard.
     *
     * @throws D8Exception if there is none
     */
    TaskResult result(TaskEvent last) {
        if (last instanceof TaskEvent.Ended ended) {
            TaskResult bare = ended.result();
            return new TaskResult(
                    bare.taskId(),
                    bare.method(),
                    bare.termination(),
                    whole(ExecutionListener.Stream.STDOUT, bare.stdout()),
                    whole(ExecutionListener.Stream.STDERR, bare.stderr()),
                    bare.commit(),
                    bare.usage(),
                    bare.timing(),
                    bare.executor(),
                    bare.rejected(),
                    bare.leftoverProcessesKilled());
        }
        String why = last instanceof TaskEvent.Failed failed ? failed.message() : "no result";
        if (last instanceof TaskEvent.Failed failed && failed.notStarted()) {
            throw new SlaveRefusedException(SlaveRefusedException.Reason.DRAINING, Duration.ofSeconds(1), why);
        }
        throw new UnknownOutcomeException(
                UnknownOutcomeException.Reason.SLAVE_ERROR, "slave " + slave + " failed: " + why, null);
    }

    private Output whole(ExecutionListener.Stream stream, Output bare) {
        byte[] heard = written(stream).toByteArray();
        return Output.of(heard, Math.max(heard.length, bare.totalBytes()));
    }
}
