package dev.d8.testkit;

import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.SlaveRefusedException;
import dev.d8.Slots;
import dev.d8.TaskForgottenException;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.TaskState;
import dev.d8.TaskState.Phase;
import dev.d8.Termination;
import dev.d8.VersionInfo;
import dev.d8.spi.Caller;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.SlaveService;
import dev.d8.spi.SlaveTasks;
import dev.d8.spi.TaskFeed;
import dev.d8.spi.TaskHandle;
import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/**
 * A slave on fake time that keeps tasks by their ids: they take a while, and it can crash and come back as another process that
 * knows nothing. Used by one thread.
 */
final class SimulatedSlave implements SlaveService, SlaveTasks {

    private final String name;
    private final TimeSource time;
    private final Random random;
    private final int capacity;
    private final Consumer<TaskId> whenStarted;
    private final Map<TaskId, Kept> tasks = new HashMap<>();
    private int boot = 1;
    private int running;

    /** The most that ran at one time. */
    int most;

    private final class Kept implements TaskHandle {
        final TaskId id;
        final CompletableFuture<TaskResult> result = new CompletableFuture<>();
        final boolean replayed;

        Kept(TaskId id, boolean replayed) {
            this.id = id;
            this.replayed = replayed;
        }

        @Override
        public TaskState state() {
            return result.isDone() ? TaskState.done(result.join()) : TaskState.of(id, Phase.RUNNING);
        }

        @Override
        public boolean replayed() {
            return replayed;
        }

        @Override
        public CompletableFuture<TaskResult> result() {
            return result.copy();
        }

        @Override
        public CompletableFuture<TaskState> await(Duration patience) {
            CompletableFuture<TaskState> end = result.thenApply(TaskState::done);
            if (!end.isDone()) {
                time.schedule(patience, () -> end.complete(state()));
            }
            return end;
        }

        @Override
        public TaskFeed follow(long from, Runnable available) {
            throw new TaskForgottenException(id);
        }

        @Override
        public void delivered() {}
    }

    SimulatedSlave(String name, TimeSource time, Random random, int capacity, Consumer<TaskId> whenStarted) {
        this.name = name;
        this.time = time;
        this.random = random;
        this.capacity = capacity;
        this.whenStarted = whenStarted;
    }

    /** Ends as a process that is killed does: nothing is left, and nobody is told. */
    void crash() {
        boot++;
        running = 0;
        tasks.clear();
    }

    @Override
    public Health health() {
        Health well = RecordingSlaveService.health("c");
        return new Health(
                well.status(),
                well.pythonVersion(),
                well.executionMethods(),
                well.version(),
                Optional.of(name + boot),
                false,
                Optional.of(new Slots(capacity, Math.max(0, capacity - running))));
    }

    @Override
    public VersionInfo version() {
        return health().version();
    }

    @Override
    public CompletableFuture<TaskResult> execute(Caller caller, Invocation invocation, ExecutionListener listener) {
        return submit(caller, invocation).result();
    }

    @Override
    public Optional<SlaveTasks> tasks() {
        return Optional.of(this);
    }

    @Override
    public TaskHandle submit(Caller caller, Invocation invocation) {
        Kept known = tasks.get(invocation.taskId());
        if (known != null) {
            return known;
        }
        if (running >= capacity) {
            throw new SlaveRefusedException(SlaveRefusedException.Reason.QUEUE_FULL, Duration.ofSeconds(1), "full");
        }
        Kept task = new Kept(invocation.taskId(), false);
        tasks.put(task.id, task);
        running++;
        most = Math.max(most, running);
        whenStarted.accept(task.id);
        int process = boot;
        time.schedule(Duration.ofMillis(random.nextInt(120_000)), () -> {
            if (boot == process && !task.result.isDone()) {
                running--;
                task.result.complete(RecordingSlaveService.echo(invocation));
            }
        });
        return task;
    }

    @Override
    public Optional<TaskHandle> find(TaskId id) {
        return Optional.ofNullable(tasks.get(id));
    }

    @Override
    public int waiting() {
        return 0;
    }

    @Override
    public boolean cancel(Caller caller, TaskId id) {
        Kept task = tasks.get(id);
        boolean came = task != null;
        if (task == null) {
            task = new Kept(id, false);
            tasks.put(id, task);
        }
        if (task.result.isDone()) {
            return false;
        }
        running -= came ? 1 : 0;
        TaskResult bare = RecordingSlaveService.echo(
                Invocation.python("cancelled").taskId(id).build());
        task.result.complete(new TaskResult(
                id,
                "",
                Termination.of(Termination.Status.CANCELLED),
                bare.stdout(),
                bare.stderr(),
                Optional.empty(),
                Optional.empty(),
                came ? Optional.of(new dev.d8.Timing(Duration.ZERO, Duration.ZERO, Duration.ZERO)) : Optional.empty(),
                bare.executor(),
                List.of(),
                0));
        return true;
    }
}
