package dev.d8.testkit;

import dev.d8.Capabilities;
import dev.d8.ExecutorInfo;
import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Output;
import dev.d8.SlaveUpdate;
import dev.d8.Slots;
import dev.d8.TaskResult;
import dev.d8.Termination;
import dev.d8.VersionInfo;
import dev.d8.spi.Caller;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.SlaveService;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A slave that runs nothing: it remembers what it was told to run and answers as the test says. Thread-safe.
 *
 * <p>Until {@link #answering} or {@link #hanging} says otherwise it echoes: the output is the source.
 */
public final class RecordingSlaveService implements SlaveService {

    /** The longest that a test waits for something that has to happen, in seconds. */
    static final long PATIENCE_SECONDS = 30;

    private final BlockingQueue<Call> calls = new LinkedBlockingQueue<>();
    private volatile @Nullable Function<String, CompletableFuture<SlaveUpdate>> updates;
    private volatile Health health = sampleHealth();
    private volatile Function<Invocation, CompletableFuture<TaskResult>> behaviour =
            invocation -> CompletableFuture.completedFuture(echo(invocation));

    /**
     * One call.
     *
     * @param caller who called
     * @param invocation what was to be run
     * @param answer what the caller gets
     */
    public record Call(Caller caller, Invocation invocation, CompletableFuture<TaskResult> answer) {}

    /** Creates one that echoes. */
    public RecordingSlaveService() {}

    /** Answers every call with what {@code behaviour} returns; what it throws comes out of {@link #execute}. */
    public RecordingSlaveService answering(Function<Invocation, CompletableFuture<TaskResult>> value) {
        behaviour = value;
        return this;
    }

    /** Leaves every call open until the test completes its {@link Call#answer}. */
    public RecordingSlaveService hanging() {
        return answering(invocation -> new CompletableFuture<>());
    }

    /** Sets the answer to "how are you?". */
    public RecordingSlaveService healthy(Health value) {
        health = value;
        return this;
    }

    /**
     * Takes the next call, in the order in which they came; waits for it for up to 30 s.
     *
     * @throws AssertionError if none comes
     */
    public Call takeCall() {
        try {
            Call call = calls.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
            if (call == null) {
                throw new AssertionError("no call came within " + PATIENCE_SECONDS + " s");
            }
            return call;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new AssertionError("interrupted while waiting for a call", e);
        }
    }

    /** Returns how many calls have come that nobody took. */
    public int callsLeft() {
        return calls.size();
    }

    @Override
    public Health health() {
        return health;
    }

    @Override
    public VersionInfo version() {
        return health.version();
    }

    @Override
    public CompletableFuture<TaskResult> execute(Caller caller, Invocation invocation, ExecutionListener listener) {
        CompletableFuture<TaskResult> answer = behaviour.apply(invocation);
        calls.add(new Call(caller, invocation, answer));
        return answer;
    }

    /** Answers every call for an update with what {@code behaviour} makes of its commit; until then it updates nothing. */
    public RecordingSlaveService updating(Function<String, CompletableFuture<SlaveUpdate>> value) {
        updates = value;
        return this;
    }

    @Override
    public CompletableFuture<SlaveUpdate> update(Caller caller, String commit) {
        Function<String, CompletableFuture<SlaveUpdate>> behaves = updates;
        return behaves == null ? SlaveService.super.update(caller, commit) : behaves.apply(commit);
    }

    /** Returns the result of a task that printed its own source. */
    public static TaskResult echo(Invocation invocation) {
        return result(invocation, Output.of(invocation.source()));
    }

    /** Returns the result of a task that printed {@code stdout} and exited with 0. */
    public static TaskResult result(Invocation invocation, Output stdout) {
        return new TaskResult(
                invocation.taskId(),
                "python",
                Termination.OK,
                stdout,
                Output.EMPTY,
                Optional.of(sampleHealth().version().commit()),
                Optional.empty(),
                Optional.empty(),
                Optional.of(new ExecutorInfo(true, List.of("process_group"), Optional.of("3.11.2"))),
                List.of(),
                0);
    }

    /** Returns the health of a slave that is well, has every executor and runs {@code commit}. */
    public static Health health(String commit) {
        Map<String, Boolean> methods = new LinkedHashMap<>();
        methods.put("docker", true);
        methods.put("venv", true);
        methods.put("python", true);
        return new Health(
                Health.HEALTHY,
                "3.11.2",
                methods,
                new VersionInfo(commit, "1.0.0", "main", false),
                Optional.of("boot"),
                false,
                Optional.of(new Slots(4, 4)));
    }

    /** Returns a health in which every field is set. */
    public static Health sampleHealth() {
        Map<String, Boolean> methods = new LinkedHashMap<>();
        methods.put("docker", false);
        methods.put("venv", true);
        methods.put("python", true);
        return new Health(
                Health.HEALTHY,
                "3.11.2 (main, Apr 28 2025, 14:11:48) [GCC 12.2.0]",
                methods,
                new VersionInfo("0123456789abcdef0123456789abcdef01234567", "1.0.0", "main", true),
                Optional.of("5a1f0c9e-boot"),
                true,
                Optional.of(new Slots(4, 3)),
                Optional.of(
                        new Capabilities(Set.of("arch=arm64", "gpu"), Isolation.CONTAINER, 4, 8L << 30, 48L << 30)));
    }
}
