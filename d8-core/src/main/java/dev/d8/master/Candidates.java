package dev.d8.master;

import dev.d8.Task;
import java.util.AbstractList;
import java.util.RandomAccess;
import org.jspecify.annotations.Nullable;

/** The slaves that can take a task, in the order of their ids. Immutable, but for how each of them is now. */
@SuppressWarnings("ReferenceEquality") // The very object that was handed out.
final class Candidates {

    /** Which state of the fleet this was made from. */
    final long epoch;

    /** Whether all of them answered their last call; else none did, and there is no better one. */
    final boolean trusted;

    private final Member[] members;

    Candidates(long epoch, boolean trusted, Member[] members) {
        this.epoch = epoch;
        this.trusted = trusted;
        this.members = members;
    }

    Member member(int index) {
        return members[index];
    }

    int size() {
        return members.length;
    }

    boolean isEmpty() {
        return members.length == 0;
    }

    /** Has somebody choose one, and returns which. */
    int choose(SlaveSelector selector, Task task) {
        Seen seen = new Seen();
        Slave chosen = selector.select(seen, task);
        return chosen == seen.last ? seen.lastIndex : chosen == seen.before ? seen.beforeIndex : indexOf(chosen.id());
    }

    /** The same slaves for one look, which remembers the last two: to find one of ten thousand again would cost the most. */
    private final class Seen extends AbstractList<Slave> implements RandomAccess {
        private @Nullable Slave last;
        private @Nullable Slave before;
        private int lastIndex;
        private int beforeIndex;

        @Override
        public int size() {
            return members.length;
        }

        @Override
        public Slave get(int index) {
            before = last;
            beforeIndex = lastIndex;
            Slave slave = members[index].snapshot();
            last = slave;
            lastIndex = index;
            return slave;
        }
    }

    private int indexOf(String id) {
        int low = 0;
        int high = members.length - 1;
        while (low <= high) {
            int middle = (low + high) >>> 1;
            int order = members[middle].id.compareTo(id);
            if (order == 0) {
                return middle;
            }
            if (order < 0) {
                low = middle + 1;
            } else {
                high = middle - 1;
            }
        }
        throw new IllegalStateException("the selector chose " + id + ", which is none of the candidates");
    }
}
