package dev.d8;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;

/**
 * A slave's answer to "how are you?".
 *
 * @param status {@code healthy} from a slave that is well
 * @param pythonVersion {@code sys.version} of the Python that its best Python executor runs; empty without one
 * @param executionMethods every executor and whether it can run tasks, best first
 * @param version the code that it runs
 * @param bootId new at every start of the slave; empty from an original slave
 * @param draining whether it refuses new tasks because it is about to stop
 * @param slots what it can run at one time; empty from an original slave
 * @param capabilities what it found out about its machine; empty from an original slave
 */
public record Health(
        String status,
        String pythonVersion,
        Map<String, Boolean> executionMethods,
        VersionInfo version,
        Optional<String> bootId,
        boolean draining,
        Optional<Slots> slots,
        Optional<Capabilities> capabilities) {

    /** The status of a slave that is well. */
    public static final String HEALTHY = "healthy";

    /** Checks that nothing is missing and copies the methods in their order. */
    public Health {
        Objects.requireNonNull(status, "status");
        Objects.requireNonNull(pythonVersion, "pythonVersion");
        Objects.requireNonNull(version, "version");
        executionMethods = Collections.unmodifiableMap(new LinkedHashMap<>(executionMethods));
    }

    /** Creates one of a slave that says nothing about its machine. */
    public Health(
            String status,
            String pythonVersion,
            Map<String, Boolean> executionMethods,
            VersionInfo version,
            Optional<String> bootId,
            boolean draining,
            Optional<Slots> slots) {
        this(status, pythonVersion, executionMethods, version, bootId, draining, slots, Optional.empty());
    }
}
