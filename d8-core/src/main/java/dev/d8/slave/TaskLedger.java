package dev.d8.slave;

import dev.d8.D8Exception;
import dev.d8.ExecutorInfo;
import dev.d8.Invocation;
import dev.d8.Output;
import dev.d8.SlaveRefusedException;
import dev.d8.TaskForgottenException;
import dev.d8.TaskId;
import dev.d8.TaskIdTakenException;
import dev.d8.TaskResult;
import dev.d8.TaskState;
import dev.d8.TaskState.Phase;
import dev.d8.Termination;
import dev.d8.Termination.Status;
import dev.d8.spi.Caller;
import dev.d8.spi.SlaveTasks;
import dev.d8.spi.TaskFeed;
import dev.d8.spi.TaskHandle;
import dev.d8.spi.TimeSource;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;

/**
 * Every task that came with an id: while it waits and runs, and its result afterwards, so that what is sent again is
 * answered and not run again. A result that nobody has fetched yet is kept for an hour at least, whatever comes; then new
 * tasks are turned away. One that was fetched makes room for others, and leaves its id. Thread-safe.
 */
final class TaskLedger implements SlaveTasks {

    /** What may be kept. */
    record Window(int results, long bytes, Duration age) {
        static final Window DEFAULT = new Window(10_000, 64L << 20, Duration.ofHours(24));
    }

    /** How long a result waits for its caller, whatever comes. */
    static final Duration PATIENCE = Duration.ofHours(1);

    /** What an entry takes besides its result, in bytes. */
    private static final int OVERHEAD = 500;

    private final TaskRunner runner;
    private final AuditLog audit;
    private final TimeSource time;
    private final KeptTasks tasks;

    TaskLedger(TaskRunner runner, AuditLog audit, TimeSource time, Window window) {
        this.runner = runner;
        this.audit = audit;
        this.time = time;
        this.tasks = new KeptTasks(window);
    }

    @Override
    public TaskHandle submit(Caller caller, Invocation invocation) {
        byte[] fingerprint = Fingerprint.of(invocation);
        TaskId id = invocation.taskId();
        TaskEvents events = new TaskEvents(time);
        TaskEntry entry;
        TaskRunner.Run run;
        synchronized (this) {
            TaskEntry known = tasks.find(id);
            if (known != null) {
                if (known.fingerprint.length == 0) {
                    known.fingerprint = fingerprint; // Cancelled before it came; now it is known what.
                } else if (!MessageDigest.isEqual(known.fingerprint, fingerprint)) {
                    throw refused(caller, id, new TaskIdTakenException(id));
                }
                return new Handle(known, true);
            }
            if (tasks.isForgotten(id)) {
                return new Forgotten(id);
            }
            try {
                tasks.makeRoom(time.nanoTime());
            } catch (SlaveRefusedException e) {
                throw refused(caller, id, e);
            }
            entry = new TaskEntry(id);
            entry.fingerprint = fingerprint;
            entry.events = events;
            run = runner.accept(caller, invocation, events);
            entry.run = run;
            tasks.add(entry);
        }
        run.result.whenComplete((result, failure) -> over(entry, events, result, failure));
        // Not in there: a thread that is woken would wait for whoever has woken it.
        runner.begin(run);
        if (run.result.isCompletedExceptionally()) {
            throw refusal(run.result);
        }
        return new Handle(entry, false);
    }

    private D8Exception refused(Caller caller, TaskId id, D8Exception why) {
        runner.refused(caller, id, why);
        return why;
    }

    private static RuntimeException refusal(CompletableFuture<TaskResult> result) {
        try {
            result.join();
        } catch (CompletionException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                return cause;
            }
            return e;
        }
        return new IllegalStateException("not a failure");
    }

    private void over(TaskEntry entry, TaskEvents events, @Nullable TaskResult result, @Nullable Throwable failure) {
        events.end(result, failure);
        KeptResult kept = result == null ? null : KeptResult.of(result);
        CompletableFuture<TaskResult> ending;
        synchronized (this) {
            ending = entry.ending;
            entry.run = null;
            if (result == null && failure instanceof D8Exception) {
                tasks.remove(entry); // It was turned away and did not start, so it may come again.
            } else {
                tasks.over(entry, OVERHEAD + events.kept() + (kept == null ? 0 : kept.size()), time.nanoTime());
            }
            if (kept != null) {
                entry.result = kept;
                entry.ending = null;
                entry.started = events.wasStarted();
                if (events.unused()) {
                    entry.events = null;
                } else {
                    events.resultIsIn(() -> kept.result(entry.id()));
                }
            }
        }
        if (ending == null) {
            throw new IllegalStateException("over twice");
        } else if (result != null) {
            ending.complete(result);
        } else {
            ending.completeExceptionally(failure == null ? new IllegalStateException("no result") : failure);
        }
    }

    /** Returns what happened to a task, made anew where nothing of it had to be kept. Guarded by the ledger. */
    private TaskEvents events(TaskEntry entry) {
        TaskEvents events = entry.events;
        KeptResult kept = entry.result;
        if (events == null && kept != null) {
            events = new TaskEvents(time);
            if (entry.started) {
                events.started();
            }
            events.resultIsIn(() -> kept.result(entry.id()));
            entry.events = events;
        }
        return Objects.requireNonNull(events, "a task that is not over has its events");
    }

    @Override
    public synchronized Optional<TaskHandle> find(TaskId id) {
        TaskEntry entry = tasks.find(id);
        if (entry != null) {
            return Optional.of(new Handle(entry, true));
        }
        return tasks.isForgotten(id) ? Optional.of(new Forgotten(id)) : Optional.empty();
    }

    @Override
    public int waiting() {
        return runner.queued();
    }

    @Override
    public boolean cancel(Caller caller, TaskId id) {
        boolean ended = end(id);
        audit.cancel(caller, id, ended);
        return ended;
    }

    private boolean end(TaskId id) {
        TaskRunner.Run run;
        synchronized (this) {
            TaskEntry entry = tasks.find(id);
            if (entry == null) {
                if (tasks.isForgotten(id)) {
                    return false;
                }
                tasks.makeRoom(time.nanoTime());
                entry = new TaskEntry(id);
                TaskResult never = new TaskResult(
                        id,
                        "",
                        Termination.of(Status.CANCELLED),
                        Output.EMPTY,
                        Output.of("d8: cancelled before it came\n"),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.empty(),
                        Optional.of(new ExecutorInfo(false, List.of(), Optional.empty())),
                        List.of(),
                        0);
                entry.result = KeptResult.of(never);
                entry.ending = null;
                tasks.add(entry);
                tasks.over(entry, OVERHEAD, time.nanoTime());
                tasks.fetched(entry); // Nobody waits for it, so it must not stand in the way of others.
                return true;
            }
            run = entry.run;
        }
        if (run == null) {
            return false;
        }
        run.end("cancelled by its caller");
        return true;
    }

    private synchronized void fetched(TaskEntry entry) {
        tasks.fetched(entry);
    }

    private final class Handle implements TaskHandle {
        private final TaskEntry entry;
        private final boolean replayed;

        Handle(TaskEntry entry, boolean replayed) {
            this.entry = entry;
            this.replayed = replayed;
        }

        @Override
        public TaskState state() {
            TaskRunner.Run run;
            KeptResult kept;
            synchronized (TaskLedger.this) {
                run = entry.run;
                kept = entry.result;
            }
            if (kept != null) {
                return TaskState.done(kept.result(entry.id()));
            }
            return TaskState.of(entry.id(), run != null && run.waiting() ? Phase.QUEUED : Phase.RUNNING);
        }

        @Override
        public boolean replayed() {
            return replayed;
        }

        @Override
        public CompletableFuture<TaskResult> result() {
            CompletableFuture<TaskResult> ending = ending();
            return ending == null ? CompletableFuture.completedFuture(kept().result(entry.id())) : ending.copy();
        }

        @Override
        public CompletableFuture<byte[]> answer() {
            CompletableFuture<TaskResult> ending = ending();
            return ending == null
                    ? CompletableFuture.completedFuture(kept().answer())
                    : ending.thenApply(result -> kept().answer());
        }

        /** Returns what tells of its end; nothing where its result is kept. */
        private @Nullable CompletableFuture<TaskResult> ending() {
            synchronized (TaskLedger.this) {
                return entry.ending;
            }
        }

        private KeptResult kept() {
            return Objects.requireNonNull(entry.result, "it is over");
        }

        @Override
        public CompletableFuture<TaskState> await(Duration patience) {
            CompletableFuture<TaskState> end = result().thenApply(TaskState::done);
            if (!end.isDone()) {
                TimeSource.Scheduled late = time.schedule(patience, () -> end.complete(state()));
                end.whenComplete((state, failure) -> late.cancel());
            }
            return end;
        }

        @Override
        public TaskFeed follow(long from, Runnable available) {
            synchronized (TaskLedger.this) {
                return events(entry).follow(from, available);
            }
        }

        @Override
        public void delivered() {
            fetched(entry);
        }
    }

    /** A task whose result is gone. */
    private record Forgotten(TaskId id) implements TaskHandle {
        @Override
        public TaskState state() {
            return TaskState.of(id, Phase.FORGOTTEN);
        }

        @Override
        public boolean replayed() {
            return true;
        }

        @Override
        public CompletableFuture<TaskResult> result() {
            return CompletableFuture.failedFuture(new TaskForgottenException(id));
        }

        @Override
        public CompletableFuture<TaskState> await(Duration patience) {
            return CompletableFuture.completedFuture(state());
        }

        @Override
        public TaskFeed follow(long from, Runnable available) {
            throw new TaskForgottenException(id);
        }

        @Override
        public void delivered() {}
    }
}
