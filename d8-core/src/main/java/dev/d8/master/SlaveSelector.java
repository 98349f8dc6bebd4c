package dev.d8.master;

import dev.d8.Task;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.ToDoubleFunction;
import java.util.random.RandomGenerator;

/** Chooses among the slaves that can take a task. Thread-safe; must not block. */
@FunctionalInterface
public interface SlaveSelector {

    /**
     * Chooses one.
     *
     * @param candidates at least one, in the order of their ids. Each element is made when it is read: who wants to choose
     *     among ten thousand in a microsecond reads few of them, by their index
     */
    Slave select(List<Slave> candidates, Task task);

    /**
     * Returns a selector that takes a slave whose {@linkplain Slave#load slots are the least used}: the least of all among a
     * few, in turn among equals; of more than 8 the better of two that are drawn, the "power of two choices" (Mitzenmacher,
     * 2001).
     */
    static SlaveSelector leastLoaded(RandomGenerator random) {
        return least(Slave::load, random);
    }

    /**
     * Returns a selector that takes a slave whose answers are fast and whose slots are free: like {@link #leastLoaded}, with
     * latency × (1 + load) compared. One that has not answered yet counts as one second away.
     */
    static SlaveSelector lowestLatency(RandomGenerator random) {
        return least(slave -> slave.latency().orElse(Duration.ofSeconds(1)).toNanos() * (1 + slave.load()), random);
    }

    private static SlaveSelector least(ToDoubleFunction<Slave> cost, RandomGenerator random) {
        SlaveSelector turn = roundRobin();
        return (candidates, task) -> {
            int count = candidates.size();
            if (count > 8) { // Nearly as good as to compare them all, and costs the same among ten thousand.
                int one = random.nextInt(count);
                int other = (one + 1 + random.nextInt(count - 1)) % count;
                Slave first = candidates.get(one);
                Slave second = candidates.get(other);
                return cost.applyAsDouble(second) < cost.applyAsDouble(first) ? second : first;
            }
            double least = candidates.stream().mapToDouble(cost).min().orElseThrow();
            List<Slave> best = candidates.stream()
                    .filter(slave -> cost.applyAsDouble(slave) <= least)
                    .toList();
            // Loads change while one looks: what was the least may be no more.
            return turn.select(best.isEmpty() ? candidates : best, task);
        };
    }

    /** Returns a selector that takes one after the other. */
    static SlaveSelector roundRobin() {
        AtomicInteger next = new AtomicInteger();
        return (candidates, task) -> candidates.get(Math.floorMod(next.getAndIncrement(), candidates.size()));
    }

    /**
     * Returns a selector that has tasks of one {@linkplain Task#key() key} prefer one slave, which finds there what the ones
     * before have left in its caches: rendezvous hashing (Thaler and Ravishankar, 1998), so that a slave that comes or goes
     * moves only the keys that are its own. Every candidate is looked at: 10,000 cost about a millisecond.
     *
     * @param others who chooses for tasks without a key
     */
    static SlaveSelector sticky(SlaveSelector others) {
        return (candidates, task) -> task.key()
                .map(key -> candidates.stream()
                        .max(Comparator.comparingLong(slave -> weight(key, slave.id())))
                        .orElseThrow())
                .orElseGet(() -> others.select(candidates, task));
    }

    private static long weight(String key, String slave) {
        // Mixed well, as SplitMix64 ends: String.hashCode alone would rank similar names alike for every key.
        long mixed = ((long) key.hashCode() << 32 ^ slave.hashCode()) * 0x9E3779B97F4A7C15L;
        mixed = (mixed ^ mixed >>> 30) * 0xBF58476D1CE4E5B9L;
        mixed = (mixed ^ mixed >>> 27) * 0x94D049BB133111EBL;
        return mixed ^ mixed >>> 31;
    }
}
