package dev.d8;

import dev.d8.internal.Json;
import java.util.List;
import java.util.Objects;
import java.util.Optional;

/**
 * What came back from a task. A task that failed has a result too: only infrastructure throws.
 *
 * <p>An original slave sends {@code success}, {@code output}, {@code error} and {@code method} only; every
 * {@link Optional} is then empty.
 *
 * @param taskId which task
 * @param method the executor that ran it
 * @param termination how it ended
 * @param stdout what it wrote to standard output
 * @param stderr what it wrote to standard error and, where it did not end by itself, one last line of D8's that says why
 * @param commit the commit of the slave that produced this
 * @param usage what it used
 * @param timing where its time went
 * @param executor what the executor really applied
 * @param rejected the better executors that did not run it, and why
 * @param leftoverProcessesKilled processes that outlived the main one and were ended
 */
public record TaskResult(
        TaskId taskId,
        String method,
        Termination termination,
        Output stdout,
        Output stderr,
        Optional<String> commit,
        Optional<Usage> usage,
        Optional<Timing> timing,
        Optional<ExecutorInfo> executor,
        List<Rejection> rejected,
        int leftoverProcessesKilled) {

    /** Checks that nothing is missing and copies the list. */
    public TaskResult {
        Objects.requireNonNull(taskId, "taskId");
        Objects.requireNonNull(method, "method");
        Objects.requireNonNull(termination, "termination");
        Objects.requireNonNull(stdout, "stdout");
        Objects.requireNonNull(stderr, "stderr");
        rejected = List.copyOf(rejected);
    }

    /** Returns whether the task did its work. */
    public boolean success() {
        return termination.success();
    }

    /** Returns what it wrote to standard output, as text. */
    public String output() {
        return stdout.text();
    }

    /** Returns what it wrote to standard error, as text, and why it was ended if it was. */
    public String error() {
        return stderr.text();
    }

    /**
     * Reads the output as one JSON value.
     *
     * @param type a record, a list of records, or any other type that JSON binds to
     * @throws IllegalStateException if the task failed; the message carries its error
     * @throws InvalidTaskException if the output is not such a JSON value
     */
    public <T> T outputAs(Class<T> type) {
        if (!success()) {
            throw new IllegalStateException(
                    "task " + taskId + " ended with " + termination.status().wireName() + ": " + error());
        }
        return Json.parse("output", stdout.bytes(), type);
    }
}
