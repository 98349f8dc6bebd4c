package dev.d8.master;

import org.jetbrains.lincheck.datastructures.ModelCheckingOptions;
import org.jetbrains.lincheck.datastructures.Operation;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Every interleaving of calls on one gate must look like some order of them: no place is given twice, none is lost. */
@Tag("other-runtime")
public class GateConcurrencyTest {

    private final Gate gate = new Gate(1);

    /** Lincheck makes one for each run. */
    public GateConcurrencyTest() {}

    @Operation
    public boolean tryEnter() {
        return gate.tryEnter(1);
    }

    /** Whether it had none: else it keeps the one that it got. */
    @Operation
    public boolean enterAndGiveUp() {
        return gate.enter().cancel(true);
    }

    @Operation
    public void leave() {
        gate.leave();
    }

    @Test
    void it_is_linearizable() {
        new ModelCheckingOptions()
                .actorsBefore(0)
                .actorsAfter(1)
                .threads(2)
                .actorsPerThread(3)
                .iterations(60)
                .invocationsPerIteration(300)
                .check(getClass());
    }
}
