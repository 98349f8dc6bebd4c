package dev.d8.master;

import dev.d8.ConfigurationException;
import dev.d8.NotRecordedException;
import dev.d8.Task;
import dev.d8.TaskId;
import dev.d8.internal.TaskJson;
import dev.d8.spi.TimeSource;
import java.io.IOException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
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
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;
import org.h2.mvstore.DataUtils;
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

    private Maps maps;
    private boolean troubled;
    private int commits;

    /** What one call wants written, and who waits for it; no change: the end. */
    private record Write(@Nullable Consumer<Maps> change, boolean owed, CompletableFuture<Void> done) {}

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
        } catch (IOException e) {
            throw new ConfigurationException("state directory " + directory + ": cannot be used: " + e, e);
        }
        maps = open(directory);
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

    private Maps open(Path directory) {
        try {
            return new Maps(file);
        } catch (MVStoreException e) {
            String what = e.getErrorCode() == DataUtils.ERROR_FILE_LOCKED
                    ? "another master uses it; stop that one, or choose another directory"
                    : "its file tasks.mv cannot be read (" + e.getMessage()
                            + "); move it away to begin anew without what it holds";
            throw new ConfigurationException("state directory " + directory + ": " + what, e);
        }
    }

    private void load() {
        for (Map.Entry<Long, byte[]> entry : maps.tasks.entrySet()) {
            Kept kept = kept(maps, entry.getKey(), entry.getValue());
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
        return List.copyOf(unfinished);
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
        tasks.forEach(task -> bytes.put(task.number, StoredJson.write(now, TaskJson.write(task.task))));
        return put(false, to -> to.tasks.putAll(bytes));
    }

    @Override
    public CompletableFuture<Void> sent(Submission task, @Nullable Attempt attempt) {
        byte[] bytes = StoredJson.write(attempt, Set.copyOf(task.turnedAway.keySet()), task.losses);
        return put(false, to -> to.attempts.put(task.number, bytes));
    }

    @Override
    public CompletableFuture<Void> ended(Submission task, Outcome outcome) {
        byte[] bytes = StoredJson.write(outcome, clock.instant());
        // What has happened is written down sooner or later, however full the disk is now.
        return put(true, to -> {
            to.ends.put(task.number, bytes);
            to.order.put(to.order.isEmpty() ? 0 : to.order.lastKey() + 1, task.number);
            finished.put(task.id(), task.number);
        });
    }

    private CompletableFuture<Void> put(boolean owed, Consumer<Maps> change) {
        CompletableFuture<Void> done = new CompletableFuture<>();
        writes.add(new Write(change, owed, done));
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
                if (++commits % COMMITS_BETWEEN_COMPACTIONS == 0) {
                    maps.store.compact(FILL_RATE, COMPACTED_AT_ONCE);
                }
            }
        } catch (RuntimeException e) {
            failed(batch, e);
            return;
        }
        if (troubled) {
            troubled = false;
            LOG.info("the state directory {} can be written again", file.getParent());
        }
        batch.forEach(write -> write.done().complete(null));
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
        List<Write> owed = batch.stream().filter(Write::owed).toList();
        if (!owed.isEmpty()) {
            time.schedule(Duration.ofSeconds(1), () -> writes.addAll(owed));
        }
        NotRecordedException why = new NotRecordedException(
                "the state directory " + file.getParent() + " cannot be written: " + error.getMessage(), error);
        batch.stream()
                .filter(write -> !write.owed())
                .forEach(write -> write.done().completeExceptionally(why));
    }

    /** Forgets the ends that are too many or too old. */
    private void purge() {
        Instant oldest = clock.instant().minus(KEPT_FOR);
        while (!maps.order.isEmpty()) {
            Long first = maps.order.firstKey();
            Long number = maps.order.get(first);
            byte[] end = maps.ends.get(number);
            if (maps.order.sizeAsLong() <= MOST_ENDS
                    && (end == null || !StoredJson.endedAt(end).isBefore(oldest))) {
                return;
            }
            byte[] task = maps.tasks.remove(number);
            if (task != null) {
                finished.remove(StoredJson.accepted(task).task().id());
            }
            maps.attempts.remove(number);
            maps.ends.remove(number);
            maps.order.remove(first);
        }
    }

    @Override
    public void close() {
        if (!writer.isAlive()) {
            return;
        }
        writes.add(new Write(null, false, new CompletableFuture<>()));
        try {
            writer.join(Duration.ofSeconds(10).toMillis());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        synchronized (this) {
            maps.store.closeImmediately(); // All is committed; more would only take time.
        }
    }
}
