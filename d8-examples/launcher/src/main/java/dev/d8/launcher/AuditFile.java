package dev.d8.launcher;

import ch.qos.logback.core.ContextBase;
import ch.qos.logback.core.encoder.EchoEncoder;
import ch.qos.logback.core.rolling.FixedWindowRollingPolicy;
import ch.qos.logback.core.rolling.RollingFileAppender;
import ch.qos.logback.core.rolling.TriggeringPolicyBase;
import ch.qos.logback.core.status.Status;
import dev.d8.ConfigurationException;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes lines to the end of a file that only its owner reads; a full one is kept beside it, the last nine. A line is with
 * the operating system when {@link #accept} returns. Where it cannot be written it is lost, and the log says so once.
 * Thread-safe.
 */
final class AuditFile implements Consumer<String> {

    private static final Logger LOG = LoggerFactory.getLogger(AuditFile.class);

    /** 10 MiB. */
    static final long FULL = 10L << 20;

    private static final int KEPT = 9;

    private final Path file;
    private final AtomicBoolean told = new AtomicBoolean();
    private final RollingFileAppender<String> appender = new RollingFileAppender<>() {
        @Override
        public void openFile(String name) throws IOException {
            createForOwnerOnly(Path.of(name));
            super.openFile(name);
        }
    };

    /**
     * Opens a file, or makes it.
     *
     * @param full how many bytes fill it
     * @throws ConfigurationException if it cannot be had, or others can read it
     */
    AuditFile(Path file, long full) {
        this.file = file.toAbsolutePath();
        if (this.file.toString().matches(".*[%()\\\\].*")) { // In Logback's patterns they mean something.
            throw new ConfigurationException("--audit-log: " + file + " (expected: a path without %, (, ) and \\)");
        }
        try {
            createForOwnerOnly(this.file);
            if (Files.isDirectory(this.file) || !Files.isWritable(this.file)) {
                throw new ConfigurationException("--audit-log: " + file
                        + " cannot be written (expected: a file that the slave's user may write)");
            }
            if (Files.isRegularFile(this.file)) {
                rejectOpen();
            }
        } catch (IOException e) {
            throw new ConfigurationException("--audit-log: " + file + " cannot be written: " + e, e);
        }
        start(full);
        if (!appender.isStarted() || told.get()) {
            throw new ConfigurationException("--audit-log: " + file + " cannot be written; the log says why");
        }
    }

    private static void createForOwnerOnly(Path file) throws IOException {
        if (!Files.exists(file)) {
            Files.createFile(file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        }
    }

    private void rejectOpen() throws IOException {
        Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(file);
        if (permissions.contains(PosixFilePermission.GROUP_READ)
                || permissions.contains(PosixFilePermission.OTHERS_READ)) {
            throw new ConfigurationException("--audit-log: others can read " + file + "; run: chmod 600 " + file);
        }
    }

    private void start(long full) {
        ContextBase context = new ContextBase(); // Of its own: no file of settings reaches here, and no other log.
        context.getStatusManager().add(this::listen);
        EchoEncoder<String> encoder = new EchoEncoder<>();
        encoder.setContext(context);
        encoder.start();
        TriggeringPolicyBase<String> bySize = new TriggeringPolicyBase<>() {
            @Override
            public boolean isTriggeringEvent(File active, String line) {
                return active.length() + line.length() >= full;
            }
        };
        bySize.setContext(context);
        bySize.start();
        FixedWindowRollingPolicy kept = new FixedWindowRollingPolicy();
        kept.setContext(context);
        kept.setParent(appender);
        kept.setFileNamePattern(file + ".%i");
        kept.setMinIndex(1);
        kept.setMaxIndex(KEPT);
        appender.setContext(context);
        appender.setName("audit");
        appender.setFile(file.toString());
        kept.start();
        appender.setEncoder(encoder);
        appender.setTriggeringPolicy(bySize);
        appender.setRollingPolicy(kept);
        appender.start();
    }

    private void listen(Status status) {
        if (status.getLevel() >= Status.WARN && told.compareAndSet(false, true)) {
            LOG.error(
                    "--audit-log: {} cannot be written as it should be, and lines may be lost until it can; tasks go on, and"
                            + " this is told once: {} {}",
                    file,
                    status.getMessage(),
                    status.getThrowable() == null ? "" : status.getThrowable().getMessage());
        }
    }

    @Override
    public void accept(String line) {
        appender.doAppend(line);
    }
}
