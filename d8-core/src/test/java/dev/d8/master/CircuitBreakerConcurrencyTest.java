package dev.d8.master;

import dev.d8.spi.TimeSource;
import java.time.Duration;
import org.jetbrains.lincheck.datastructures.IntGen;
import org.jetbrains.lincheck.datastructures.ModelCheckingOptions;
import org.jetbrains.lincheck.datastructures.Operation;
import org.jetbrains.lincheck.datastructures.Param;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Every interleaving of calls on one breaker must look like some order of them: one health check decides, never two. */
@Param(name = "pass", gen = IntGen.class, conf = "0:1")
@Tag("other-runtime")
public class CircuitBreakerConcurrencyTest {

    private static final ConnectionPolicy ONE_FAILURE_OPENS = new ConnectionPolicy(
            1,
            Duration.ofSeconds(1),
            Duration.ofSeconds(1),
            Duration.ofSeconds(1),
            Duration.ofSeconds(1),
            1,
            Duration.ofNanos(1),
            Duration.ZERO,
            Duration.ofSeconds(1));

    private final CircuitBreaker breaker = new CircuitBreaker(ONE_FAILURE_OPENS, new FastTime(), () -> 0);

    /** Lincheck makes one for each run. */
    public CircuitBreakerConcurrencyTest() {}

    @Operation
    public long pass() {
        return breaker.pass();
    }

    @Operation
    public long healthPass() {
        return breaker.healthPass();
    }

    @Operation
    public void succeeded(@Param(name = "pass") int pass) {
        breaker.succeeded(pass);
    }

    @Operation
    public void failed(@Param(name = "pass") int pass) {
        breaker.failed(pass);
    }

    @Operation
    public void givenUp(@Param(name = "pass") int pass) {
        breaker.givenUp(pass);
    }

    @Operation
    public String state() {
        return breaker.state().name();
    }

    @Test
    void it_is_linearizable() {
        new ModelCheckingOptions()
                .actorsBefore(0)
                .actorsAfter(0)
                .threads(2)
                .actorsPerThread(3)
                .iterations(60)
                .invocationsPerIteration(300)
                .check(getClass());
    }

    /** Passes so fast that an open circuit may be probed at once, whatever the jitter. */
    private static final class FastTime implements TimeSource {
        private long now;

        @Override
        public long nanoTime() {
            return now += 1000;
        }

        @Override
        public Scheduled schedule(Duration delay, Runnable action) {
            throw new UnsupportedOperationException();
        }
    }
}
