package dev.d8.transport.netty;

import java.net.InetAddress;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.AtomicInteger;

/** Counts a binding's connections, in all and from each address. Thread-safe. */
final class Admission {

    /** What becomes of a new connection. */
    enum Verdict {
        /** It is served and counts. */
        SERVED,
        /** It gets 503. */
        REFUSED,
        /** It is closed without a word: too many are being refused. */
        DROPPED
    }

    private static final int MAX_REFUSED = 100;

    private final HttpSettings settings;
    private final AtomicInteger total = new AtomicInteger();
    private final AtomicInteger refused = new AtomicInteger();
    private final ConcurrentMap<InetAddress, Integer> peers = new ConcurrentHashMap<>();

    Admission(HttpSettings settings) {
        this.settings = settings;
    }

    /** Counts a new connection; {@link #left} must follow. */
    Verdict entered(InetAddress peer) {
        int ofPeer = peers.merge(peer, 1, Integer::sum);
        if (total.incrementAndGet() <= settings.maxConnections() && ofPeer <= settings.maxConnectionsPerPeer()) {
            return Verdict.SERVED;
        }
        uncount(peer);
        if (refused.incrementAndGet() <= MAX_REFUSED) {
            return Verdict.REFUSED;
        }
        refused.decrementAndGet();
        return Verdict.DROPPED;
    }

    /** Forgets a connection. */
    void left(InetAddress peer, Verdict verdict) {
        switch (verdict) {
            case SERVED -> uncount(peer);
            case REFUSED -> refused.decrementAndGet();
            case DROPPED -> {}
        }
    }

    private void uncount(InetAddress peer) {
        total.decrementAndGet();
        peers.computeIfPresent(peer, (address, count) -> count > 1 ? count - 1 : null);
    }
}
