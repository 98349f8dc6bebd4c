package dev.d8.master;

import dev.d8.VersionInfo;
import dev.d8.internal.SerialExecutor;
import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tells what becomes of slaves: the log at once, listeners in order. In the first moments of a master a slave that cannot be
 * reached is no news to them yet: its network, or the slave, may be starting, too. Thread-safe.
 */
final class Transitions {

    private static final Logger LOG = LoggerFactory.getLogger(SlaveManager.class);

    private final VersionInfo own;
    private final MasterMetrics metrics;
    private final List<SlaveListener> listeners;
    private final SerialExecutor events;

    /** Slaves that were dead when they were first looked at, as they were before; null once the grace is over. */
    private Map<String, Slave> unseen = new LinkedHashMap<>();

    private boolean grace;

    Transitions(
            VersionInfo own,
            MasterMetrics metrics,
            List<SlaveListener> listeners,
            Executor callbacks,
            TimeSource time,
            Duration graceTime,
            Fleet fleet) {
        this.own = own;
        this.metrics = metrics;
        this.listeners = new CopyOnWriteArrayList<>(listeners);
        this.events = new SerialExecutor(callbacks);
        this.grace = !graceTime.isZero();
        if (grace) {
            time.schedule(graceTime, () -> graceOver(fleet));
        }
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
        Slave known;
        synchronized (this) {
            Slave held = unseen.remove(after.id());
            if (grace && after.status() == SlaveStatus.DEAD && before.status() == SlaveStatus.UNKNOWN) {
                unseen.put(after.id(), before);
                return;
            }
            known = held != null ? held : before;
        }
        tell(known, after);
    }

    private void graceOver(Fleet fleet) {
        Map<String, Slave> held;
        synchronized (this) {
            grace = false;
            held = unseen;
            unseen = new LinkedHashMap<>();
        }
        held.forEach((id, before) -> {
            Member member = fleet.get(id);
            if (member != null) {
                tell(before, member.snapshot());
            }
        });
    }

    private void tell(Slave before, Slave after) {
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
