package dev.d8.transport.netty;

import dev.d8.TaskEvent;
import dev.d8.TaskId;
import dev.d8.spi.WireFormat;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import java.io.ByteArrayOutputStream;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads server-sent events and tells them to somebody who may take a while, on another thread, in order. Used on an event
 * loop but for what is told.
 */
final class EventReader {

    private static final Logger log = LoggerFactory.getLogger(EventReader.class);

    /** How much may wait for whoever is told, in bytes, before no more is read. */
    private static final int BACKLOG = 1 << 20;

    /** The longest line that a slave sends: 32 KiB of output, each byte six characters in JSON, and some more. */
    private static final int LONGEST_LINE = 1 << 20;

    private static final byte[] DATA = {'d', 'a', 't', 'a', ':', ' '};

    private final WireFormat wire = WireFormat.json();
    private final TaskId task;
    private final Consumer<TaskEvent> listener;
    private final Executor threads;
    private final AtomicInteger backlog = new AtomicInteger();
    private final ByteArrayOutputStream line = new ByteArrayOutputStream();
    private volatile @Nullable Runnable whenRoom;
    private @Nullable TaskEvent last;
    private CompletableFuture<Void> told = CompletableFuture.completedFuture(null);

    /**
     * Creates one.
     *
     * @param task whose events they are
     * @param threads where the listener is told
     */
    EventReader(TaskId task, Consumer<TaskEvent> listener, Executor threads) {
        this.task = task;
        this.listener = listener;
        this.threads = threads;
    }

    /**
     * Takes the next bytes, cut anywhere.
     *
     * @throws RuntimeException if they are no events of a task
     */
    void read(ByteBuf bytes) {
        while (bytes.isReadable()) {
            int length = bytes.bytesBefore((byte) '\n');
            int taken = length < 0 ? bytes.readableBytes() : length;
            if (line.size() + taken > LONGEST_LINE) {
                throw new IllegalArgumentException("an event of more than " + LONGEST_LINE + " bytes");
            }
            line.writeBytes(ByteBufUtil.getBytes(bytes.readSlice(taken)));
            if (length >= 0) {
                bytes.skipBytes(1);
                line(line.toByteArray());
                line.reset();
            }
        }
    }

    private void line(byte[] text) {
        if (text.length < DATA.length || !Arrays.equals(text, 0, DATA.length, DATA, 0, DATA.length)) {
            return; // A comment, an id or the end of an event: ours have one line each.
        }
        wire.decodeEvent(Arrays.copyOfRange(text, DATA.length, text.length), task)
                .ifPresent(event -> tell(event, text.length));
    }

    private void tell(TaskEvent event, int size) {
        if (event instanceof TaskEvent.Ended || event instanceof TaskEvent.Failed) {
            last = event;
        }
        backlog.addAndGet(size);
        afterwards(() -> {
            try {
                listener.accept(event);
            } catch (RuntimeException e) {
                log.warn("task {}: a listener failed", task, e);
            } finally {
                Runnable waits = backlog.addAndGet(-size) < BACKLOG / 2 ? whenRoom : null;
                if (waits != null) {
                    waits.run();
                }
            }
        });
    }

    /** Returns whether no more should be read for now. */
    boolean full() {
        return backlog.get() > BACKLOG;
    }

    /** Sets what is told, on any thread and maybe often, when more can be read. */
    void whenRoom(Runnable action) {
        whenRoom = action;
    }

    /** Returns the event that ends a task; nothing if it has not come. */
    @Nullable
    TaskEvent last() {
        return last;
    }

    /** Does something once everything has been told. */
    void afterwards(Runnable action) {
        try {
            told = told.handleAsync( // Whatever became of the one before.
                    (nothing, failure) -> {
                        action.run();
                        return null;
                    },
                    threads);
        } catch (RejectedExecutionException e) {
            log.debug("the transport is closed: nobody is told any more");
        }
    }
}
