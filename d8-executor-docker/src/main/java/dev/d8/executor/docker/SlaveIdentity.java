package dev.d8.executor.docker;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.UUID;
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

    private final String id;
    private final @Nullable FileChannel held;

    private SlaveIdentity(String id, @Nullable FileChannel held) {
        this.id = id;
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

    /** Claims a mark; a random one where none can be kept. */
    static SlaveIdentity claim(Optional<String> configured, Path directory) {
        if (configured.isPresent()) {
            return new SlaveIdentity(configured.get(), null);
        }
        try {
            Files.createDirectories(directory);
            for (int i = 0; i < MOST; i++) {
                SlaveIdentity free = claim(directory.resolve("docker-slave-" + i));
                if (free != null) {
                    return free;
                }
            }
        } catch (IOException | SecurityException e) {
            LOG.info(
                    "this slave's mark cannot be kept ({}), so a later life cannot tell its containers: docker.slave_id",
                    e.toString());
        }
        return new SlaveIdentity(UUID.randomUUID().toString(), null);
    }

    private static @Nullable SlaveIdentity claim(Path file) throws IOException {
        FileChannel channel =
                FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.CREATE);
        try {
            FileLock lock = channel.tryLock();
            if (lock != null) {
                return new SlaveIdentity(idIn(channel), channel);
            }
        } catch (OverlappingFileLockException e) {
            // Another slave in this JVM.
        } catch (IOException e) {
            channel.close();
            throw e;
        }
        channel.close();
        return null;
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
    }
}
