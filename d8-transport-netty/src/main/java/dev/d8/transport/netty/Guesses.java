package dev.d8.transport.netty;

import io.netty.util.concurrent.Ticker;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Remembers who sends wrong tokens, and says how long to keep them waiting. Whoever has a right one never waits, wherever it
 * calls from: nobody can lock the owner out by guessing. Thread-safe.
 */
final class Guesses {

    private static final Logger log = LoggerFactory.getLogger(Guesses.class);

    /** How many wrong tokens within a {@link #WINDOW} are answered at once: people mistype, and settings differ. */
    static final int FREE = 10;

    static final Duration WINDOW = Duration.ofMinutes(1);
    static final Duration SHORTEST = Duration.ofMillis(100);
    static final Duration LONGEST = Duration.ofSeconds(5);

    /** How many addresses are remembered; then those go that were not heard of for longest. */
    static final int MOST = 10_000;

    /** Doublings from the shortest wait to beyond the longest. */
    private static final int DOUBLINGS = 6;

    private final Ticker ticker;
    private final Map<String, Latest> peers = new LinkedHashMap<>(16, 0.75f, true); // The last heard of last.

    Guesses(Ticker ticker) {
        this.ticker = ticker;
    }

    /** When the latest of one peer's wrong tokens came: as many as the wait depends on, in a ring. */
    private static final class Latest {
        final long[] times = new long[FREE + 1 + DOUBLINGS];
        long count;
        boolean told;

        /** Notes one more and returns how many came within the window. */
        int add(long now) {
            times[(int) (count++ % times.length)] = now;
            int recent = 1;
            while (recent < Math.min(count, times.length)
                    && now - times[(int) ((count - 1 - recent) % times.length)] < WINDOW.toNanos()) {
                recent++;
            }
            return recent;
        }
    }

    /**
     * Counts a wrong token, or none at all.
     *
     * @param address of the peer, as {@link java.net.InetAddress#getHostAddress} writes it
     * @return how long its answer waits; zero for most
     */
    Duration wrong(String address) {
        String peer = network(address);
        int recent;
        boolean crossed;
        synchronized (this) {
            Latest latest = peers.computeIfAbsent(peer, first -> new Latest());
            if (peers.size() > MOST) {
                peers.remove(peers.keySet().iterator().next());
            }
            recent = latest.add(ticker.nanoTime());
            crossed = recent > FREE && !latest.told;
            latest.told = crossed || (latest.told && recent > 1);
        }
        if (crossed) {
            log.warn(
                    "{} sent more than {} wrong tokens within a minute; more are answered late, a right one at once",
                    peer,
                    FREE);
        }
        if (recent <= FREE) {
            return Duration.ZERO;
        }
        Duration wait = SHORTEST.multipliedBy(1L << (recent - FREE - 1));
        return wait.compareTo(LONGEST) < 0 ? wait : LONGEST;
    }

    /** Whoever has one IPv6 address has the 2^64 of its network. */
    private static String network(String address) {
        int end = -1;
        for (int group = 0; group < 4; group++) {
            end = address.indexOf(':', end + 1);
            if (end < 0) {
                return address;
            }
        }
        return address.substring(0, end) + "::/64";
    }

    /** Returns how many addresses are remembered. */
    synchronized int size() {
        return peers.size();
    }
}
