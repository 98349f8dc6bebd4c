package dev.d8.testkit;

import dev.d8.ConfigurationException;
import dev.d8.D8Exception;
import dev.d8.Grant;
import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.ProtocolException;
import dev.d8.Scope;
import dev.d8.SlaveUnreachableException;
import dev.d8.SlaveUpdate;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.TaskState;
import dev.d8.Token;
import dev.d8.UnauthorizedException;
import dev.d8.UnknownOutcomeException;
import dev.d8.UnknownOutcomeException.Reason;
import dev.d8.VersionInfo;
import dev.d8.spi.Caller;
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.SlaveService;
import dev.d8.spi.SlaveTasks;
import dev.d8.spi.TaskHandle;
import dev.d8.spi.Transport;
import java.net.URI;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Carries calls by calling: client and service in one process, {@code memory://name:port}. Nothing is encoded, nothing
 * runs on another thread, so ten thousand slaves fit in one test. Thread-safe.
 */
public final class InMemoryTransport implements Transport {

    private static final Caller CALLER = new Caller(Grant.UNNAMED, "");

    private final Network network;
    private final Set<Bound> bindings = ConcurrentHashMap.newKeySet();
    private final Set<Client> clients = ConcurrentHashMap.newKeySet();

    /** The addresses that transports of one network can reach. Thread-safe. */
    public static final class Network {
        private final Map<String, Bound> bound = new ConcurrentHashMap<>();
        private final AtomicInteger nextPort = new AtomicInteger(1);

        /** Creates a network on which nobody listens. */
        public Network() {}
    }

    /** Creates a transport on a network of its own. */
    public InMemoryTransport() {
        this(new Network());
    }

    /** Creates a transport on a network that it shares with others. */
    public InMemoryTransport(Network network) {
        this.network = network;
    }

    @Override
    public Binding serve(SlaveService service, URI bind, ServerSecurity security) {
        URI uri = bind.getPort() == 0
                ? URI.create(bind.getScheme() + "://" + bind.getHost() + ":" + network.nextPort.getAndIncrement())
                : bind;
        Bound binding = new Bound(service, uri, security);
        if (network.bound.putIfAbsent(uri.getAuthority(), binding) != null) {
            throw new ConfigurationException("cannot listen on " + uri + ": the address is in use");
        }
        bindings.add(binding);
        return binding;
    }

    @Override
    public SlaveClient connect(URI slave, Credentials credentials) {
        Client client = new Client(slave, credentials);
        clients.add(client);
        return client;
    }

    @Override
    public void close() {
        bindings.forEach(Bound::breakOff);
        clients.forEach(Client::close);
    }

    private final class Bound implements Binding {
        final SlaveService service;
        final ServerSecurity security;
        private final URI uri;
        private final Set<CompletableFuture<?>> underWay = ConcurrentHashMap.newKeySet();

        Bound(SlaveService service, URI uri, ServerSecurity security) {
            this.service = service;
            this.uri = uri;
            this.security = security;
        }

        boolean admits(Token token, Scope needed) {
            return security.find(token.reveal())
                    .filter(grant -> grant.scope().covers(needed))
                    .isPresent();
        }

        <T> CompletableFuture<T> call(Function<SlaveService, CompletableFuture<T>> method) {
            CompletableFuture<T> call;
            try {
                call = method.apply(service);
            } catch (RuntimeException e) {
                call = CompletableFuture.failedFuture(e);
            }
            CompletableFuture<T> tracked = call;
            underWay.add(tracked);
            tracked.whenComplete((value, error) -> underWay.remove(tracked));
            return tracked;
        }

        /** What a process does to its calls when it dies. */
        void breakOff() {
            network.bound.remove(uri.getAuthority(), this);
            underWay.forEach(call -> call.cancel(true));
        }

        @Override
        public URI uri() {
            return uri;
        }

        @Override
        public CompletableFuture<Void> closeAsync() {
            network.bound.remove(uri.getAuthority(), this);
            return CompletableFuture.allOf(underWay.toArray(CompletableFuture[]::new))
                    .handle((value, error) -> null);
        }
    }

    private final class Client implements SlaveClient {
        private final URI address;
        private final Credentials credentials;
        private final Set<CompletableFuture<?>> underWay = ConcurrentHashMap.newKeySet();
        private volatile boolean closed;

        Client(URI address, Credentials credentials) {
            this.address = address;
            this.credentials = credentials;
        }

        @Override
        public CompletableFuture<Health> health() {
            return call(null, service -> CompletableFuture.completedFuture(service.health()));
        }

        @Override
        public CompletableFuture<VersionInfo> version() {
            return call(null, service -> CompletableFuture.completedFuture(service.version()));
        }

        @Override
        public CompletableFuture<TaskResult> execute(Invocation invocation, ExecutionListener listener) {
            return call(Scope.EXECUTE, service -> service.execute(CALLER, invocation, listener));
        }

        @Override
        public CompletableFuture<TaskState> submit(Invocation invocation) {
            return call(
                    Scope.EXECUTE,
                    service -> CompletableFuture.completedFuture(
                            tasks(service).submit(CALLER, invocation).state()));
        }

        private static SlaveTasks tasks(SlaveService service) {
            return service.tasks().orElseThrow(() -> new ProtocolException("this slave keeps no tasks"));
        }

        @Override
        public CompletableFuture<Optional<TaskState>> find(TaskId id, Duration wait) {
            return call(
                    Scope.EXECUTE,
                    service -> tasks(service)
                            .find(id)
                            .map(task -> task.await(wait).thenApply(Optional::of))
                            .orElse(CompletableFuture.completedFuture(Optional.empty())));
        }

        @Override
        public CompletableFuture<TaskState> cancel(TaskId id) {
            return call(Scope.EXECUTE, service -> {
                tasks(service).cancel(CALLER, id);
                return CompletableFuture.completedFuture(tasks(service)
                        .find(id)
                        .map(TaskHandle::state)
                        .orElse(TaskState.of(id, TaskState.Phase.FORGOTTEN)));
            });
        }

        @Override
        public CompletableFuture<SlaveUpdate> update(String commit) {
            return call(Scope.ADMIN, service -> service.update(CALLER, commit));
        }

        private <T> CompletableFuture<T> call(
                @Nullable Scope needed, Function<SlaveService, CompletableFuture<T>> method) {
            Bound target = network.bound.get(address.getAuthority());
            if (closed || target == null) {
                return CompletableFuture.failedFuture(new SlaveUnreachableException(
                        "cannot reach " + address + ": " + (closed ? "this client is closed" : "nobody listens there"),
                        null));
            }
            if (needed != null && !target.admits(credentials.token(), needed)) {
                return CompletableFuture.failedFuture(
                        new UnauthorizedException("the slave at " + address + " does not accept this token"));
            }
            CompletableFuture<T> inner = target.call(method);
            CompletableFuture<T> outer = new CompletableFuture<>();
            underWay.add(outer);
            inner.whenComplete((value, error) -> {
                if (error == null) {
                    outer.complete(value);
                } else {
                    outer.completeExceptionally(asSeenFromOutside(error));
                }
            });
            outer.whenComplete((value, error) -> {
                underWay.remove(outer);
                if (!inner.isDone()) {
                    inner.cancel(true);
                }
            });
            if (closed) {
                failUnderWay();
            }
            return outer;
        }

        /** A caller elsewhere would learn of a slave's own fault only that there is one. */
        private D8Exception asSeenFromOutside(Throwable error) {
            Throwable cause =
                    error instanceof CompletionException && error.getCause() != null ? error.getCause() : error;
            if (cause instanceof CancellationException) {
                return new UnknownOutcomeException(Reason.CONNECTION_LOST, address + ": the slave went away", null);
            }
            return cause instanceof D8Exception known
                    ? known
                    : new UnknownOutcomeException(Reason.SLAVE_ERROR, address + ": internal error", null);
        }

        private void failUnderWay() {
            for (CompletableFuture<?> call : underWay) {
                call.completeExceptionally(lost(null));
            }
        }

        private UnknownOutcomeException lost(@Nullable Throwable cause) {
            return new UnknownOutcomeException(Reason.CONNECTION_LOST, address + ": the client was closed", cause);
        }

        @Override
        public void close() {
            closed = true;
            clients.remove(this);
            failUnderWay();
        }
    }
}
