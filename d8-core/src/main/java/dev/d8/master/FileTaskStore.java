package dev.d8.master;

import dev.d8.ConfigurationException;
import dev.d8.NotRecordedException;
import dev.d8.Task;
import dev.d8.TaskId;
import dev.d8.internal.TaskJson;
import dev.d8.spi.TimeSource;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;
import org.h2.mvstore.MVMap;
import org.h2.mvstore.MVStore;
import org.h2.mvstore.MVStoreException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps tasks in one file of a directory that no other master can open meanwhile. One thread writes: what came while it wrote is
 * one commit, which is on the disk, not only in the system's hands, before anybody is told. Thread-safe.
 *
 * <p>A task's own words, where it was sent and how it ended are kept apart, so that each is written once. A commit that was torn by a
 * crash is as if it had never begun.
 */
final class FileTaskStore implements TaskStore {

    private static final Logger LOG = LoggerFactory.getLogger(SlaveManager.class);

    /** Ends that are kept, for who asks after a restart or sends the same task again. */
    private static final int MOST_ENDS = 10_000;

    private static final Duration KEPT_FOR = Duration.ofHours(24);

    /** So much of the file may be waste before it is written anew, in percent. */
    private static final int FILL_RATE = 50;

    private static final int COMPACTED_AT_ONCE = 8 << 20;

    private static final int COMMITS_BETWEEN_COMPACTIONS = 200;

    private final Path file;
    private final InstantSource clock;
    private final TimeSource time;
    private final LinkedBlockingQueue<Write> writes = new LinkedBlockingQueue<>();
    private final Thread writer = new Thread(this::write, "d8-state");
    private final Map<TaskId, Long> finished = new HashMap<>();
    private final List<Kept> unfinished = new ArrayList<>();
    private final long firstNumber;

    private final ExecutorService told = Executors.newCachedThreadPool(task -> {
        Thread thread = new Thread(task, "d8-state-told");
        thread.setDaemon(true);
        return thread;
    });

    /** Held as long as this is open. The store's own lock is let go where a write fails. */
    private final FileChannel lock;

    private Maps maps;
    private boolean closed;
    private boolean troubled;
    private int commits;

    /**
     * What one call wants written, and who waits for it; no change: the end.
     *
     * @param instead what has to be written sooner or later if that fails; null: nothing
     */
    private record Write(
            @Nullable Consumer<Maps> change, @Nullable Consumer<Maps> instead, CompletableFuture<Void> done) {}

    /** The open file. */
    private static final class Maps {
        final MVStore store;
        final MVMap<Long, byte[]> tasks;
        final MVMap<Long, byte[]> attempts;
        final MVMap<Long, byte[]> ends;

        /** The ends in their order: a running number, and the task's. */
        final MVMap<Long, Long> order;

        Maps(Path file) {
            store = new MVStore.Builder()
                    .fileName(file.toString())
                    .autoCommitDisabled()
                    .open();
            tasks = store.openMap("tasks");
            attempts = store.openMap("attempts");
            ends = store.openMap("ends");
            order = store.openMap("order");
        }
    }

    /**
     * Opens a directory, or makes it.
     *
     * @throws ConfigurationException if it cannot be used, or another master uses it
     */
    FileTaskStore(Path directory, InstantSource clock, TimeSource time) {
        this.clock = clock;
        this.time = time;
        file = directory.resolve("tasks.mv");
        try {
            // Tasks are their owner's: nobody else reads them.
            if (!Files.isDirectory(directory)) {
                Files.createDirectories(directory, only("rwx------"));
            }
            if (!Files.exists(file)) {
                Files.createFile(file, only("rw-------"));
            }
            lock = FileChannel.open(
                    directory.resolve("lock"),
                    Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE),
                    only("rw-------"));
        } catch (IOException e) {
            throw new ConfigurationException("state directory " + directory + ": cannot be used: " + e, e);
        }
        maps = locked(lock) ? open(directory) : refuse(directory);
        firstNumber = maps.tasks.isEmpty() ? 0 : maps.tasks.lastKey() + 1;
        load();
        writer.setDaemon(true);
        writer.start();
    }

    private static FileAttribute<?>[] only(String permissions) {
        return FileSystems.getDefault().supportedFileAttributeViews().contains("posix")
                ? new FileAttribute<?>[] {
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(permissions))
                }
                : new FileAttribute<?>[0];
    }

    private static boolean locked(FileChannel lock) {
        try {
            return lock.tryLock() != null;
        } catch (OverlappingFileLockException e) {
            return false; // This very process has it.
        } catch (IOException e) {
            throw new ConfigurationException("the state directory's lock cannot be had: " + e, e);
        }
    }

    private Maps refuse(Path directory) {
        closeLock();
        throw new ConfigurationException("state directory " + directory
                + ": another master uses it; stop that one, or choose another directory");
    }

    private Maps open(Path directory) {
        try {
            return new Maps(file);
        } catch (MVStoreException e) {
            closeLock();
            throw new ConfigurationException(
                    "state directory " + directory + ": its file tasks.mv cannot be read (" + e.getMessage()
                            + "); move it away to begin anew without what it holds",
                    e);
        }
    }

    private void closeLock() {
        try {
            lock.close();
        } catch (IOException e) {
            LOG.debug("the lock of {} was not closed", file.getParent(), e);
        }
    }

    private void load() {
        for (Map.Entry<Long, byte[]> entry : maps.tasks.entrySet()) {
            Kept kept;
            try {
                kept = kept(maps, entry.getKey(), entry.getValue());
            } catch (RuntimeException e) {
                LOG.error("an entry of {} cannot be read and is left alone: {}", file, String.valueOf(e.getMessage()));
                continue;
            }
            if (kept.end().isEmpty()) {
                unfinished.add(kept);
            } else {
                finished.put(kept.task().id(), kept.number());
            }
        }
    }

    private static Kept kept(Maps maps, long number, byte[] bytes) {
        StoredJson.Accepted accepted = StoredJson.accepted(bytes);
        byte[] attempt = maps.attempts.get(number);
        byte[] end = maps.ends.get(number);
        StoredJson.Sent sent = attempt == null ? StoredJson.Sent.NONE : StoredJson.sent(attempt);
        Task task = accepted.task();
        return new Kept(
                number,
                task,
                accepted.at(),
                Optional.ofNullable(sent.attempt()),
                sent.without(),
                sent.losses(),
                Optional.ofNullable(end).map(stored -> StoredJson.end(stored, task.id())));
    }

    @Override
    public List<Kept> unfinished() {
        List<Kept> left = List.copyOf(unfinished);
        unfinished.clear(); // Asked for once.
        return left;
    }

    @Override
    public long firstNumber() {
        return firstNumber;
    }

    @Override
    public synchronized Optional<Kept> finished(TaskId id) {
        Long number = finished.get(id);
        byte[] task = number == null ? null : maps.tasks.get(number);
        return number == null || task == null
                ? Optional.empty()
                : Optional.of(kept(maps, number, task))
                        .filter(kept -> kept.end().isPresent());
    }

    @Override
    public CompletableFuture<Void> accepted(List<Submission> tasks) {
        Instant now = clock.instant();
        Map<Long, byte[]> bytes = new HashMap<>();
        for (Submission task : tasks) {
            byte[] json = TaskJson.write(task.task);
            Task unused = TaskJson.read(json); // What cannot be read again must not be promised.
            bytes.put(task.number, StoredJson.write(now, json));
        }
        // A write that fails may be there all the same: what was refused must not run under the next master.
        return put(to -> to.tasks.putAll(bytes), to -> bytes.keySet().forEach(to.tasks::remove));
    }

    @Override
    public CompletableFuture<Void> sent(Submission task, @Nullable Attempt attempt) {
        byte[] bytes = StoredJson.write(attempt, Set.copyOf(task.turnedAway.keySet()), task.losses);
        return put(to -> to.attempts.put(task.number, bytes), null);
    }

    @Override
    public CompletableFuture<Void> ended(Submission task, Outcome outcome) {
        byte[] bytes = StoredJson.write(outcome, clock.instant());
        // What has happened is written down sooner or later, however full the disk is now.
        Consumer<Maps> end = to -> {
            to.ends.put(task.number, bytes);
            to.order.put(to.order.isEmpty() ? 0 : to.order.lastKey() + 1, task.number);
            finished.put(task.id(), task.number);
        };
        return put(end, end);
    }

    private CompletableFuture<Void> put(Consumer<Maps> change, @Nullable Consumer<Maps> instead) {
        CompletableFuture<Void> done = new CompletableFuture<>();
        synchronized (writes) {
            if (closed) {
                done.completeExceptionally(
                        new NotRecordedException("the state directory " + file.getParent() + " is closed", null));
            } else {
                writes.add(new Write(change, instead, done));
            }
        }
        return done;
    }

    private void write() {
        List<Write> batch = new ArrayList<>();
        boolean over = false;
        try {
            while (!over) {
                batch.add(writes.take());
                writes.drainTo(batch);
                over = batch.removeIf(write -> write.change() == null);
                if (!batch.isEmpty()) {
                    commit(List.copyOf(batch));
                    batch.clear();
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt(); // Nobody interrupts it.
        }
    }

    private void commit(List<Write> batch) {
        try {
            synchronized (this) {
                if (maps.store.isClosed()) { // It closes itself when it cannot write.
                    maps = new Maps(file);
                }
                for (Write write : batch) {
                    if (write.change() != null) {
                        write.change().accept(maps);
                    }
                }
                purge();
                maps.store.commit();
                maps.store.sync();
            }
        } catch (RuntimeException e) {
            failed(batch, e);
            return;
        }
        if (troubled) {
            troubled = false;
            LOG.info("the state directory {} can be written again", file.getParent());
        }
        tell(() -> batch.forEach(write -> write.done().complete(null)));
        compact();
    }

    /** Never on the thread that writes: who hears of one write may wait for the next. */
    private void tell(Runnable news) {
        told.execute(news);
    }

    private synchronized void compact() {
        if (++commits % COMMITS_BETWEEN_COMPACTIONS == 0) {
            try {
                maps.store.compact(FILL_RATE, COMPACTED_AT_ONCE);
            } catch (RuntimeException e) { // All is written; a full disk, say, has no room to tidy up.
                LOG.debug("the state directory {} was not compacted", file.getParent(), e);
            }
        }
    }

    private void failed(List<Write> batch, RuntimeException error) {
        maps.store.closeImmediately(); // What was not committed is forgotten.
        if (!troubled) {
            troubled = true;
            LOG.error(
                    "the state directory {} cannot be written: no task is accepted or sent until it can ({})",
                    file.getParent(),
                    String.valueOf(error.getMessage()));
        }
        // An end is told once it is written; a refusal at once, and what may be left of it is taken back.
        List<Write> owed = new ArrayList<>();
        List<Write> refused = new ArrayList<>();
        for (Write write : batch) {
            Consumer<Maps> instead = write.instead();
            boolean later = instead != null && instead.equals(write.change());
            if (instead != null) {
                owed.add(later ? write : new Write(instead, instead, new CompletableFuture<>()));
            }
            if (!later) {
                refused.add(write);
            }
        }
        if (!owed.isEmpty()) {
            time.schedule(Duration.ofSeconds(1), () -> writes.addAll(owed));
        }
        NotRecordedException why = new NotRecordedException(
                "the state directory " + file.getParent() + " cannot be written: " + error.getMessage(), error);
        tell(() -> refused.forEach(write -> write.done().completeExceptionally(why)));
    }

    /** Forgets the ends that are too many or too old. */
    private void purge() {
        Instant oldest = clock.instant().minus(KEPT_FOR);
        while (!maps.order.isEmpty()) {
            Long first = maps.order.firstKey();
            Long number = maps.order.get(first);
            byte[] end = maps.ends.get(number);
            if (maps.order.sizeAsLong() <= MOST_ENDS
                    && end != null
                    && !StoredJson.moment(end).isBefore(oldest)) {
                return;
            }
            maps.tasks.remove(number);
            finished.values().remove(number);
            maps.attempts.remove(number);
            maps.ends.remove(number);
            maps.order.remove(first);
        }
    }

    @Override
    public void close() {
        synchronized (writes) {
            if (closed) {
                return;
            }
            closed = true;
            writes.add(new Write(null, null, new CompletableFuture<>()));
        }
        boolean interrupted = false;
        while (writer.isAlive()) {
            try {
                writer.join();
            } catch (InterruptedException e) {
                interrupted = true; // What is accepted is written first: it takes a moment, not more.
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        told.shutdown();
        synchronized (this) {
            maps.store.closeImmediately(); // All is committed; more would only take time.
        }
        closeLock();
    }
}
