package dev.d8.executor.python.engine;

import dev.d8.spi.TimeSource;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ClosedSelectorException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where supervisors report for duty: a Unix socket in a folder of its own that only our user may enter. A task of the same
 * user can still get there where no mount namespace hides the folder, so whoever connects has to show an agent's secret,
 * soon, before anything else is said.
 */
final class AgentSocket implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(AgentSocket.class);

    /** The longest path that a Unix socket may have on Linux is 107 bytes; macOS has room for 103. */
    private static final int LONGEST_PATH = 103;

    private static final String PREFIX = "d8-agents-";
    private static final Duration PATIENCE = Duration.ofSeconds(2);
    private static final int MOST_UNKNOWN = 64;

    /** How long nobody is let in after that has failed: for want of descriptors, which come back. */
    private static final Duration PAUSE = Duration.ofSeconds(1);

    private final Path folder;
    private final ServerSocketChannel server;
    private final Selector selector;
    private final SelectionKey accepting;
    private final BiConsumer<byte[], SocketChannel> newcomers;
    private final TimeSource time;
    private boolean troubled;
    private long lastTrouble;

    /**
     * Binds the socket and starts the thread that listens to it.
     *
     * @param newcomers gets each connection that has shown 32 bytes, and these, on the socket's own thread; closes those
     *     that it does not know
     * @throws IOException if no folder or socket can be had
     */
    AgentSocket(String name, TimeSource time, BiConsumer<byte[], SocketChannel> newcomers) throws IOException {
        this.newcomers = newcomers;
        this.time = time;
        folder = folder();
        server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(path()));
        server.configureBlocking(false);
        selector = Selector.open();
        accepting = server.register(selector, SelectionKey.OP_ACCEPT);
        Thread thread = new Thread(this::listen, "d8-" + name + "-agents");
        thread.setDaemon(true);
        thread.start();
    }

    private static Path folder() throws IOException {
        Path temp = Path.of(System.getProperty("java.io.tmpdir"));
        removeLeftovers(temp);
        String prefix = PREFIX + ProcessHandle.current().pid() + "-";
        var onlyOurs = PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));
        Path folder = Files.createTempDirectory(temp, prefix, onlyOurs);
        if (folder.resolve("s").toString().length() > LONGEST_PATH) {
            Files.delete(folder);
            folder = Files.createTempDirectory(Path.of("/tmp"), prefix, onlyOurs);
        }
        return folder;
    }

    /** Removes the folders of slaves that were killed. */
    private static void removeLeftovers(Path temp) {
        try (DirectoryStream<Path> folders = Files.newDirectoryStream(temp, PREFIX + "*")) {
            for (Path left : folders) {
                String pid =
                        left.getFileName().toString().substring(PREFIX.length()).replaceFirst("-.*", "");
                if (pid.matches("[0-9]{1,18}")
                        && ProcessHandle.of(Long.parseLong(pid)).isEmpty()) {
                    remove(left);
                }
            }
        } catch (IOException e) {
            LOG.debug("folders of earlier slaves cannot be looked for in {}", temp, e);
        }
    }

    private static void remove(Path folder) {
        try {
            Files.deleteIfExists(folder.resolve("s"));
            Files.deleteIfExists(folder);
        } catch (IOException e) {
            LOG.debug("{} cannot be removed", folder, e);
        }
    }

    Path path() {
        return folder.resolve("s");
    }

    /** Returns the folder, for those who should not see it. */
    Path directory() {
        return folder;
    }

    private record Unknown(ByteBuffer shown, long since) {}

    private void listen() {
        try {
            while (selector.isOpen()) {
                selector.select(troubled ? PAUSE.toMillis() : PATIENCE.toMillis());
                if (troubled && time.since(lastTrouble).compareTo(PAUSE) >= 0) {
                    accepting.interestOps(SelectionKey.OP_ACCEPT);
                }
                List<SelectionKey> introduced = new ArrayList<>();
                for (SelectionKey key : selector.selectedKeys()) {
                    if (key.isAcceptable()) {
                        accept();
                    } else if (hear(key)) {
                        introduced.add(key);
                    }
                }
                introduced.forEach(SelectionKey::cancel);
                selector.selectNow(); // Only then are their channels free for another selector.
                for (SelectionKey key : introduced) {
                    newcomers.accept(((Unknown) key.attachment()).shown().array(), (SocketChannel) key.channel());
                }
                selector.selectedKeys().clear();
                sendAwayTheSilent();
            }
        } catch (ClosedSelectorException e) {
            // Closed meanwhile.
        } catch (IOException e) {
            LOG.error("the agents' socket broke; tasks start more slowly from here on", e);
        }
    }

    private void accept() throws IOException {
        SocketChannel channel;
        try {
            channel = server.accept();
        } catch (ClosedChannelException e) {
            throw e;
        } catch (IOException e) {
            if (!troubled) {
                LOG.warn("the agents' socket lets nobody in for now, so tasks start more slowly: {}", e.getMessage());
            }
            troubled = true;
            lastTrouble = time.nanoTime();
            accepting.interestOps(0); // Who knocks still waits, and would have it tried again at once.
            return;
        }
        if (channel == null) {
            return;
        }
        troubled = false;
        if (selector.keys().size() > MOST_UNKNOWN) {
            channel.close();
            return;
        }
        channel.configureBlocking(false);
        Unknown unknown = new Unknown(ByteBuffer.allocate(AgentProcess.SECRET_BYTES), time.nanoTime());
        channel.register(selector, SelectionKey.OP_READ, unknown);
    }

    /** Reads what a connection shows; returns whether that is all of it. */
    private static boolean hear(SelectionKey key) throws IOException {
        SocketChannel channel = (SocketChannel) key.channel();
        ByteBuffer shown = ((Unknown) key.attachment()).shown();
        try {
            if (channel.read(shown) < 0) {
                channel.close();
            }
        } catch (IOException e) {
            channel.close();
        }
        return channel.isOpen() && !shown.hasRemaining();
    }

    private void sendAwayTheSilent() throws IOException {
        for (SelectionKey key : selector.keys()) {
            if (key.attachment() instanceof Unknown unknown
                    && time.since(unknown.since()).compareTo(PATIENCE) > 0) {
                key.channel().close();
            }
        }
    }

    @Override
    public void close() {
        try {
            selector.close();
            server.close();
        } catch (IOException e) {
            LOG.debug("closing the agents' socket", e);
        }
        remove(folder);
    }
}
