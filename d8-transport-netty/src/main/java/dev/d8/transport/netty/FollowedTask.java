package dev.d8.transport.netty;

import dev.d8.TaskEvent;
import dev.d8.spi.TaskFeed;
import dev.d8.spi.TaskHandle;
import dev.d8.spi.WireFormat;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** What happens to a task, as server-sent events or as the messages of a WebSocket. */
final class FollowedTask implements Source {

    private static final byte[] COMMENT = ":\n\n".getBytes(StandardCharsets.US_ASCII);

    private final WireFormat wire = WireFormat.json();
    private final TaskFeed feed;
    private final boolean messages;
    private final Runnable whenTold;
    private final Runnable whenLost;
    private boolean over;
    private boolean closed;

    /**
     * Begins to follow.
     *
     * @param messages whether each event is a message of its own already
     * @param whenTold done once the last event has been taken
     * @param whenLost done if the reader goes before that
     */
    FollowedTask(TaskHandle task, long from, boolean messages, Runnable whenTold, Runnable whenLost, Runnable more) {
        this.feed = task.follow(from, more);
        this.messages = messages;
        this.whenTold = whenTold;
        this.whenLost = whenLost;
    }

    @Override
    public byte @Nullable [] next() {
        TaskEvent event = feed.next();
        if (event == null) {
            return null;
        }
        over = event instanceof TaskEvent.Ended || event instanceof TaskEvent.Failed;
        byte[] json = wire.encode(event);
        return messages ? json : serverSent(event, json);
    }

    /** The id is what a browser sends as {@code Last-Event-ID} when it was cut off. */
    private static byte[] serverSent(TaskEvent event, byte[] json) {
        String id = "";
        if (event instanceof TaskEvent.Wrote wrote) {
            id = "id: " + wrote.next() + "\n";
        } else if (event instanceof TaskEvent.Skipped skipped) {
            id = "id: " + skipped.next() + "\n";
        }
        byte[] begin = (id + "data: ").getBytes(StandardCharsets.US_ASCII);
        byte[] piece = new byte[begin.length + json.length + 2];
        System.arraycopy(begin, 0, piece, 0, begin.length);
        System.arraycopy(json, 0, piece, begin.length, json.length);
        piece[piece.length - 2] = '\n';
        piece[piece.length - 1] = '\n';
        return piece;
    }

    @Override
    public boolean over() {
        return over;
    }

    @Override
    public byte[] idle() {
        return COMMENT;
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            feed.close();
            (over ? whenTold : whenLost).run();
        }
    }
}
