package dev.d8.master;

import java.util.random.RandomGenerator;

/** Makes a {@link SlaveSelector} that is asked for by name. Found by {@link java.util.ServiceLoader}; its constructor does nothing. */
public interface SlaveSelectorProvider {

    /**
     * Returns the name: {@code [a-z][a-z0-9_]*}, one of its kind; {@code least_loaded}, {@code lowest_latency}, {@code
     * round_robin} and {@code sticky} are taken.
     */
    String name();

    /** Makes a selector, one for each manager. */
    SlaveSelector create(RandomGenerator random);
}
