package dev.d8.slave;

/**
 * Remembers task ids and nothing else, 32 bytes each: at least the latest so many, at most twice as many. Two open-addressed
 * tables; when the younger is full, the elder is dropped. Not thread-safe.
 */
final class RecentIds {

    private static final int LEAST = 64;

    private final int most;
    private Table young = new Table(LEAST);
    private Table old = new Table(LEAST);

    RecentIds(int most) {
        this.most = most;
    }

    void add(long high, long low) {
        if (young.count >= most) {
            old = young;
            young = new Table(LEAST);
        }
        if (young.count * 2 >= young.capacity()) {
            young = young.grown();
        }
        young.add(high, low);
    }

    boolean contains(long high, long low) {
        return young.contains(high, low) || old.contains(high, low);
    }

    /** Returns a hash of an id, of which every bit depends on every bit of the id: callers count theirs up as they like. */
    static int hash(long high, long low) {
        long mixed = (high * 0x9E3779B97F4A7C15L) ^ (low * 0xC2B2AE3D27D4EB4FL);
        return (int) (((mixed ^ (mixed >>> 32)) * 0x9E3779B97F4A7C15L) >>> 32);
    }

    private static final class Table {
        private final long[] words;
        private boolean zero;
        private int count;

        Table(int capacity) {
            words = new long[2 * capacity];
        }

        int capacity() {
            return words.length / 2;
        }

        Table grown() {
            Table larger = new Table(capacity() * 2);
            larger.zero = zero;
            for (int i = 0; i < words.length; i += 2) {
                if ((words[i] | words[i + 1]) != 0) {
                    larger.add(words[i], words[i + 1]);
                }
            }
            return larger;
        }

        void add(long high, long low) {
            int at = find(high, low);
            if ((high | low) == 0) {
                zero = true;
            } else if ((words[at] | words[at + 1]) == 0) {
                words[at] = high;
                words[at + 1] = low;
                count++;
            }
        }

        boolean contains(long high, long low) {
            if ((high | low) == 0) {
                return zero; // That word stands for an empty place.
            }
            int at = find(high, low);
            return (words[at] | words[at + 1]) != 0;
        }

        /** Returns where it is, or the empty place where it would be. */
        private int find(long high, long low) {
            int at = (hash(high, low) & (capacity() - 1)) * 2;
            while ((words[at] | words[at + 1]) != 0 && (words[at] != high || words[at + 1] != low)) {
                at = (at + 2) & (words.length - 1);
            }
            return at;
        }
    }
}
