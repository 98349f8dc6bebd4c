package dev.d8.executor.docker;

import dev.d8.ConfigurationException;
import dev.d8.spi.Options;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/** The {@code docker.*} options, checked; {@link DockerExecutor} says what each means. */
record DockerSettings(
        Optional<String> host,
        String image,
        long nanoCpus,
        long memoryBytes,
        long processes,
        long tmpBytes,
        String network,
        List<Path> mounts,
        String user,
        String slaveId) {

    /** Docker itself takes no less: 6 MiB. */
    static final long LEAST_MEMORY = 6L << 20;

    DockerSettings {
        mounts = List.copyOf(mounts);
    }

    static DockerSettings of(Options options) {
        DockerSettings settings = new DockerSettings(
                options.text("host"),
                options.matching("image", "python:3-slim", "\\S+", "an image name, such as python:3-slim"),
                nanoCpus(options),
                options.number("memory_bytes", 512L << 20, LEAST_MEMORY, Long.MAX_VALUE),
                options.number("processes", 256, 1, 1 << 22),
                options.number("tmp_bytes", 64L << 20, 4096, Long.MAX_VALUE),
                options.matching("network", "none", "none|bridge", "none or bridge"),
                mounts(options),
                options.matching("user", "65534:65534", "[0-9]{1,10}(:[0-9]{1,10})?", "UID or UID:GID, in digits"),
                options.text("slave_id").orElseGet(() -> UUID.randomUUID().toString()));
        options.rejectUnknown();
        return settings;
    }

    private static long nanoCpus(Options options) {
        String value = options.text("cpus", "1.0");
        try {
            long nanos = new BigDecimal(value).movePointRight(9).longValueExact();
            if (nanos >= 10_000_000) {
                return nanos;
            }
        } catch (ArithmeticException | NumberFormatException e) {
            // Told below.
        }
        throw malformed("cpus", value, "a number of cores from 0.01, such as 1.5");
    }

    private static List<Path> mounts(Options options) {
        List<Path> roots = new ArrayList<>();
        for (String root : options.list("mounts", List.of())) {
            // "/" would hand out every secret of the machine, and the Docker socket.
            if (!root.startsWith("/") || Path.of(root).normalize().getNameCount() == 0) {
                throw malformed("mounts", root, "absolute paths of directories below /");
            }
            roots.add(Path.of(root).normalize());
        }
        return roots;
    }

    private static ConfigurationException malformed(String name, String value, String expected) {
        return new ConfigurationException("option docker." + name + ": \"" + value + "\" (expected: " + expected + ")");
    }
}
