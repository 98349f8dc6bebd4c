package dev.d8.master;

import dev.d8.Task;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/** Chooses among the slaves that can take a task. Thread-safe; must not block. */
@FunctionalInterface
public interface SlaveSelector {

    /**
     * Chooses one.
     *
     * @param candidates at least one, in the order of their ids
     */
    Slave select(List<Slave> candidates, Task task);

    /** Returns a selector that takes the slave with the fewest tasks of this master, in turn among equals. */
    static SlaveSelector leastLoaded() {
        SlaveSelector turn = roundRobin();
        return (candidates, task) -> {
            int least = candidates.stream()
                    .min(Comparator.comparingInt(Slave::inFlight))
                    .orElseThrow()
                    .inFlight();
            return turn.select(
                    candidates.stream()
                            .filter(slave -> slave.inFlight() == least)
                            .toList(),
                    task);
        };
    }

    /** Returns a selector that takes one after the other. */
    static SlaveSelector roundRobin() {
        AtomicInteger next = new AtomicInteger();
        return (candidates, task) -> candidates.get(Math.floorMod(next.getAndIncrement(), candidates.size()));
    }
}
