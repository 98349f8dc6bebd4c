package dev.d8.executor.python.engine;

import dev.d8.spi.TimeSource;
import java.io.IOException;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The agents of one interpreter and their supervisors, each with a process parked for the next task. Thread-safe.
 *
 * <p>Whoever takes the last supervisor has one more made ahead, so that as many stand ready as tasks run at one time. One
 * that has rested longest is taken first: its next process is forked by then. Agents that end are started again, ever
 * more slowly while they keep ending; those that are old are replaced.
 */
final class AgentPool implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(AgentPool.class);

    private static final Duration TICK = Duration.ofSeconds(10);

    /** How long a supervisor above the number to keep rests before it is let go. */
    private static final Duration IDLE = Duration.ofSeconds(60);

    private static final Duration FIRST_BACKOFF = Duration.ofMillis(200);
    private static final Duration LONGEST_BACKOFF = Duration.ofSeconds(30);

    /** An agent that lived that long is not one that keeps ending. */
    private static final Duration SOUND = Duration.ofSeconds(60);

    /** Makes an agent. */
    interface Factory {
        AgentProcess start(int number) throws IOException;
    }

    private final String name;
    private final Factory factory;
    private final EngineSettings settings;
    private final TimeSource time;
    private final Executor workers;
    private final EngineMetrics metrics;

    private final ReentrantLock lock = new ReentrantLock();
    private final Condition arrived = lock.newCondition();
    private final List<Place> places = new ArrayList<>();
    private final Deque<SocketLink> ready = new ArrayDeque<>();
    private int waiting;
    private int next;
    private boolean closed;

    /** Where an agent stands, its successor after it. */
    private static final class Place {
        final int number;

        @Nullable
        AgentProcess agent;

        boolean starting = true;
        long since;
        int asked; // supervisors that have not come yet
        int failures;

        Place(int number) {
            this.number = number;
        }
    }

    AgentPool(
            String name,
            Factory factory,
            EngineSettings settings,
            TimeSource time,
            Executor workers,
            EngineMetrics metrics) {
        this.name = name;
        this.factory = factory;
        this.settings = settings;
        this.time = time;
        this.workers = workers;
        this.metrics = metrics;
        for (int number = 0; number < settings.agents(); number++) {
            places.add(new Place(number));
        }
    }

    /** Starts the agents, in the background. */
    void start() {
        places.forEach(place -> inBackground(() -> fill(place)));
        time.schedule(TICK, this::tick);
    }

    private void inBackground(Runnable action) {
        try {
            workers.execute(action);
        } catch (RejectedExecutionException e) {
            // Closed meanwhile.
        }
    }

    private void fill(Place place) {
        AgentProcess agent;
        try {
            agent = factory.start(place.number);
        } catch (IOException e) {
            ended(place, null, String.valueOf(e.getMessage()));
            return;
        }
        AgentProcess before;
        lock.lock();
        try {
            before = closed ? agent : place.agent;
            place.starting = false;
            if (!closed) {
                place.agent = agent;
                place.since = time.nanoTime();
                place.asked = 0;
                int share = (settings.parked() + places.size() - 1 - place.number) / places.size();
                for (int i = 0; i < Math.max(share, waiting > 0 ? 1 : 0); i++) {
                    ask(place, agent);
                }
            }
        } finally {
            lock.unlock();
        }
        if (before != null) {
            retire(before);
        }
        agent.ended().thenRun(() -> inBackground(() -> ended(place, agent, agent.diagnosis())));
    }

    private static void ask(Place place, AgentProcess agent) {
        place.asked++;
        agent.fork();
    }

    /** An agent has ended, or could not be started. */
    private void ended(Place place, @Nullable AgentProcess agent, String why) {
        Duration pause;
        lock.lock();
        try {
            if (closed || place.agent != agent) {
                return; // Its end was wanted.
            }
            boolean sound = agent != null && time.since(place.since).compareTo(SOUND) > 0;
            place.failures = sound ? 1 : place.failures + 1;
            place.agent = null;
            place.starting = false;
            place.asked = 0;
            pause = FIRST_BACKOFF.multipliedBy(1L << Math.min(place.failures - 1, 10));
            pause = pause.compareTo(LONGEST_BACKOFF) < 0 ? pause : LONGEST_BACKOFF;
            arrived.signalAll(); // Who waits may have nobody to wait for any more.
        } finally {
            lock.unlock();
        }
        if (agent != null) {
            retire(agent);
        }
        metrics.agentRestarts.increment();
        LOG.warn("{}: an agent ended: {}; starting another one in {} ms", name, why, pause.toMillis());
        time.schedule(pause, () -> inBackground(() -> fill(place)));
    }

    /** Lets go of an agent, once the tasks of its supervisors are over. */
    private void retire(AgentProcess agent) {
        List<SocketLink> idle = new ArrayList<>();
        lock.lock();
        try {
            agent.retire();
            for (Iterator<SocketLink> links = ready.iterator(); links.hasNext(); ) {
                SocketLink link = links.next();
                if (link.agent() == agent) {
                    links.remove();
                    idle.add(link);
                }
            }
            if (agent.links() == 0) {
                agent.close();
            }
        } finally {
            lock.unlock();
        }
        idle.forEach(this::discard);
    }

    /** A supervisor has connected, on the socket's thread. */
    void welcome(byte[] shown, SocketChannel channel) {
        lock.lock();
        try {
            for (Place place : places) {
                AgentProcess agent = place.agent;
                if (!closed && agent != null && agent.knows(shown)) {
                    place.asked = Math.max(0, place.asked - 1);
                    SocketLink link = new SocketLink(agent, channel, time);
                    agent.linkAdded();
                    ready.addLast(link);
                    arrived.signal();
                    return;
                }
            }
            channel.close();
        } catch (IOException e) {
            LOG.warn("{}: a supervisor cannot be taken on: {}", name, e.getMessage());
            close(channel);
        } finally {
            lock.unlock();
        }
    }

    private static void close(SocketChannel channel) {
        try {
            channel.close();
        } catch (IOException e) {
            LOG.debug("closing the way to a supervisor", e);
        }
    }

    /**
     * Returns a supervisor that waits for a task, for the caller to {@link #giveBack} or {@link #discard}.
     *
     * @return nothing if none came within {@code patience}, or no agent is there or about to be that could make one
     */
    @Nullable
    SocketLink take(Duration patience) throws InterruptedException {
        long nanos = patience.toNanos();
        lock.lockInterruptibly();
        try {
            while (!closed) {
                SocketLink link = ready.pollFirst();
                if (link != null) {
                    if (link.ready()) {
                        keepAhead();
                        return link;
                    }
                    discard(link);
                    continue;
                }
                waiting++;
                try {
                    if (nanos <= 0) {
                        places.forEach(place -> place.asked = 0); // What was asked for is not coming.
                        return null;
                    }
                    if (!keepAhead()) {
                        return null;
                    }
                    nanos = arrived.awaitNanos(nanos);
                } finally {
                    waiting--;
                }
            }
            return null;
        } finally {
            lock.unlock();
        }
    }

    /** Sees to it that more supervisors stand ready or are on their way than are waited for; returns whether any can be. */
    private boolean keepAhead() {
        int asked = places.stream().mapToInt(place -> place.asked).sum();
        int missing = waiting + 1 - ready.size() - asked;
        boolean possible = false;
        for (int i = 0; i < places.size(); i++) {
            Place place = places.get((next + i) % places.size());
            AgentProcess agent = place.agent;
            possible |= agent != null || place.starting;
            if (agent != null && missing > 0) {
                ask(place, agent);
                missing--;
            }
        }
        next++;
        return possible;
    }

    /** Takes a supervisor back whose task has ended as it should. */
    void giveBack(SocketLink link) {
        link.rest();
        lock.lock();
        try {
            if (!closed && !link.agent().retired() && link.served() < settings.recycleTasks()) {
                ready.addLast(link);
                arrived.signal();
                return;
            }
        } finally {
            lock.unlock();
        }
        discard(link);
    }

    /** Lets go of a supervisor, which ends the task if it has one. */
    void discard(SocketLink link) {
        link.close();
        lock.lock();
        try {
            if (link.agent().linkRemoved() == 0 && link.agent().retired()) {
                link.agent().close();
            }
        } finally {
            lock.unlock();
        }
    }

    private void tick() {
        List<SocketLink> surplus = new ArrayList<>();
        lock.lock();
        try {
            if (closed) {
                return;
            }
            while (ready.size() > settings.parked() && ready.getFirst().idle().compareTo(IDLE) > 0) {
                surplus.add(ready.removeFirst());
            }
            for (Place place : places) {
                if (place.agent != null && time.since(place.since).compareTo(settings.recycleAge()) > 0) {
                    place.since = time.nanoTime(); // Not twice while the successor starts.
                    inBackground(() -> fill(place));
                }
            }
        } finally {
            lock.unlock();
        }
        surplus.forEach(this::discard);
        time.schedule(TICK, this::tick);
    }

    /** Returns how many supervisors wait for a task. */
    int parked() {
        lock.lock();
        try {
            return ready.size();
        } finally {
            lock.unlock();
        }
    }

    /** Ends the agents, and with them every task. Idempotent. */
    @Override
    public void close() {
        List<SocketLink> idle;
        lock.lock();
        try {
            closed = true;
            idle = new ArrayList<>(ready);
            ready.clear();
            for (Place place : places) {
                if (place.agent != null) {
                    place.agent.close();
                    place.agent = null;
                }
            }
            arrived.signalAll();
        } finally {
            lock.unlock();
        }
        idle.forEach(SocketLink::close);
    }
}
