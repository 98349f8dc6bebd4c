package dev.d8.slave;

import dev.d8.SlaveRefusedException;
import dev.d8.SlaveRefusedException.Reason;
import dev.d8.TaskId;
import dev.d8.slave.TaskLedger.Window;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The tasks that a {@link TaskLedger} knows, and which of them make room for others. Every step takes constant time and
 * allocates nothing. Not thread-safe.
 */
final class KeptTasks {

    /** Ids of tasks whose results are gone. */
    private static final int FORGOTTEN = 500_000;

    private static final Duration RETRY_AFTER = Duration.ofSeconds(30);

    private final Window window;
    private final RecentIds forgotten = new RecentIds(FORGOTTEN);

    /** Whatever is over: results that were fetched, and those that were not. */
    private final Line fetched = new Line();

    private final Line unfetched = new Line();

    /** Chains of entries by the hash of their ids; a power of two of them. */
    private @Nullable TaskEntry[] buckets = new @Nullable TaskEntry[64];

    private int count;
    private long bytes;

    KeptTasks(Window window) {
        this.window = window;
    }

    /** Entries in the order in which they were put into it. */
    static final class Line {
        private @Nullable TaskEntry eldest;
        private @Nullable TaskEntry youngest;

        private void add(TaskEntry entry) {
            entry.line = this;
            entry.elder = youngest;
            if (youngest == null) {
                eldest = entry;
            } else {
                youngest.younger = entry;
            }
            youngest = entry;
        }

        private void remove(TaskEntry entry) {
            if (entry.elder == null) {
                eldest = entry.younger;
            } else {
                entry.elder.younger = entry.younger;
            }
            if (entry.younger == null) {
                youngest = entry.elder;
            } else {
                entry.younger.elder = entry.elder;
            }
            entry.line = null;
            entry.elder = null;
            entry.younger = null;
        }
    }

    @Nullable
    TaskEntry find(TaskId id) {
        TaskEntry entry =
                buckets[bucket(id.value().getMostSignificantBits(), id.value().getLeastSignificantBits())];
        while (entry != null && !entry.is(id)) {
            entry = entry.nextInBucket;
        }
        return entry;
    }

    /** Returns whether it was kept once. */
    boolean isForgotten(TaskId id) {
        return forgotten.contains(
                id.value().getMostSignificantBits(), id.value().getLeastSignificantBits());
    }

    /** Adds one whose id is not in it yet. */
    void add(TaskEntry entry) {
        if (count == buckets.length) {
            grow();
        }
        insert(entry);
        count++;
    }

    private void insert(TaskEntry entry) {
        int bucket = bucket(entry.high, entry.low);
        entry.nextInBucket = buckets[bucket];
        buckets[bucket] = entry;
    }

    private void grow() {
        @Nullable TaskEntry[] old = buckets;
        buckets = new @Nullable TaskEntry[2 * old.length];
        for (TaskEntry first : old) {
            for (TaskEntry entry = first; entry != null; ) {
                TaskEntry next = entry.nextInBucket;
                insert(entry);
                entry = next;
            }
        }
    }

    /** Takes one out without a trace. */
    void remove(TaskEntry entry) {
        int bucket = bucket(entry.high, entry.low);
        TaskEntry before = null;
        for (TaskEntry at = buckets[bucket]; at != null; at = at.nextInBucket) {
            if (at == entry) {
                if (before == null) {
                    buckets[bucket] = entry.nextInBucket;
                } else {
                    before.nextInBucket = entry.nextInBucket;
                }
                entry.nextInBucket = null;
                count--;
                return;
            }
            before = at;
        }
    }

    private int bucket(long high, long low) {
        return RecentIds.hash(high, low) & (buckets.length - 1);
    }

    /**
     * Notes that one is over.
     *
     * @param size what it takes from now on, in bytes
     */
    void over(TaskEntry entry, long size, long now) {
        entry.size = size;
        entry.overAt = now;
        bytes += size;
        unfetched.add(entry);
    }

    /** Notes that the caller of one that is over has its result. */
    void fetched(TaskEntry entry) {
        if (entry.line == unfetched) {
            unfetched.remove(entry);
            fetched.add(entry);
        }
    }

    /**
     * Lets go of results until another has room.
     *
     * @throws SlaveRefusedException if none can be let go of
     */
    void makeRoom(long now) {
        while (dropEldest(fetched, now, window.age()) || dropEldest(unfetched, now, window.age())) {
            // One more.
        }
        while (count >= window.results() || bytes > window.bytes()) {
            if (!dropEldest(fetched, now, Duration.ZERO) && !dropEldest(unfetched, now, TaskLedger.PATIENCE)) {
                throw new SlaveRefusedException(
                        Reason.RESULTS_FULL,
                        RETRY_AFTER,
                        "the results of " + count + " tasks are kept for their callers, who have not fetched"
                                + " them; fetch them, or wait for an hour");
            }
        }
    }

    private boolean dropEldest(Line from, long now, Duration age) {
        TaskEntry entry = from.eldest;
        if (entry == null || now - entry.overAt < age.toNanos()) {
            return false;
        }
        from.remove(entry);
        remove(entry);
        forgotten.add(entry.high, entry.low);
        bytes -= entry.size;
        return true;
    }
}
