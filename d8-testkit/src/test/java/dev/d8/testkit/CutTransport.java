package dev.d8.testkit;

import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.TaskState;
import dev.d8.VersionInfo;
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.SlaveService;
import dev.d8.spi.Transport;
import java.net.URI;
import java.time.Duration;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;

/** A network whose cables may be pulled: what is sent to a slave meanwhile never arrives, and its answers are lost. */
final class CutTransport implements Transport {

    /** The hosts that are cut off. */
    final Set<String> cutOff = new HashSet<>();

    private final Transport inner;

    CutTransport(Transport inner) {
        this.inner = inner;
    }

    @Override
    public Binding serve(SlaveService service, URI bind, ServerSecurity security) {
        return inner.serve(service, bind, security);
    }

    @Override
    public SlaveClient connect(URI slave, Credentials credentials) {
        return new CutClient(inner.connect(slave, credentials), slave.getHost());
    }

    @Override
    public void close() {
        inner.close();
    }

    private final class CutClient implements SlaveClient {

        private final SlaveClient client;
        private final String host;

        CutClient(SlaveClient client, String host) {
            this.client = client;
            this.host = host;
        }

        private <T> CompletableFuture<T> through(Supplier<CompletableFuture<T>> call) {
            CompletableFuture<T> outer = new CompletableFuture<>();
            if (cutOff.contains(host)) {
                return outer; // Nobody says that nothing came: that is what time-outs are for.
            }
            CompletableFuture<T> inner = call.get();
            inner.whenComplete((value, error) -> {
                if (cutOff.contains(host)) {
                    return;
                }
                if (error == null) {
                    outer.complete(value);
                } else {
                    outer.completeExceptionally(error);
                }
            });
            outer.whenComplete((value, error) -> {
                if (outer.isCancelled() && !cutOff.contains(host)) {
                    inner.cancel(true);
                }
            });
            return outer;
        }

        @Override
        public CompletableFuture<Health> health() {
            return through(client::health);
        }

        @Override
        public CompletableFuture<VersionInfo> version() {
            return through(client::version);
        }

        @Override
        public CompletableFuture<TaskResult> execute(Invocation invocation, ExecutionListener listener) {
            return through(() -> client.execute(invocation, listener));
        }

        @Override
        public CompletableFuture<Optional<TaskState>> find(TaskId id, Duration wait) {
            return through(() -> client.find(id, wait));
        }

        @Override
        public CompletableFuture<TaskState> cancel(TaskId id) {
            return through(() -> client.cancel(id));
        }

        @Override
        public void close() {
            client.close();
        }
    }
}
