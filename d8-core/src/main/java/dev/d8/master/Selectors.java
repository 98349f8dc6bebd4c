package dev.d8.master;

import dev.d8.ConfigurationException;
import dev.d8.internal.PluginRegistry;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.random.RandomGenerator;

/** The selectors that can be asked for by name: D8's own and those that are found. */
final class Selectors {

    private static final Map<String, Function<RandomGenerator, SlaveSelector>> OWN = Map.of(
            "least_loaded",
            SlaveSelector::leastLoaded,
            "lowest_latency",
            SlaveSelector::lowestLatency,
            "round_robin",
            random -> SlaveSelector.roundRobin(),
            "sticky",
            random -> SlaveSelector.sticky(SlaveSelector.leastLoaded(random)));

    private Selectors() {}

    /**
     * Makes the selector of this name.
     *
     * @throws ConfigurationException if there is none, or two
     */
    static SlaveSelector named(String name, PluginRegistry plugins, RandomGenerator random) {
        Map<String, Function<RandomGenerator, SlaveSelector>> all = new TreeMap<>(OWN);
        plugins.found(SlaveSelectorProvider.class, "selectors", SlaveSelectorProvider::name)
                .forEach((id, provider) -> {
                    if (all.putIfAbsent(id, provider::create) != null) {
                        throw new ConfigurationException("the selector " + id + " of "
                                + provider.getClass().getName() + " has the name of one of D8's own");
                    }
                });
        Function<RandomGenerator, SlaveSelector> chosen = all.get(name);
        if (chosen == null) {
            throw new ConfigurationException(
                    "selector: \"" + name + "\" (expected: one of " + String.join(", ", all.keySet()) + ")");
        }
        return chosen.apply(random);
    }
}
