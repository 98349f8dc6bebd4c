package dev.d8.transport.netty;

import dev.d8.D8Exception;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveUnreachableException;
import io.netty.channel.EventLoop;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * A client's connections and the calls that wait for one. Everything happens on the client's one event loop, so there are
 * no locks, and a connection that the slave has closed is seen before it is used again.
 *
 * <p>At most {@code client_connections} tasks are under way. One more connection is there for health and version checks
 * alone, so that tasks never starve them. The connection used last is used first; idle ones age at the other end.
 */
final class ConnectionPool {

    private record Idle(ClientConnection connection, long since) {}

    private final HttpSettings settings;
    private final HttpAddress slave;
    private final EventLoop loop;
    private final Connector connector;
    private final long idleNanos;

    private final Deque<Idle> idle = new ArrayDeque<>();
    private final Deque<Exchange<?>> checks = new ArrayDeque<>();
    private final Deque<Exchange<?>> tasks = new ArrayDeque<>();
    private final Set<Exchange<?>> started = new LinkedHashSet<>();
    private int startedTasks;
    private boolean sweeping;
    private boolean closed;

    ConnectionPool(HttpSettings settings, HttpAddress slave, EventLoop loop, Connector connector) {
        this.settings = settings;
        this.slave = slave;
        this.loop = loop;
        this.connector = connector;
        // Well before the slave's own time-out, so that no request meets a closing connection.
        this.idleNanos = settings.idleTimeout().dividedBy(2).toNanos();
    }

    /** Sends a call now, or as soon as its turn comes. */
    void submit(Exchange<?> exchange) {
        if (exchange.future().isDone()) {
            return;
        }
        // A loop that is about to end has closed its connections already, and would leave a new one open for good.
        if (closed || loop.isShuttingDown()) {
            exchange.failed(closedClient());
            return;
        }
        Deque<Exchange<?>> line = slow(exchange) ? tasks : checks;
        line.addLast(exchange);
        startWaiting();
        if (line.size() > settings.clientWaiting()) {
            line.removeLast();
            exchange.failed(new SlaveRefusedException(
                    SlaveRefusedException.Reason.QUEUE_FULL,
                    Duration.ofSeconds(1),
                    line.size() + " calls to " + slave + " are waiting for a connection already"));
        }
    }

    /** Lets go of a call that nobody wants any more. */
    void abandon(Exchange<?> exchange) {
        ClientConnection connection = exchange.connection();
        if (!started.contains(exchange)) {
            (slow(exchange) ? tasks : checks).remove(exchange);
        } else if (connection != null) {
            connection.close();
        }
    }

    /** Hears that a call is over, and which connection it leaves for the next. */
    void finished(Exchange<?> exchange, @Nullable ClientConnection free) {
        if (started.remove(exchange) && slow(exchange)) {
            startedTasks--;
        }
        if (free != null) {
            keep(free);
        }
        startWaiting();
    }

    /** Hears that a connection has ended. */
    void gone(ClientConnection connection) {
        idle.removeIf(entry -> entry.connection == connection);
    }

    /** Fails what is under way and closes every connection. */
    void close() {
        closed = true;
        checks.forEach(exchange -> exchange.failed(closedClient()));
        tasks.forEach(exchange -> exchange.failed(closedClient()));
        checks.clear();
        tasks.clear();
        for (Exchange<?> exchange : Set.copyOf(started)) {
            ClientConnection connection = exchange.connection();
            if (connection == null) {
                exchange.failed(closedClient());
            } else {
                exchange.lost("this side closed its client", null);
                connection.close();
            }
        }
        while (!idle.isEmpty()) {
            idle.removeLast().connection.close();
        }
    }

    /** Returns whether it may take a while, so that it must not stand in the way of quick ones. */
    private static boolean slow(Exchange<?> exchange) {
        return exchange.kind() != Exchange.Kind.QUESTION;
    }

    private void startWaiting() {
        int most = settings.clientConnections() + 1;
        while (!checks.isEmpty() && started.size() < most) {
            start(checks.removeFirst());
        }
        while (!tasks.isEmpty() && started.size() < most && startedTasks < settings.clientConnections()) {
            start(tasks.removeFirst());
        }
    }

    private void start(Exchange<?> exchange) {
        if (exchange.future().isDone()) {
            return; // Given up: the loop may see a connection become free before it hears of that.
        }
        started.add(exchange);
        if (slow(exchange)) {
            startedTasks++;
        }
        ClientConnection kept = exchange.retried() ? null : takeIdle();
        if (kept != null) {
            kept.send(exchange, true);
            return;
        }
        connector.connect(this, (connection, failure) -> connected(exchange, connection, failure));
    }

    private void connected(Exchange<?> exchange, @Nullable ClientConnection connection, @Nullable D8Exception failure) {
        if (connection == null) {
            if (failure != null) {
                exchange.failed(failure);
            }
            finished(exchange, null);
        } else if (exchange.future().isDone()) {
            finished(exchange, connection);
        } else {
            connection.send(exchange, false);
        }
    }

    private void keep(ClientConnection connection) {
        if (closed) {
            connection.close();
            return;
        }
        if (idle.size() + started.size() > settings.clientConnections()) {
            connection.close();
            return;
        }
        idle.addLast(new Idle(connection, loop.ticker().nanoTime()));
        if (!sweeping) {
            sweeping = true;
            loop.schedule(this::sweep, idleNanos, TimeUnit.NANOSECONDS);
        }
    }

    private @Nullable ClientConnection takeIdle() {
        long now = loop.ticker().nanoTime();
        while (!idle.isEmpty()) {
            Idle last = idle.removeLast();
            if (last.connection.isActive() && now - last.since < idleNanos) {
                return last.connection;
            }
            last.connection.close();
        }
        return null;
    }

    private void sweep() {
        sweeping = false;
        long now = loop.ticker().nanoTime();
        for (Iterator<Idle> oldest = idle.iterator(); oldest.hasNext(); ) {
            Idle entry = oldest.next();
            if (now - entry.since < idleNanos) {
                sweeping = true;
                loop.schedule(this::sweep, idleNanos - (now - entry.since), TimeUnit.NANOSECONDS);
                return;
            }
            oldest.remove();
            entry.connection.close();
        }
    }

    private D8Exception closedClient() {
        return new SlaveUnreachableException("the client of " + slave + " is closed; nothing was sent", null);
    }
}
