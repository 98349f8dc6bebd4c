package dev.d8.executor.venv;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.FileLockInterruptionException;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A folder of virtual environments, which slaves may share: each lies under its key, is whole once its mark says so, and
 * is removed when the folder grows too large, the one first that was not used for longest, and never one in use.
 * Thread-safe.
 *
 * <p>An environment is built where it stays, not moved into place: it knows its own path in a dozen files. Until the mark
 * is there, which is moved into place, it does not count, and the next who needs it starts afresh.
 */
final class VenvCache {

    private static final Logger LOG = LoggerFactory.getLogger(VenvCache.class);

    private static final String MARK = "d8-complete";
    private static final String LOCK = ".lock";
    private static final String LEASE = ".lease";
    private static final long TURN_NANOS = 50_000_000;

    private final Path folder;
    private final long mostBytes;

    VenvCache(Path folder, long mostBytes) {
        this.folder = folder;
        this.mostBytes = mostBytes;
    }

    /** Makes an environment where nothing is. */
    interface Build {
        void run(Path target) throws IOException, BuildException, InterruptedException;
    }

    /** Says that an environment is in use. Whoever dies lets go of it, too. */
    static final class Lease implements AutoCloseable {
        private final Path file;
        private final FileChannel channel;

        private Lease(Path file, FileChannel channel) {
            this.file = file;
            this.channel = channel;
        }

        @Override
        public void close() {
            try {
                channel.close();
                Files.deleteIfExists(file);
            } catch (IOException e) {
                LOG.debug("letting go of an environment", e);
            }
        }
    }

    Path path(String key) {
        return folder.resolve(key);
    }

    /**
     * Returns a lease on an environment that is whole, which {@code build} makes unless it is there. Blocks while somebody
     * else builds or removes it, in this process or another.
     */
    Lease obtain(String key, Build build) throws IOException, BuildException, InterruptedException {
        Files.createDirectories(folder);
        try (FileChannel lock =
                FileChannel.open(folder.resolve(key + LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            lock(lock);
            if (!isComplete(key)) {
                remove(path(key)); // What an unfinished build left.
                try {
                    build.run(path(key));
                } catch (IOException | BuildException | InterruptedException e) {
                    remove(path(key));
                    throw e;
                }
                complete(key);
            }
            return lease(key);
        }
    }

    private static void lock(FileChannel channel) throws IOException, InterruptedException {
        while (true) {
            try {
                FileLock lock = channel.lock();
                assert lock.isValid();
                return;
            } catch (OverlappingFileLockException e) {
                // Another slave in this process has it; the system's lock does not tell threads apart.
                LockSupport.parkNanos(TURN_NANOS);
                if (Thread.interrupted()) {
                    throw new InterruptedException();
                }
            } catch (FileLockInterruptionException e) {
                throw new InterruptedException();
            }
        }
    }

    private Lease lease(String key) throws IOException {
        Path file = folder.resolve(key + "." + UUID.randomUUID() + LEASE);
        FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
        FileLock lock = channel.lock();
        assert lock.isValid();
        return new Lease(file, channel);
    }

    private boolean isComplete(String key) {
        return Files.exists(path(key).resolve(MARK));
    }

    private void complete(String key) throws IOException {
        Path draft = path(key).resolve(MARK + ".draft");
        Files.writeString(draft, size(path(key)) + "\n");
        Files.move(draft, path(key).resolve(MARK), StandardCopyOption.ATOMIC_MOVE);
    }

    /** Notes that an environment is used now. */
    void touch(String key) {
        try {
            Files.setLastModifiedTime(path(key).resolve(MARK), FileTime.from(Instant.now()));
        } catch (IOException e) {
            LOG.debug("the use of {} cannot be noted", path(key), e);
        }
    }

    private record Entry(String key, long bytes, FileTime used) {}

    /** Removes environments until the rest fit, those first that were not used for longest, and none with a lease. */
    void shrink() {
        try {
            List<Entry> entries = entries();
            entries.sort(Comparator.comparing(Entry::used));
            long total = entries.stream().mapToLong(Entry::bytes).sum();
            for (Entry entry : entries) {
                if (total <= mostBytes) {
                    return;
                }
                if (removeUnused(entry.key())) {
                    total -= entry.bytes();
                    LOG.info("environment {} was removed: {} holds more than {} bytes", entry.key(), folder, mostBytes);
                }
            }
            if (total > mostBytes) {
                LOG.warn("{} holds {} bytes, more than venv.cache_bytes, and all of it is in use", folder, total);
            }
        } catch (IOException e) {
            LOG.warn("{} cannot be cleaned up: {}", folder, e.getMessage());
        }
    }

    private List<Entry> entries() throws IOException {
        List<Entry> entries = new ArrayList<>();
        try (DirectoryStream<Path> all = Files.newDirectoryStream(folder)) {
            for (Path one : all) {
                Path mark = one.resolve(MARK);
                try {
                    String bytes = Files.readString(mark).strip();
                    entries.add(new Entry(
                            one.getFileName().toString(), Long.parseLong(bytes), Files.getLastModifiedTime(mark)));
                } catch (IOException | NumberFormatException e) {
                    // A lock, or an environment that is being built or removed.
                }
            }
        }
        return entries;
    }

    private boolean removeUnused(String key) throws IOException {
        try (FileChannel channel = FileChannel.open(folder.resolve(key + LOCK), StandardOpenOption.WRITE)) {
            if (channel.tryLock() == null || isLeased(key)) {
                return false;
            }
            Files.deleteIfExists(path(key).resolve(MARK));
            remove(path(key));
            return true;
        } catch (OverlappingFileLockException | NoSuchFileException e) {
            return false;
        }
    }

    private boolean isLeased(String key) throws IOException {
        try (DirectoryStream<Path> leases = Files.newDirectoryStream(folder, key + ".*" + LEASE)) {
            for (Path lease : leases) {
                try (FileChannel channel = FileChannel.open(lease, StandardOpenOption.WRITE)) {
                    if (channel.tryLock() == null) {
                        return true;
                    }
                } catch (OverlappingFileLockException e) {
                    return true;
                } catch (NoSuchFileException e) {
                    continue; // Let go of in this moment.
                }
                Files.deleteIfExists(lease); // Of a slave that died.
            }
        }
        return false;
    }

    private static long size(Path tree) throws IOException {
        long[] bytes = {0};
        Set<Object> seen = new HashSet<>(); // A file with two names takes its room once.
        Files.walkFileTree(tree, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                Object id = attributes.fileKey();
                if (attributes.isRegularFile() && (id == null || seen.add(id))) {
                    bytes[0] += attributes.size();
                }
                return FileVisitResult.CONTINUE;
            }
        });
        return bytes[0];
    }

    private static void remove(Path tree) throws IOException {
        if (!Files.exists(tree)) {
            return;
        }
        try (var all = Files.walk(tree)) {
            all.sorted(Comparator.reverseOrder()).forEach(path -> {
                try {
                    Files.deleteIfExists(path);
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }
}
