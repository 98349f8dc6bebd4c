package dev.d8.executor.docker;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What marks a slave's containers: the same in its next life, so that it finds what an earlier one left, and nobody else's
 * meanwhile. The first of some files that no living slave holds locked has the mark in it; a lock ends with its process,
 * however that ends.
 */
final class SlaveIdentity implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(SlaveIdentity.class);

    private static final int MOST = 64;

    /** The files that this JVM holds locked, or is about to look at. */
    private static final Set<Path> HELD = ConcurrentHashMap.newKeySet();

    private final String id;
    private final @Nullable Path file;
    private final @Nullable FileChannel held;

    private SlaveIdentity(String id, @Nullable Path file, @Nullable FileChannel held) {
        this.id = id;
        this.file = file;
        this.held = held;
    }

    /** Returns where this user's marks are kept: {@code $XDG_STATE_HOME/d8}, {@code ~/.local/state/d8} by default. */
    static Path directory() {
        String state = System.getenv("XDG_STATE_HOME");
        return (state != null && state.startsWith("/")
                        ? Path.of(state)
                        : Path.of(System.getProperty("user.home", "/")).resolve(".local/state"))
                .resolve("d8");
    }

    /**
     * Claims a mark; a random one where none can be kept.
     *
     * @param machine whose marks: others may use the directory, too
     */
    static SlaveIdentity claim(Optional<String> configured, Path directory, String machine) {
        if (configured.isPresent()) {
            return new SlaveIdentity(configured.get(), null, null);
        }
        try {
            Path real = Files.createDirectories(directory).toRealPath();
            for (int i = 0; i < MOST; i++) {
                SlaveIdentity free = claim(real.resolve("docker-slave-" + machine + "-" + i));
                if (free != null) {
                    return free;
                }
            }
        } catch (IOException | SecurityException e) {
            LOG.info(
                    "this slave's mark cannot be kept ({}), so a later life cannot tell its containers: docker.slave_id",
                    e.toString());
        }
        return new SlaveIdentity(UUID.randomUUID().toString(), null, null);
    }

    private static @Nullable SlaveIdentity claim(Path file) throws IOException {
        // To close a second channel to a file that this JVM holds locked would end the lock: fcntl(2).
        if (!HELD.add(file)) {
            return null;
        }
        boolean claimed = false;
        try {
            FileChannel channel = FileChannel.open(
                    file, StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.CREATE);
            try {
                if (channel.tryLock() != null) {
                    SlaveIdentity free = new SlaveIdentity(idIn(channel), file, channel);
                    claimed = true;
                    return free;
                }
                return null;
            } finally {
                if (!claimed) {
                    channel.close();
                }
            }
        } finally {
            if (!claimed) {
                HELD.remove(file);
            }
        }
    }

    /** Returns a name of this machine for a file: a home may be shared, and a machine cloned with its files. */
    static String machine() {
        String name;
        try {
            name = Files.readString(Path.of("/proc/sys/kernel/hostname"));
        } catch (IOException e) {
            name = Objects.requireNonNullElse(System.getenv("HOSTNAME"), "localhost");
        }
        return name.strip().replaceAll("[^A-Za-z0-9.-]", "_");
    }

    private static String idIn(FileChannel channel) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(100);
        channel.read(bytes, 0);
        String text = new String(bytes.array(), 0, bytes.position(), StandardCharsets.US_ASCII).strip();
        try {
            return UUID.fromString(text).toString();
        } catch (IllegalArgumentException e) {
            String id = UUID.randomUUID().toString();
            channel.truncate(0);
            channel.write(ByteBuffer.wrap((id + "\n").getBytes(StandardCharsets.US_ASCII)), 0);
            return id;
        }
    }

    String id() {
        return id;
    }

    @Override
    public void close() {
        try {
            if (held != null) {
                held.close();
            }
        } catch (IOException e) {
            // The lock ends with the process at the latest.
        }
        if (file != null) {
            HELD.remove(file);
        }
    }
}
