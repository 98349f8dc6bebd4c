package dev.d8.slave;

import dev.d8.D8Exception;
import dev.d8.TaskEvent;
import dev.d8.TaskResult;
import dev.d8.internal.Utf8;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.TaskFeed;
import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The last of what happened to one task, for whoever follows it now or comes later. Thread-safe.
 *
 * <p>It keeps so many bytes and lets go of the eldest. The task waits for followers that still have to take them, but not
 * for long: each may read as slowly as it likes, and only misses something then.
 */
final class TaskEvents implements ExecutionListener {

    /** How much is kept while the task runs, in bytes. */
    static final int KEPT = 1 << 20;

    /** How much is kept once it is over. */
    static final int KEPT_AFTER = 256 << 10;

    /** How long all followers together may hold up the task. */
    private static final Duration PATIENCE = Duration.ofSeconds(2);

    /** What a follower that reads so much has earned of that: a fast one is never left behind. */
    private static final long NANOS_PER_BYTE_READ = 1_000_000_000L >> 20;

    /** The most that one event has, in bytes. */
    private static final int LONGEST_EVENT = 32 << 10;

    /** What a segment takes besides its bytes. */
    private static final int OVERHEAD = 100;

    private static final int SEGMENT = 8 << 10;

    private static final byte[] NONE = {};

    private final TimeSource time;
    private @Nullable ProgressFilter filter;

    /** What the task's own thread has of characters that are not whole yet. */
    private Map<Stream, byte[]> halves = Map.of();

    private final TreeMap<Long, Segment> segments = new TreeMap<>();
    private Set<Feed> feeds = Set.of();
    private long nextSegment;
    private long offset;
    private int kept;
    private boolean started;
    private @Nullable Supplier<TaskEvent> last;
    private final long mostPatience;
    private long patience;

    TaskEvents(TimeSource time) {
        this(time, PATIENCE);
    }

    TaskEvents(TimeSource time, Duration patience) {
        this.time = time;
        this.mostPatience = patience.toNanos();
        this.patience = mostPatience;
    }

    /** Made with the first output: ten thousand of these are kept, and most have written little or nothing. */
    private ProgressFilter filter() {
        if (filter == null) {
            filter = new ProgressFilter(new ProgressFilter.Sink() {
                @Override
                public void output(byte[] bytes) {
                    append(Stream.STDOUT, bytes);
                }

                @Override
                public void progress(double percent, String message) {
                    TaskEvents.this.progress(percent, message);
                }
            });
        }
        return filter;
    }

    /** A piece of one stream, or a word about the progress. Guarded by the events. */
    private static final class Segment {
        final long offset;
        final @Nullable Stream stream;
        final TaskEvent.@Nullable Progressed progress;
        byte[] bytes;
        int length;

        Segment(long offset, @Nullable Stream stream, TaskEvent.@Nullable Progressed progress, byte[] bytes) {
            this.offset = offset;
            this.stream = stream;
            this.progress = progress;
            this.bytes = bytes;
        }

        int cost() {
            return OVERHEAD + bytes.length;
        }
    }

    @Override
    public void started() {
        wake(() -> started = true);
    }

    @Override
    public void output(Stream stream, byte[] chunk) {
        if (stream == Stream.STDOUT) {
            filter().accept(chunk);
        } else {
            append(stream, chunk);
        }
    }

    @Override
    public void progress(double percent, String message) {
        wake(() -> add(new Segment(
                offset, null, new TaskEvent.Progressed(percent, message, offset), new byte[message.length()])));
    }

    /** Says that no more output comes. */
    void outputEnds() {
        if (filter != null) {
            filter.end();
            filter = null;
        }
        Map<Stream, byte[]> left = halves;
        halves = Map.of();
        left.forEach(this::store);
    }

    /** A character that is cut in two waits for its other half, so that what is text stays text. */
    private void append(Stream stream, byte[] chunk) {
        byte[] half = halves.getOrDefault(stream, NONE);
        byte[] all = chunk;
        if (half.length > 0) {
            all = Arrays.copyOf(half, half.length + chunk.length);
            System.arraycopy(chunk, 0, all, half.length, chunk.length);
        }
        int whole = all.length - Utf8.cutOff(all, 0, all.length);
        if (half.length > 0 || whole < all.length) {
            Map<Stream, byte[]> now = new EnumMap<>(Stream.class);
            now.putAll(halves);
            now.remove(stream);
            if (whole < all.length) {
                now.put(stream, Arrays.copyOfRange(all, whole, all.length));
            }
            halves = now;
        }
        if (whole > 0) {
            store(stream, whole == all.length ? all : Arrays.copyOf(all, whole));
        }
    }

    private void store(Stream stream, byte[] chunk) {
        wake(() -> {
            Segment newest = segments.isEmpty() ? null : segments.lastEntry().getValue();
            if (newest != null && newest.stream == stream && newest.length + chunk.length <= SEGMENT) {
                grow(newest, chunk);
            } else {
                Segment segment = new Segment(offset, stream, null, chunk);
                segment.length = chunk.length;
                add(segment);
            }
            offset += chunk.length;
        });
    }

    private void grow(Segment segment, byte[] chunk) {
        int length = segment.length + chunk.length;
        if (length > segment.bytes.length) {
            kept -= segment.cost();
            segment.bytes = Arrays.copyOf(segment.bytes, Math.min(SEGMENT, Math.max(length, 2 * segment.bytes.length)));
            kept += segment.cost();
        }
        System.arraycopy(chunk, 0, segment.bytes, segment.length, chunk.length);
        segment.length = length;
    }

    private void add(Segment segment) {
        segments.put(nextSegment++, segment);
        kept += segment.cost();
        makeRoom();
    }

    /** Waits for a follower that still has to take the eldest segment, for as long as the task can be held up. */
    private void makeRoom() {
        while (kept > KEPT && segments.size() > 1) {
            long eldest = segments.firstKey();
            if (patience <= 0 || feeds.stream().noneMatch(feed -> feed.segment <= eldest && !feed.waiting)) {
                drop();
                continue;
            }
            long began = time.nanoTime();
            try {
                wait(patience / 1_000_000 + 1);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt(); // The task is cancelled; its executor finds out at once.
                patience = 0;
            }
            patience -= time.nanoTime() - began;
        }
    }

    private void drop() {
        Segment eldest = segments.pollFirstEntry().getValue();
        kept -= eldest.cost();
    }

    /** Ends: it is over, or was turned away after all. */
    void end(@Nullable TaskResult result, @Nullable Throwable failure) {
        TaskEvent end = result != null
                ? new TaskEvent.Ended(result)
                : new TaskEvent.Failed(
                        failure == null ? "no result" : String.valueOf(failure.getMessage()),
                        failure instanceof D8Exception);
        wake(() -> {
            last = () -> end;
            trim();
        });
    }

    /** Lets go of the result, which is kept elsewhere. */
    synchronized void resultIsIn(Supplier<TaskResult> kept) {
        last = () -> new TaskEvent.Ended(kept.get());
    }

    /** Once nothing more comes, nobody who is following now misses anything. */
    private void trim() {
        while (last != null && feeds.isEmpty() && kept > KEPT_AFTER && segments.size() > 1) {
            drop();
        }
    }

    /** Returns whether the task's first line was about to run. */
    synchronized boolean wasStarted() {
        return started;
    }

    /** Returns whether nobody follows, and nothing is kept that the result does not tell. */
    synchronized boolean unused() {
        return segments.isEmpty() && feeds.isEmpty();
    }

    /** Returns how much it keeps, in bytes, or will when nobody follows. */
    synchronized int kept() {
        return last == null ? kept : Math.min(kept, KEPT_AFTER);
    }

    /** Changes something and tells the followers that wait. */
    private void wake(Runnable change) {
        List<Feed> waiting;
        synchronized (this) {
            change.run();
            waiting = feeds.isEmpty()
                    ? List.of()
                    : feeds.stream().filter(Feed::stopsWaiting).toList();
        }
        waiting.forEach(feed -> feed.available.run());
    }

    /**
     * Lets somebody follow.
     *
     * @param from the offset to begin at; what lies before it is not told
     * @param available told, on any thread, when there is something after {@link TaskFeed#next} had nothing
     */
    synchronized TaskFeed follow(long from, Runnable available) {
        Feed feed = new Feed(from, available);
        if (feeds.isEmpty()) {
            feeds = new LinkedHashSet<>();
        }
        feeds.add(feed);
        return feed;
    }

    private final class Feed implements TaskFeed {
        private final Runnable available;
        private boolean waiting;
        private boolean startedTold;
        private boolean over;
        private long segment;
        private long position;

        Feed(long from, Runnable available) {
            this.available = available;
            this.position = from;
            this.startedTold = from > 0;
            this.segment = segments.isEmpty() ? nextSegment : segments.firstKey();
        }

        private boolean stopsWaiting() {
            boolean waited = waiting;
            waiting = false;
            return waited;
        }

        @Override
        public @Nullable TaskEvent next() {
            synchronized (TaskEvents.this) {
                TaskEvent event = over ? null : find();
                waiting = event == null && !over;
                if (event instanceof TaskEvent.Ended || event instanceof TaskEvent.Failed) {
                    close();
                }
                return event;
            }
        }

        private @Nullable TaskEvent find() {
            if (started && !startedTold) {
                startedTold = true;
                return new TaskEvent.Started();
            }
            while (true) {
                Map.Entry<Long, Segment> at = segments.ceilingEntry(segment);
                if (at == null) {
                    return last();
                }
                segment = at.getKey();
                Segment here = at.getValue();
                if (here.offset > position) {
                    TaskEvent.Skipped skipped = new TaskEvent.Skipped(position, here.offset);
                    position = here.offset;
                    return skipped;
                }
                TaskEvent event = here.progress != null ? progress(here.progress) : output(here);
                if (event != null) {
                    return event;
                }
                if (here.stream != null && segment == segments.lastKey()) {
                    return last(); // It may still grow.
                }
                pass();
            }
        }

        private @Nullable TaskEvent last() {
            return last == null ? null : last.get();
        }

        private @Nullable TaskEvent progress(TaskEvent.Progressed progress) {
            if (progress.offset() < position) {
                return null;
            }
            pass();
            return progress;
        }

        private @Nullable TaskEvent output(Segment here) {
            int begin = (int) Math.min(here.length, position - here.offset);
            int end = Math.min(here.length, begin + LONGEST_EVENT);
            end -= end < here.length ? Utf8.cutOff(here.bytes, begin, end) : 0;
            if (begin == end) {
                return null;
            }
            TaskEvent.Wrote wrote = new TaskEvent.Wrote(
                    here.stream == null ? Stream.STDOUT : here.stream,
                    Arrays.copyOfRange(here.bytes, begin, end),
                    position);
            position = wrote.next();
            patience = Math.min(mostPatience, patience + (end - begin) * NANOS_PER_BYTE_READ);
            if (end == here.length && segment < segments.lastKey()) {
                pass();
            }
            return wrote;
        }

        private void pass() {
            segment++;
            TaskEvents.this.notifyAll();
        }

        @Override
        public void close() {
            synchronized (TaskEvents.this) {
                over = true;
                if (feeds.contains(this)) {
                    feeds.remove(this);
                }
                trim();
                TaskEvents.this.notifyAll();
            }
        }
    }
}
