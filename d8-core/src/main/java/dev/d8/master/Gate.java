package dev.d8.master;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/** So many places; who finds none may wait for one, first come, first served. Thread-safe. */
final class Gate {

    private final Deque<CompletableFuture<Void>> waiting = new ArrayDeque<>();
    private int free;
    private @Nullable RuntimeException closed;

    Gate(int places) {
        free = places;
    }

    /** Takes so many places if all of them are free. */
    synchronized boolean tryEnter(int places) {
        if (closed != null) {
            throw closed;
        }
        if (free < places || !waiting.isEmpty()) {
            return false;
        }
        free -= places;
        return true;
    }

    /** Takes a place when there is one; who no longer wants it cancels the future. */
    synchronized CompletableFuture<Void> enter() {
        if (closed != null) {
            return CompletableFuture.failedFuture(closed);
        }
        if (tryEnter(1)) {
            return CompletableFuture.completedFuture(null);
        }
        CompletableFuture<Void> place = new CompletableFuture<>();
        waiting.add(place);
        return place;
    }

    /** Lets nobody in any more, nor wait. */
    void close(RuntimeException why) {
        List<CompletableFuture<Void>> left;
        synchronized (this) {
            closed = why;
            left = List.copyOf(waiting);
            waiting.clear();
        }
        left.forEach(place -> place.completeExceptionally(why));
    }

    /** Gives a place back. */
    void leave() {
        CompletableFuture<Void> next;
        do {
            synchronized (this) {
                next = waiting.poll();
                if (next == null) {
                    free++;
                    return;
                }
            }
        } while (!next.complete(null)); // One that was cancelled meanwhile.
    }
}
