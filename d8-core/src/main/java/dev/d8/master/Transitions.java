package dev.d8.master;

import dev.d8.VersionInfo;
import dev.d8.internal.SerialExecutor;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Tells what becomes of slaves, to the log and to listeners, in order. Thread-safe. */
final class Transitions {

    private static final Logger LOG = LoggerFactory.getLogger(SlaveManager.class);

    private final VersionInfo own;
    private final MasterMetrics metrics;
    private final List<SlaveListener> listeners;
    private final SerialExecutor events;

    Transitions(VersionInfo own, MasterMetrics metrics, List<SlaveListener> listeners, Executor callbacks) {
        this.own = own;
        this.metrics = metrics;
        this.listeners = List.copyOf(listeners);
        this.events = new SerialExecutor(callbacks);
    }

    void changed(Slave before, Slave after) {
        String change = "slave {}: {} -> {}: {}";
        if (after.status() == SlaveStatus.ALIVE
                && after.health().map(h -> h.version().sameCommit(own)).orElse(true)) {
            LOG.info(change, after.id(), before.status(), after.status(), after.reason());
        } else {
            LOG.warn(change, after.id(), before.status(), after.status(), after.reason());
        }
        if (before.status() != after.status()) {
            metrics.changed(after.status());
        }
        each(listener -> listener.statusChanged(before, after));
    }

    void masterCutOff(String why) {
        LOG.error("the master seems to be cut off: {}", why);
        each(listener -> listener.masterCutOff(true, why));
    }

    void masterBack(String why) {
        LOG.info("the master is no longer cut off: {}", why);
        each(listener -> listener.masterCutOff(false, why));
    }

    private void each(Consumer<SlaveListener> event) {
        for (SlaveListener listener : listeners) {
            events.execute(() -> event.accept(listener));
        }
    }
}
