package dev.d8.spi;

import dev.d8.ExecutorInfo;
import dev.d8.Output;
import dev.d8.Termination;
import dev.d8.Usage;
import java.time.Duration;
import java.util.Optional;

/**
 * What an executor saw of a task.
 *
 * @param termination how it ended
 * @param stdout what it wrote to standard output
 * @param stderr what it wrote to standard error, nothing added
 * @param message why it did not end by itself ({@code timed out after 2 s}); empty where the program just ended
 * @param startup from the call to the program's start
 * @param usage what it used; empty where nobody counted
 * @param executor what was really applied
 * @param leftoverProcessesKilled processes that outlived the main one and were ended
 */
public record ExecutionOutcome(
        Termination termination,
        Output stdout,
        Output stderr,
        Optional<String> message,
        Duration startup,
        Optional<Usage> usage,
        ExecutorInfo executor,
        int leftoverProcessesKilled) {

    /** Returns the outcome of a task of which no line ran, and why. */
    public static ExecutionOutcome notStarted(Termination.Status status, String message, ExecutorInfo executor) {
        return new ExecutionOutcome(
                Termination.of(status),
                Output.EMPTY,
                Output.EMPTY,
                Optional.of(message),
                Duration.ZERO,
                Optional.empty(),
                executor,
                0);
    }

    /** Returns this outcome with another time for the start. */
    public ExecutionOutcome withStartup(Duration value) {
        return new ExecutionOutcome(
                termination, stdout, stderr, message, value, usage, executor, leftoverProcessesKilled);
    }
}
