package dev.d8.testkit;

import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.TaskState;
import dev.d8.VersionInfo;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.SlaveClient;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/** A client whose cable may be pulled: what it sends meanwhile never arrives, and answers are lost. */
final class CutClient implements SlaveClient {

    private final SlaveClient client;
    private final BooleanSupplier cut;

    CutClient(SlaveClient client, BooleanSupplier cut) {
        this.client = client;
        this.cut = cut;
    }

    private <T> CompletableFuture<T> through(Supplier<CompletableFuture<T>> call) {
        CompletableFuture<T> outer = new CompletableFuture<>();
        if (cut.getAsBoolean()) {
            return outer; // Nobody says that nothing came: that is what time-outs are for.
        }
        CompletableFuture<T> inner = call.get();
        inner.whenComplete((value, error) -> {
            if (cut.getAsBoolean()) {
                return;
            }
            if (error == null) {
                outer.complete(value);
            } else {
                outer.completeExceptionally(error);
            }
        });
        outer.whenComplete((value, error) -> {
            if (outer.isCancelled() && !cut.getAsBoolean()) {
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
