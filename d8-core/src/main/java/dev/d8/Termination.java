package dev.d8;

import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * How a task ended. An exit code and a signal are never both there: {@code sys.exit(137)} differs from SIGKILL.
 *
 * @param status the kind of end
 * @param exitCode what the program passed to exit, 0 to 255; {@code null} if it did not exit or nobody said
 * @param signal the number of the signal that ended it, above 0; {@code null} if none did
 * @param inferred whether the status is a conclusion from what the program did, where nobody could see the cause itself
 */
public record Termination(
        Status status, @Nullable Integer exitCode, @Nullable Integer signal, boolean inferred) {

    /** The program ran and exited with 0. */
    public static final Termination OK = new Termination(Status.OK, 0, null);

    /** Returns an end whose kind was seen. */
    public Termination(Status status, @Nullable Integer exitCode, @Nullable Integer signal) {
        this(status, exitCode, signal, false);
    }

    /** The kinds of end. */
    public enum Status {
        /** It exited with 0. */
        OK,
        /** It exited with another code. */
        NONZERO_EXIT,
        /** A signal ended it. */
        SIGNALED,
        /** It ran longer than its time-out and was ended. */
        TIMEOUT,
        /** It used up its CPU time. */
        CPU_LIMIT,
        /** It used up its memory. */
        MEMORY_LIMIT,
        /** It was ended because it wrote too much. */
        OUTPUT_LIMIT,
        /** It was ended because somebody asked for that. */
        CANCELLED,
        /** The executor could not start it: no line of it has run. */
        START_FAILED,
        /** What ran it went away, so nobody saw how it ended. */
        EXECUTOR_LOST,
        /** A fault of D8's own. */
        INTERNAL_ERROR;

        /** Returns the name on the wire, in lower case. */
        public String wireName() {
            return name().toLowerCase(Locale.ROOT);
        }

        /** Returns the status with this wire name, or nothing for one that only a newer peer knows. */
        public static Optional<Status> ofWireName(String name) {
            for (Status status : values()) {
                if (status.wireName().equals(name)) {
                    return Optional.of(status);
                }
            }
            return Optional.empty();
        }
    }

    /** Checks that not both an exit code and a signal are given. */
    public Termination {
        Objects.requireNonNull(status, "status");
        if (exitCode != null && signal != null) {
            throw new IllegalArgumentException("exitCode " + exitCode + " and signal " + signal + " (expected: one)");
        }
    }

    /** Returns the end of a program that exited with {@code code}. */
    public static Termination exited(int code) {
        return code == 0 ? OK : new Termination(Status.NONZERO_EXIT, code, null);
    }

    /** Returns the end of a program that a signal ended. */
    public static Termination signaled(int signal) {
        return new Termination(Status.SIGNALED, null, signal);
    }

    /** Returns the end of a program that exited with {@code code}, for what seems to be this cause. */
    public static Termination inferred(Status status, int code) {
        return new Termination(status, code, null, true);
    }

    /** Returns an end without an exit code or signal. */
    public static Termination of(Status status) {
        return new Termination(status, null, null);
    }

    /** Returns whether the task did its work. */
    public boolean success() {
        return status == Status.OK;
    }
}
