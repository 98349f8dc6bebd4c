package dev.d8.benchmarks;

import dev.d8.ExecutorInfo;
import dev.d8.Health;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Output;
import dev.d8.Slots;
import dev.d8.TaskResult;
import dev.d8.Termination;
import dev.d8.Token;
import dev.d8.VersionInfo;
import dev.d8.spi.Availability;
import dev.d8.spi.Caller;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionOutcome;
import dev.d8.spi.Executor;
import dev.d8.spi.ExecutorProvider;
import dev.d8.spi.Options;
import dev.d8.spi.SlaveService;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/** Answers at once and runs nothing, so that what is left is D8's own cost. Immutable. */
final class NoopSlave implements SlaveService {

    static final Token TOKEN = Token.of("a-token-for-benchmarks-on-loopback-only");
    static final VersionInfo VERSION =
            new VersionInfo("0123456789abcdef0123456789abcdef01234567", "1.0.0", "main", false);

    private static final Output OUTPUT = Output.of("55\n");
    private static final ExecutorInfo EXECUTOR = new ExecutorInfo(true, List.of(), Optional.empty());

    @Override
    public Health health() {
        return new Health(
                Health.HEALTHY,
                "",
                Map.of("noop", true),
                VERSION,
                Optional.of("noop"),
                false,
                Optional.of(new Slots(4, 4)));
    }

    @Override
    public VersionInfo version() {
        return VERSION;
    }

    @Override
    public CompletableFuture<TaskResult> execute(Caller caller, Invocation invocation, ExecutionListener listener) {
        return CompletableFuture.completedFuture(new TaskResult(
                invocation.taskId(),
                "noop",
                Termination.OK,
                OUTPUT,
                Output.EMPTY,
                Optional.of(VERSION.commit()),
                Optional.empty(),
                Optional.empty(),
                Optional.of(EXECUTOR),
                List.of(),
                0));
    }

    /** The same as an executor, for a slave server. */
    static final class Provider implements ExecutorProvider {
        @Override
        public String method() {
            return "noop";
        }

        @Override
        public int preference() {
            return 1;
        }

        @Override
        public Executor create(Options options) {
            return new NoopExecutor();
        }
    }

    private static final class NoopExecutor implements Executor {
        @Override
        public Availability probe() {
            return new Availability.Available("answers at once", Isolation.NONE, Optional.empty());
        }

        @Override
        public Optional<String> objection(Invocation invocation) {
            return Optional.empty();
        }

        @Override
        public ExecutionOutcome execute(Invocation invocation, ExecutionListener listener) {
            return new ExecutionOutcome(
                    Termination.OK,
                    OUTPUT,
                    Output.EMPTY,
                    Optional.empty(),
                    Duration.ZERO,
                    Optional.empty(),
                    EXECUTOR,
                    0);
        }
    }
}
