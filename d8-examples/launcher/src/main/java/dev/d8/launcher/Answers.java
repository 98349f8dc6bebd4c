package dev.d8.launcher;

import dev.d8.D8Exception;
import dev.d8.SlaveUnreachableException;
import dev.d8.VersionMismatchException;
import dev.d8.master.Slave;
import dev.d8.master.SlaveStatus;
import java.net.URI;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/** Waits for answers, and says what a slave's status means for the person at the terminal. */
final class Answers {

    private Answers() {}

    /** Waits, and throws what the future failed with. */
    static <T> T await(CompletableFuture<T> future) {
        try {
            return future.join();
        } catch (CompletionException e) {
            throw e.getCause() instanceof D8Exception known ? known : e;
        }
    }

    /** Returns why a slave cannot take a task, and what to do about it. */
    static D8Exception unusable(Slave slave, URI address) {
        return slave.status() == SlaveStatus.VERSION_MISMATCH
                ? new VersionMismatchException(
                        "version mismatch with the slave at " + address + ": " + slave.reason()
                                + ". Bring both to one commit, or use --version-policy warn, or --commit to say what this side runs")
                : new SlaveUnreachableException(slave.reason(), null);
    }
}
