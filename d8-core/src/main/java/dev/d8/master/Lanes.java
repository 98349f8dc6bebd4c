package dev.d8.master;

import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The tasks that wait, apart by what they need, so that those that nobody can run now stand in nobody's way. Used by one thread at a
 * time; the size may be read by any.
 */
final class Lanes {

    private static final Comparator<Submission> ORDER =
            Comparator.comparingInt((Submission one) -> -one.task.priority()).thenComparingLong(one -> one.number);

    private final Map<Needs, TreeSet<Submission>> lanes = new LinkedHashMap<>();
    private volatile int size;

    /** Returns whether others with its needs waited already. */
    boolean add(Submission task) {
        TreeSet<Submission> lane = lanes.computeIfAbsent(task.needs, needs -> new TreeSet<>(ORDER));
        boolean behind = !lane.isEmpty();
        resize(lane.add(task) ? 1 : 0);
        return behind;
    }

    /** Returns whether it waited. */
    boolean remove(Submission task) {
        TreeSet<Submission> lane = lanes.get(task.needs);
        if (lane == null || !lane.remove(task)) {
            return false;
        }
        resize(-1);
        if (lane.isEmpty()) {
            lanes.remove(task.needs);
        }
        return true;
    }

    @SuppressWarnings("NonAtomicVolatileUpdate") // One writer.
    private void resize(int by) {
        size += by;
    }

    @Nullable
    Submission first(Needs needs) {
        TreeSet<Submission> lane = lanes.get(needs);
        return lane == null ? null : lane.first();
    }

    /** Returns who goes first among all whose needs are met. */
    @Nullable
    Submission first(Predicate<Needs> met) {
        Submission first = null;
        for (Map.Entry<Needs, TreeSet<Submission>> lane : lanes.entrySet()) {
            Submission next = lane.getValue().first();
            if ((first == null || ORDER.compare(next, first) < 0) && met.test(lane.getKey())) {
                first = next;
            }
        }
        return first;
    }

    /** Returns what the tasks that wait need, the lane of the first task first. */
    List<Needs> needs() {
        return lanes.entrySet().stream()
                .sorted(Map.Entry.comparingByValue(Comparator.comparing(TreeSet::first, ORDER)))
                .map(Map.Entry::getKey)
                .toList();
    }

    int size() {
        return size;
    }
}
