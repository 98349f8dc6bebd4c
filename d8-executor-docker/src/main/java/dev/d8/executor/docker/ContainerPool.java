package dev.d8.executor.docker;

import dev.d8.spi.TimeSource;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps containers parked for the tasks to come. What the last tasks asked for is what the next will: the pool holds, as
 * far as it has come, the shapes of the last {@code docker.pool} tasks, and before there were any, the usual one.
 *
 * <p>Containers are made one after the other in the background, so that a refill never takes an engine away from tasks that
 * wait for a container now; an engine that is slow or refuses gets pauses. Thread-safe.
 */
final class ContainerPool implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(ContainerPool.class);

    /** An engine that takes longer for a container than this gets as long to recover. */
    static final Duration SLOW = Duration.ofSeconds(3);

    /** A task that has just taken a container shall have the machine to itself: most are over by then. */
    static final Duration BREATH = Duration.ofMillis(50);

    static final Duration SHORTEST_PAUSE = Duration.ofSeconds(1);
    static final Duration LONGEST_PAUSE = Duration.ofSeconds(60);

    /** Makes a container whose agent waits for its task; fails with what is wrong with the engine. */
    interface Maker {
        ContainerLink make(ReadyEngine engine, Shape shape);
    }

    private record Parked(Shape shape, ContainerLink link, long since) {}

    private final int size;
    private final int prefetch;
    private final Duration idle;
    private final Maker maker;
    private final TimeSource time;
    private final Executor workers;

    /** What the last tasks asked for, the latest first. */
    private final Deque<Shape> asked = new ArrayDeque<>();

    private final List<Parked> parked = new ArrayList<>();
    private @Nullable ReadyEngine engine;
    private @Nullable Shape usual;
    private @Nullable Shape coming;
    private Duration pause = Duration.ZERO;
    private boolean pausing;
    private long lastAsked;
    private boolean closed;

    ContainerPool(DockerSettings.Pool settings, Maker maker, TimeSource time, Executor workers) {
        this.size = settings.size();
        this.prefetch = Math.min(settings.prefetch(), size);
        this.idle = settings.idle();
        this.maker = maker;
        this.time = time;
        this.workers = workers;
        this.lastAsked = time.nanoTime();
    }

    /** Returns a parked container of this shape, the caller's now, if there is one; remembers that it was asked for. */
    synchronized @Nullable ContainerLink take(Shape shape) {
        dropUseless();
        ContainerLink taken = null;
        for (Iterator<Parked> each = parked.iterator(); each.hasNext() && taken == null; ) {
            Parked one = each.next();
            if (one.shape().equals(shape)) {
                each.remove();
                taken = one.link();
            }
        }
        if (size > 0 && shape.common()) {
            lastAsked = time.nanoTime();
            asked.addFirst(shape);
            shorten();
        }
        if (!pausing && coming == null) {
            rest(BREATH);
        }
        return taken;
    }

    /**
     * Tells what was found at a look at the engine, and ends what has been parked for too long.
     *
     * @param usual what tasks that ask for nothing run on
     */
    synchronized void serve(ReadyEngine engine, Shape usual) {
        Shape before = this.usual;
        if (this.engine != null && !this.engine.host().equals(engine.host())) {
            suspend(); // What is parked is parked elsewhere.
        }
        this.engine = engine;
        this.usual = usual;
        if (before == null || time.since(lastAsked).compareTo(idle) >= 0) {
            asked.clear();
            asked.addAll(Collections.nCopies(prefetch, usual));
        } else if (!before.equals(usual)) {
            asked.removeIf(before::equals);
            asked.addAll(Collections.nCopies(prefetch, usual));
            shorten();
        }
        dropUseless();
        refill();
    }

    /** Tells that the engine is of no use for now: what is parked there is given up. */
    synchronized void suspend() {
        engine = null;
        parked.forEach(one -> one.link().close());
        parked.clear();
    }

    /** Returns how many containers wait. */
    synchronized int parked() {
        return parked.size();
    }

    private void shorten() {
        while (asked.size() > size) {
            asked.removeLast();
        }
    }

    private void dropUseless() {
        List<Shape> wanted = new ArrayList<>(asked);
        for (Iterator<Parked> each = parked.iterator(); each.hasNext(); ) {
            Parked one = each.next();
            boolean old = time.since(one.since()).compareTo(idle) >= 0;
            if (!one.link().waiting() || old || !wanted.remove(one.shape())) {
                each.remove();
                one.link().close();
            }
        }
    }

    private @Nullable Shape missing() {
        List<Shape> wanted = new ArrayList<>(asked);
        parked.forEach(one -> wanted.remove(one.shape()));
        return wanted.isEmpty() ? null : wanted.get(0);
    }

    private void refill() {
        ReadyEngine on = engine;
        Shape next = closed || pausing || coming != null ? null : missing();
        if (on == null || next == null) {
            return;
        }
        coming = next;
        try {
            workers.execute(() -> make(on, next));
        } catch (RejectedExecutionException e) {
            coming = null; // The executor is being closed.
        } catch (Throwable e) {
            failed(e); // The machine has no thread left.
        }
    }

    private void make(ReadyEngine on, Shape shape) {
        long began = time.nanoTime();
        try {
            made(shape, maker.make(on, shape), began);
        } catch (Throwable e) {
            failed(e);
        }
    }

    private synchronized void made(Shape shape, ContainerLink link, long began) {
        coming = null;
        pause = Duration.ZERO;
        if (closed || engine == null) {
            link.close();
            return;
        }
        parked.add(new Parked(shape, link, time.nanoTime()));
        dropUseless();
        Duration took = time.since(began);
        if (took.compareTo(SLOW) >= 0) {
            rest(took);
        }
        refill();
    }

    private synchronized void failed(Throwable failure) {
        coming = null;
        if (closed) {
            return;
        }
        if (pause.isZero()) { // The first of a row.
            LOG.warn("no container can be made ahead of tasks: {}", EngineTrouble.words(failure));
        }
        pause = pause.isZero() ? SHORTEST_PAUSE : min(pause.multipliedBy(2), LONGEST_PAUSE);
        rest(pause);
    }

    private static Duration min(Duration one, Duration other) {
        return one.compareTo(other) < 0 ? one : other;
    }

    private void rest(Duration period) {
        pausing = true;
        var unused = time.schedule(period, () -> {
            synchronized (this) {
                pausing = false;
                refill();
            }
        });
    }

    /** Makes no more. Whoever removes all containers removes the parked ones, too. */
    @Override
    public synchronized void close() {
        closed = true;
        parked.clear();
    }
}
