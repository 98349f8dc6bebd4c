package dev.d8.slave;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What waits, by whom it belongs to: each owner gets a turn after the other, so that one with a thousand in the queue holds
 * up nobody who has one. In order for each owner. Thread-safe.
 */
final class FairQueue<K, T> {

    private final Map<K, Set<T>> waiting = new LinkedHashMap<>();
    private int size;

    synchronized void add(K owner, T item) {
        if (waiting.computeIfAbsent(owner, key -> new LinkedHashSet<>()).add(item)) {
            size++;
        }
    }

    /** Takes the next one; nothing if there is none. */
    synchronized @Nullable T poll() {
        Iterator<Map.Entry<K, Set<T>>> owners = waiting.entrySet().iterator();
        if (!owners.hasNext()) {
            return null;
        }
        Map.Entry<K, Set<T>> turn = owners.next();
        K owner = turn.getKey();
        Set<T> items = turn.getValue();
        Iterator<T> first = items.iterator();
        T item = first.next();
        first.remove();
        size--;
        owners.remove();
        if (!items.isEmpty()) {
            waiting.put(owner, items); // Behind the others.
        }
        return item;
    }

    /** Returns whether it was still there. */
    synchronized boolean remove(K owner, T item) {
        Set<T> items = waiting.get(owner);
        if (items == null || !items.remove(item)) {
            return false;
        }
        size--;
        if (items.isEmpty()) {
            waiting.remove(owner);
        }
        return true;
    }

    synchronized int size() {
        return size;
    }
}
