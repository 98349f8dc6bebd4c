package dev.d8.slave;

import dev.d8.D8Exception;
import dev.d8.ExecutorInfo;
import dev.d8.Invocation;
import dev.d8.Output;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveRefusedException.Reason;
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
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
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

    /** Ids of tasks whose results are gone. */
    private static final int FORGOTTEN = 500_000;

    private static final Duration RETRY_AFTER = Duration.ofSeconds(30);

    /** What an entry takes besides its output. */
    private static final int OVERHEAD = 1000;

    private final TaskRunner runner;
    private final AuditLog audit;
    private final TimeSource time;
    private final Window window;
    private final Map<TaskId, Entry> entries = new HashMap<>();
    private final RecentIds forgotten = new RecentIds(FORGOTTEN);

    /** Whatever is over, the eldest first: results that were fetched, and those that were not. */
    private final Set<Entry> fetched = new LinkedHashSet<>();

    private final Set<Entry> unfetched = new LinkedHashSet<>();
    private long bytes;

    TaskLedger(TaskRunner runner, AuditLog audit, TimeSource time, Window window) {
        this.runner = runner;
        this.audit = audit;
        this.time = time;
        this.window = window;
    }

    /** One task. Guarded by the ledger. */
    private static final class Entry {
        final TaskId id;
        final CompletableFuture<TaskResult> result = new CompletableFuture<>();

        /** Null for one that is over and wrote nothing: most are kept for long and followed by nobody. */
        @Nullable
        TaskEvents events;

        /** Empty for one that was cancelled before it came. */
        byte[] fingerprint = new byte[0];

        boolean started;
        TaskRunner.@Nullable Run run;
        long size;
        long overAt;

        Entry(TaskId id, TimeSource time) {
            this.id = id;
            this.events = new TaskEvents(time);
        }
    }

    @Override
    public TaskHandle submit(Caller caller, Invocation invocation) {
        byte[] fingerprint = Fingerprint.of(invocation);
        TaskId id = invocation.taskId();
        Entry entry;
        synchronized (this) {
            Entry known = entries.get(id);
            if (known != null) {
                if (known.fingerprint.length == 0) {
                    known.fingerprint = fingerprint; // Cancelled before it came; now it is known what.
                } else if (!MessageDigest.isEqual(known.fingerprint, fingerprint)) {
                    throw refused(caller, id, new TaskIdTakenException(id));
                }
                return new Handle(known, true);
            }
            if (forgotten.contains(id)) {
                return new Forgotten(id);
            }
            try {
                makeRoom();
            } catch (SlaveRefusedException e) {
                throw refused(caller, id, e);
            }
            entry = new Entry(id, time);
            entry.fingerprint = fingerprint;
            entry.run = runner.start(caller, invocation, events(entry));
            entries.put(id, entry);
        }
        CompletableFuture<TaskResult> running = entry.run.result;
        running.whenComplete((result, failure) -> over(entry, result, failure));
        if (entry.result.isCompletedExceptionally()) {
            throw refusal(entry.result);
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

    private void over(Entry entry, @Nullable TaskResult result, @Nullable Throwable failure) {
        TaskEvents events = events(entry);
        events.end(result, failure);
        synchronized (this) {
            entry.run = null;
            if (result != null || !(failure instanceof D8Exception)) {
                finish(entry, OVERHEAD + events.kept() + (result == null ? 0 : size(result)));
                entry.started = events.wasStarted();
                if (result != null && events.unused()) {
                    entry.events = null;
                }
            } else {
                entries.remove(entry.id); // It was turned away and did not start, so it may come again.
            }
        }
        if (result != null) {
            entry.result.complete(result);
        } else {
            entry.result.completeExceptionally(failure == null ? new IllegalStateException("no result") : failure);
        }
    }

    private synchronized TaskEvents events(Entry entry) {
        TaskEvents events = entry.events;
        if (events == null) {
            events = new TaskEvents(time);
            if (entry.started) {
                events.started();
            }
            events.end(entry.result.join(), null);
            entry.events = events;
        }
        return events;
    }

    private void finish(Entry entry, long size) {
        entry.size = size;
        entry.overAt = time.nanoTime();
        bytes += size;
        unfetched.add(entry);
    }

    private static long size(TaskResult result) {
        return result.stdout().bytes().length + (long) result.stderr().bytes().length;
    }

    @Override
    public synchronized Optional<TaskHandle> find(TaskId id) {
        Entry entry = entries.get(id);
        if (entry != null) {
            return Optional.of(new Handle(entry, true));
        }
        return forgotten.contains(id) ? Optional.of(new Forgotten(id)) : Optional.empty();
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
            Entry entry = entries.get(id);
            if (entry == null) {
                if (forgotten.contains(id)) {
                    return false;
                }
                makeRoom();
                entry = new Entry(id, time);
                entries.put(id, entry);
                finish(entry, OVERHEAD);
                fetched(entry); // Nobody waits for it, so it must not stand in the way of others.
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
                events(entry).end(never, null);
                entry.result.complete(never);
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

    /** Lets go of results until another has room. */
    private void makeRoom() {
        long now = time.nanoTime();
        while (dropEldest(fetched, now, window.age()) || dropEldest(unfetched, now, window.age())) {
            // One more.
        }
        while (entries.size() >= window.results() || bytes > window.bytes()) {
            if (!dropEldest(fetched, now, Duration.ZERO) && !dropEldest(unfetched, now, PATIENCE)) {
                throw new SlaveRefusedException(
                        Reason.RESULTS_FULL,
                        RETRY_AFTER,
                        "the results of " + entries.size() + " tasks are kept for their callers, who have not fetched"
                                + " them; fetch them, or wait for an hour");
            }
        }
    }

    private boolean dropEldest(Set<Entry> from, long now, Duration age) {
        Iterator<Entry> eldest = from.iterator();
        if (!eldest.hasNext()) {
            return false;
        }
        Entry entry = eldest.next();
        if (now - entry.overAt < age.toNanos()) {
            return false;
        }
        eldest.remove();
        entries.remove(entry.id);
        forgotten.add(entry.id);
        bytes -= entry.size;
        return true;
    }

    private synchronized void fetched(Entry entry) {
        if (unfetched.remove(entry)) {
            fetched.add(entry);
        }
    }

    private final class Handle implements TaskHandle {
        private final Entry entry;
        private final boolean replayed;

        Handle(Entry entry, boolean replayed) {
            this.entry = entry;
            this.replayed = replayed;
        }

        @Override
        public TaskState state() {
            if (entry.result.isDone() && !entry.result.isCompletedExceptionally()) {
                return TaskState.done(entry.result.join());
            }
            TaskRunner.Run run;
            synchronized (TaskLedger.this) {
                run = entry.run;
            }
            return TaskState.of(entry.id, run != null && run.waiting() ? Phase.QUEUED : Phase.RUNNING);
        }

        @Override
        public boolean replayed() {
            return replayed;
        }

        @Override
        public CompletableFuture<TaskResult> result() {
            return entry.result.copy();
        }

        @Override
        public CompletableFuture<TaskState> await(Duration patience) {
            CompletableFuture<TaskState> end = entry.result.thenApply(TaskState::done);
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
