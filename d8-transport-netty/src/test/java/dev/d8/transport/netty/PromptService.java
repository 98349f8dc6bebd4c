package dev.d8.transport.netty;

import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.TaskEvent;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.TaskState;
import dev.d8.VersionInfo;
import dev.d8.spi.Caller;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.SlaveService;
import dev.d8.spi.SlaveTasks;
import dev.d8.spi.TaskFeed;
import dev.d8.spi.TaskHandle;
import dev.d8.testkit.RecordingSlaveService;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * A slave whose tasks are over at once, or when they are told to, on the thread that tells them; what it says is always
 * the same. Not thread-safe.
 */
final class PromptService implements SlaveService, SlaveTasks {

    private static final TaskId ID = TaskId.parse("00000000-0000-4000-8000-000000000000");

    private final Map<TaskId, TaskResult> known = new HashMap<>();
    private final Queue<Runnable> running = new ArrayDeque<>();
    private boolean slow;

    /** Forgets everything; with {@code tasksWait} tasks end in {@link #finish}. */
    void reset(boolean tasksWait) {
        known.clear();
        running.clear();
        slow = tasksWait;
    }

    /** Ends every task, those too that are started meanwhile. */
    void finish() {
        for (Runnable end = running.poll(); end != null; end = running.poll()) {
            end.run();
        }
    }

    private <T> CompletableFuture<T> inTime(T value) {
        if (!slow) {
            return CompletableFuture.completedFuture(value);
        }
        CompletableFuture<T> future = new CompletableFuture<>();
        running.add(() -> future.complete(value));
        return future;
    }

    /** Ids that nobody gave are random, and must not make a difference. */
    private static TaskResult result(Invocation invocation) {
        return RecordingSlaveService.echo(invocation.toBuilder().taskId(ID).build());
    }

    @Override
    public Health health() {
        return RecordingSlaveService.sampleHealth();
    }

    @Override
    public VersionInfo version() {
        return health().version();
    }

    @Override
    public CompletableFuture<TaskResult> execute(Caller caller, Invocation invocation, ExecutionListener listener) {
        return inTime(result(invocation));
    }

    @Override
    public Optional<SlaveTasks> tasks() {
        return Optional.of(this);
    }

    @Override
    public TaskHandle submit(Caller caller, Invocation invocation) {
        boolean replayed = known.containsKey(invocation.taskId());
        return new Handle(known.computeIfAbsent(invocation.taskId(), id -> result(invocation)), replayed);
    }

    @Override
    public Optional<TaskHandle> find(TaskId id) {
        return Optional.ofNullable(known.get(id)).map(result -> new Handle(result, true));
    }

    @Override
    public int waiting() {
        return 0;
    }

    @Override
    public boolean cancel(Caller caller, TaskId id) {
        return !known.containsKey(id);
    }

    private final class Handle implements TaskHandle {
        private final TaskResult result;
        private final boolean replayed;

        Handle(TaskResult result, boolean replayed) {
            this.result = result;
            this.replayed = replayed;
        }

        @Override
        public TaskState state() {
            return TaskState.done(result);
        }

        @Override
        public boolean replayed() {
            return replayed;
        }

        @Override
        public CompletableFuture<TaskResult> result() {
            return inTime(result);
        }

        @Override
        public CompletableFuture<TaskState> await(Duration patience) {
            return inTime(state());
        }

        @Override
        public TaskFeed follow(long from, Runnable available) {
            return new TaskFeed() {
                private boolean told;

                @Override
                public @Nullable TaskEvent next() {
                    TaskEvent event = told ? null : new TaskEvent.Ended(result);
                    told = true;
                    return event;
                }

                @Override
                public void close() {}
            };
        }

        @Override
        public void delivered() {}
    }
}
