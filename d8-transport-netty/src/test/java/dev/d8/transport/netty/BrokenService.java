package dev.d8.transport.netty;

import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.SlaveUpdate;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.VersionInfo;
import dev.d8.spi.Caller;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.SlaveService;
import dev.d8.spi.SlaveTasks;
import dev.d8.spi.TaskHandle;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/** A slave with a fault in everything. */
final class BrokenService implements SlaveService, SlaveTasks {

    private static IllegalStateException fault() {
        return new IllegalStateException("a fault");
    }

    @Override
    public Health health() {
        throw fault();
    }

    @Override
    public VersionInfo version() {
        throw fault();
    }

    @Override
    public CompletableFuture<TaskResult> execute(Caller caller, Invocation invocation, ExecutionListener listener) {
        throw fault();
    }

    @Override
    public CompletableFuture<SlaveUpdate> update(Caller caller, String commit) {
        throw fault();
    }

    @Override
    public Optional<String> metrics() {
        throw fault();
    }

    @Override
    public Optional<SlaveTasks> tasks() {
        return Optional.of(this);
    }

    @Override
    public TaskHandle submit(Caller caller, Invocation invocation) {
        throw fault();
    }

    @Override
    public Optional<TaskHandle> find(TaskId id) {
        throw fault();
    }

    @Override
    public int waiting() {
        throw fault();
    }

    @Override
    public boolean cancel(Caller caller, TaskId id) {
        throw fault();
    }
}
