package dev.d8.executor.python.engine;

import dev.d8.ExecutorInfo;
import dev.d8.Invocation;
import dev.d8.Limits;
import dev.d8.Output;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.Usage;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionListener.Stream;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.TimeSource;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One task's talk with its agent: hands it over, collects what it prints, and turns the verdict into an outcome. The
 * agent keeps the time-out; this side only steps in when the agent itself falls silent.
 */
public final class AgentConversation {

    private static final Logger LOG = LoggerFactory.getLogger(AgentConversation.class);

    /** What the agent may take beyond the task's time-out: its grace, its sweep, and a slow machine. */
    private static final Duration AGENT_MARGIN = Duration.ofSeconds(15);

    private static final int SIGKILL = 9;
    private static final int SIGXCPU = 24;

    private final AgentLink link;
    private final byte[] request;
    private final Invocation invocation;
    private final ExecutionListener listener;
    private final TimeSource time;
    private final boolean warm;
    private final List<String> walls;

    private final ByteArrayOutputStream stdout = new ByteArrayOutputStream();
    private final ByteArrayOutputStream stderr = new ByteArrayOutputStream();
    private @Nullable Map<String, String> started;
    private Duration startup = Duration.ZERO;
    private boolean listening = true;
    private boolean over;
    private Optional<ProcessHandle> process = Optional.empty();

    /**
     * Prepares a conversation; {@link #run} holds it.
     *
     * @param link an agent that has been greeted and waits for a task; the caller closes it
     * @param request what is sent to it; see {@link AgentProgram#request}
     * @param warm whether the agent was started ahead of the task
     * @param walls what stands around the agent beyond what it reports itself, such as {@code container}
     */
    public AgentConversation(
            AgentLink link,
            byte[] request,
            Invocation invocation,
            ExecutionListener listener,
            TimeSource time,
            boolean warm,
            List<String> walls) {
        this.link = link;
        this.request = request;
        this.invocation = invocation;
        this.listener = listener;
        this.time = time;
        this.warm = warm;
        this.walls = List.copyOf(walls);
    }

    /**
     * Runs the task to its end.
     *
     * @param began when the executor was called, for the start-up time
     * @throws InterruptedException if the thread was interrupted; the task has been ended then
     */
    public ExecutionOutcome run(long began) throws InterruptedException {
        try {
            link.send(request);
        } catch (IOException e) {
            // It went away before it took the task; its last frames, if any, are read below and say why.
        }
        long silentAt =
                time.nanoTime() + invocation.timeout().plus(AGENT_MARGIN).toNanos();
        try {
            while (true) {
                Frame frame = link.receive(Duration.ofNanos(Math.max(0, silentAt - time.nanoTime())));
                if (frame == null) {
                    return lost("the Python process went away: " + link.diagnosis());
                }
                switch (frame.kind()) {
                    case 'A' -> started(frame.fields(), began);
                    case 'O' -> collect(stdout, Stream.STDOUT, frame.payload());
                    case 'E' -> collect(stderr, Stream.STDERR, frame.payload());
                    case 'F' -> {
                        over = true;
                        return ExecutionOutcome.notStarted(Status.START_FAILED, frame.text(), info(List.of()));
                    }
                    case 'X' -> {
                        over = true;
                        return verdict(frame.fields());
                    }
                    default -> {
                        return lost("the Python process sent a frame of unknown kind");
                    }
                }
            }
        } catch (TimeoutException e) {
            return lost("the Python process fell silent");
        } catch (InterruptedException e) {
            awaitEnd();
            throw e;
        }
    }

    private void started(Map<String, String> fields, long began) {
        boolean first = started == null; // It comes again where a process was killed before it could take its task.
        started = fields;
        startup = time.since(began);
        // Taken now, since a pid may be another process's by the time that it is needed. There is none where the
        // agent's
        // end ends the task, whose pid is not this machine's then.
        process = walls.isEmpty() && fields.containsKey("pid")
                ? ProcessHandle.of(number(fields, "pid"))
                : Optional.empty();
        if (first) {
            tell(ExecutionListener::started);
        }
    }

    /** Returns whether the task has ended as its supervisor saw it, so that the link is free for another one. */
    public boolean over() {
        return over;
    }

    /** Returns whether the agent went away before the task can have started, so that another one may have it. */
    public boolean lostBeforeStart() {
        return !over && started == null;
    }

    /** Cancels and waits until the agent has ended the tree, so that nothing runs on when the caller moves on. */
    private void awaitEnd() {
        try {
            link.send(AgentProgram.cancellation());
            long until = time.nanoTime() + AGENT_MARGIN.toNanos();
            Frame frame;
            do {
                frame = link.receive(Duration.ofNanos(Math.max(0, until - time.nanoTime())));
                over = frame != null && (frame.kind() == 'X' || frame.kind() == 'F');
            } while (frame != null && !over);
        } catch (IOException e) {
            // The agent is gone, and the task with it.
        } catch (TimeoutException e) {
            LOG.warn("task {}: cancelled, but its Python process does not answer; it is ended", invocation.taskId());
        } catch (InterruptedException e) {
            LOG.warn("task {}: interrupted twice while it is ended", invocation.taskId());
        }
    }

    /** The agent keeps the limit, too; but an agent that lies must not fill our memory. */
    private void collect(ByteArrayOutputStream sink, Stream stream, byte[] chunk) {
        long room = invocation.limits().outputBytes().orElse(Limits.DEFAULT_OUTPUT_BYTES) - sink.size();
        byte[] kept = chunk.length <= room ? chunk : Arrays.copyOf(chunk, (int) Math.max(0, room));
        if (kept.length > 0) {
            sink.writeBytes(kept);
            tell(to -> to.output(stream, kept));
        }
    }

    private void tell(java.util.function.Consumer<ExecutionListener> notice) {
        if (listening) {
            try {
                notice.accept(listener);
            } catch (RuntimeException e) {
                listening = false;
                LOG.warn("task {}: its listener failed and hears no more", invocation.taskId(), e);
            }
        }
    }

    private ExecutionOutcome verdict(Map<String, String> fields) {
        Usage usage = new Usage(
                micros(fields, "wall_us"),
                micros(fields, "user_us"),
                micros(fields, "system_us"),
                number(fields, "rss_bytes"));
        Termination termination = termination(fields, usage);
        return new ExecutionOutcome(
                termination,
                output(stdout, number(fields, "stdout_bytes")),
                output(stderr, number(fields, "stderr_bytes")),
                message(termination),
                startup,
                Optional.of(usage),
                info(List.of(fields.getOrDefault("isolation", "").split(","))),
                (int) number(fields, "leftover"));
    }

    private static Output output(ByteArrayOutputStream kept, long total) {
        return Output.of(kept.toByteArray(), Math.max(kept.size(), total));
    }

    private Termination termination(Map<String, String> fields, Usage usage) {
        Integer signal = fields.containsKey("signal") ? Integer.valueOf((int) number(fields, "signal")) : null;
        Integer exit =
                signal == null && fields.containsKey("exit") ? Integer.valueOf((int) number(fields, "exit")) : null;
        String why = fields.getOrDefault("why", "");
        if (why.equals("timeout")) {
            return new Termination(Status.TIMEOUT, exit, signal);
        }
        if (why.equals("cancelled")) {
            return new Termination(Status.CANCELLED, exit, signal);
        }
        boolean outOfMemory = number(fields, "oom") > 0;
        if (signal == null) {
            int code = exit == null ? 1 : exit;
            return code != 0 && (outOfMemory || saysMemoryError(fields))
                    ? Termination.inferred(Status.MEMORY_LIMIT, code)
                    : Termination.exited(code);
        }
        if (signal == SIGKILL && outOfMemory) {
            return new Termination(Status.MEMORY_LIMIT, null, signal);
        }
        boolean spent = invocation
                .limits()
                .cpuTime()
                .filter(limit -> spent(usage.cpuUser().plus(usage.cpuSystem()), limit, signal))
                .isPresent();
        return spent ? new Termination(Status.CPU_LIMIT, null, signal) : Termination.signaled(signal);
    }

    /** Where the address space is limited and not the memory, a program is told no and ends by itself, or goes on. */
    private boolean saysMemoryError(Map<String, String> fields) {
        String[] lines = stderr.toString(StandardCharsets.UTF_8).strip().split("\n", -1);
        return fields.containsKey("memory") && lines[lines.length - 1].startsWith("MemoryError");
    }

    private static boolean spent(Duration used, Duration limit, int signal) {
        return switch (signal) {
            // The kernel ends a task by sampled ticks, which on a busy machine run ahead of what it counted exactly.
            case SIGXCPU -> used.multipliedBy(2).compareTo(limit) >= 0;
            case SIGKILL -> used.compareTo(limit) >= 0;
            default -> false;
        };
    }

    private Optional<String> message(Termination termination) {
        return switch (termination.status()) {
            case TIMEOUT -> Optional.of("timed out after " + seconds(invocation.timeout()) + " s and was ended");
            case CPU_LIMIT ->
                Optional.of("used up its CPU time of "
                        + seconds(invocation.limits().cpuTime().orElseThrow()) + " s and was ended");
            case MEMORY_LIMIT ->
                Optional.of(
                        termination.inferred()
                                ? "failed for want of memory, it seems"
                                : "used up its memory and was ended");
            case CANCELLED -> Optional.of("cancelled");
            case SIGNALED -> Optional.of("ended by signal " + termination.signal());
            default -> Optional.empty();
        };
    }

    private ExecutionOutcome lost(String message) {
        if (started == null) {
            return ExecutionOutcome.notStarted(Status.START_FAILED, message, info(List.of()));
        }
        // The agent is gone and can end nothing any more, so what is still known of its task is ended from here.
        process.ifPresent(task -> {
            task.descendants().forEach(ProcessHandle::destroyForcibly);
            task.destroyForcibly();
        });
        return new ExecutionOutcome(
                Termination.of(Status.EXECUTOR_LOST),
                Output.of(stdout.toByteArray()),
                Output.of(stderr.toByteArray()),
                Optional.of(message),
                startup,
                Optional.empty(),
                info(List.of()),
                0);
    }

    private ExecutorInfo info(List<String> reported) {
        List<String> isolation = new ArrayList<>(walls);
        reported.stream().filter(wall -> !wall.isEmpty()).forEach(isolation::add);
        return new ExecutorInfo(warm, isolation, Optional.ofNullable(started == null ? null : started.get("python")));
    }

    private static Duration micros(Map<String, String> fields, String name) {
        return Duration.ofNanos(number(fields, name) * 1000);
    }

    private static long number(Map<String, String> fields, String name) {
        try {
            return Long.parseLong(fields.getOrDefault(name, "0"));
        } catch (NumberFormatException e) {
            return 0;
        }
    }

    private static String seconds(Duration duration) {
        String text = String.valueOf(duration.toMillis() / 1000.0);
        return text.endsWith(".0") ? text.substring(0, text.length() - 2) : text;
    }
}
