package dev.d8.executor.python.engine;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/** An agent in a process of its own on this machine, started for one task. */
final class ProcessLink implements AgentLink {

    /** Stands for the end of the stream in the queue, which takes no null. */
    private static final Frame END = new Frame('\0', new byte[0]);

    /** More than the agent's own grace and sweep. */
    private static final long AGENT_GRACE_SECONDS = 8;

    private final Process process;
    private final OutputStream out;
    // A thread that blocks in a read from a process cannot be interrupted, one that waits for a queue can. The bound
    // pushes back: a full queue stops the reading, then the agent, then the task.
    private final BlockingQueue<Frame> frames = new ArrayBlockingQueue<>(16);
    private volatile boolean closed;

    ProcessLink(String python, Map<String, String> environment, Executor readers) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(AgentProgram.command(python));
        builder.environment().clear();
        builder.environment().putAll(environment);
        process = builder.start();
        out = process.getOutputStream();
        try {
            readers.execute(this::readFrames);
        } catch (RejectedExecutionException e) {
            process.destroyForcibly();
            throw new IOException("the executor is closed", e);
        }
    }

    private void readFrames() {
        try (InputStream in = process.getInputStream()) {
            for (Frame frame = Frame.read(in); frame != null && !closed; frame = Frame.read(in)) {
                frames.put(frame);
            }
        } catch (IOException e) {
            // Whoever waits learns it from the end of the stream.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return;
        }
        try {
            frames.put(END);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public void send(byte[] bytes) throws IOException {
        out.write(bytes);
        out.flush();
    }

    @Override
    public @Nullable Frame receive(Duration timeout) throws InterruptedException, TimeoutException {
        Frame frame = frames.poll(timeout.toNanos(), TimeUnit.NANOSECONDS);
        if (frame == null) {
            throw new TimeoutException();
        }
        return frame.kind() == END.kind() ? null : frame;
    }

    @Override
    public String diagnosis() {
        return AgentProgram.lastWords(process);
    }

    @Override
    public void close() {
        closed = true;
        frames.clear(); // Frees a reader that waits for room.
        try {
            out.close(); // The end of its standard input tells a live agent to end its task and itself.
        } catch (IOException e) {
            // It is gone already.
        }
        // A task of the same user may have stopped the agent, which then ends nothing any more, itself included.
        var unused = process.onExit()
                .orTimeout(AGENT_GRACE_SECONDS, TimeUnit.SECONDS)
                .whenComplete((ended, late) -> {
                    if (late != null) {
                        process.descendants().forEach(ProcessHandle::destroyForcibly);
                    }
                    process.destroyForcibly(); // Closes what is still open of a process that has ended, too.
                });
    }
}
