package dev.d8.master;

import java.util.AbstractList;
import java.util.RandomAccess;

/** The slaves that can take a task, in the order of their ids; each is looked at when it is asked for. */
final class Candidates extends AbstractList<Slave> implements RandomAccess {

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

    @Override
    public Slave get(int index) {
        return members[index].snapshot();
    }

    @Override
    public int size() {
        return members.length;
    }

    int indexOf(String id) {
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
