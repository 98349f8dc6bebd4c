package dev.d8.spi;

import dev.d8.Isolation;
import java.util.Optional;

/** Whether an executor can run tasks on this machine. */
public sealed interface Availability {

    /**
     * It can.
     *
     * @param detail what it found, for people: {@code /usr/bin/python3, 3.11.2}
     * @param isolation the wall that it puts around a task
     * @param pythonVersion {@code sys.version} of the Python that runs tasks; empty for another runtime
     */
    record Available(String detail, Isolation isolation, Optional<String> pythonVersion) implements Availability {}

    /**
     * It cannot.
     *
     * @param reason what is missing and what to do about it
     */
    record Unavailable(String reason) implements Availability {}
}
