package dev.d8.executor.docker;

import dev.d8.ConfigurationException;
import dev.d8.spi.Options;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The {@code docker.*} options, checked; {@link DockerExecutor} says what each means. */
record DockerSettings(
        Optional<String> host,
        String image,
        List<String> images,
        long nanoCpus,
        long memoryBytes,
        long processes,
        long tmpBytes,
        String network,
        List<Path> mounts,
        List<Path> writableMounts,
        String user,
        Optional<String> slaveId,
        Pool pool) {

    /** Docker itself takes no less: 6 MiB. */
    static final long LEAST_MEMORY = 6L << 20;

    static final String NO_NETWORK = "none";

    private static final String IMAGE = "[^\\s,]+";

    /**
     * How containers are made ahead of tasks.
     *
     * @param size how many wait at the most
     * @param prefetch how many wait before the first task, and again when none has come for as long as {@code idle}
     * @param idle how long one waits at the most before it is replaced, and how long what tasks asked for is remembered
     */
    record Pool(int size, int prefetch, Duration idle) {}

    DockerSettings {
        images = List.copyOf(images);
        mounts = List.copyOf(mounts);
        writableMounts = List.copyOf(writableMounts);
    }

    static DockerSettings of(Options options) {
        DockerSettings settings = new DockerSettings(
                options.text("host"),
                options.matching("image", "python:3-slim", IMAGE, "an image name, such as python:3-slim"),
                images(options),
                nanoCpus(options),
                options.number("memory_bytes", 512L << 20, LEAST_MEMORY, Long.MAX_VALUE),
                options.number("processes", 256, 1, 1 << 22),
                options.number("tmp_bytes", 64L << 20, 4096, Long.MAX_VALUE),
                options.matching("network", NO_NETWORK, "none|bridge", "none or bridge"),
                mounts(options, "mounts"),
                mounts(options, "writable_mounts"),
                options.matching("user", "65534:65534", "[0-9]{1,10}(:[0-9]{1,10})?", "UID or UID:GID, in digits"),
                options.text("slave_id"),
                pool(options));
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

    private static List<String> images(Options options) {
        List<String> images = options.list("images", List.of());
        images.forEach(image -> {
            if (!image.matches(IMAGE)) {
                throw malformed("images", image, "image names, separated by commas");
            }
        });
        return images;
    }

    private static Pool pool(Options options) {
        int size = (int) options.number("pool", 2, 0, 100);
        return new Pool(
                size,
                (int) options.number("prefetch", size, 0, 100),
                Duration.ofSeconds(options.number("pool_idle", 3600, 1, 1_000_000)));
    }

    private static List<Path> mounts(Options options, String name) {
        List<Path> roots = new ArrayList<>();
        for (String root : options.list(name, List.of())) {
            // "/" would hand out every secret of the machine, and the Docker socket.
            if (!root.startsWith("/") || Path.of(root).normalize().getNameCount() == 0) {
                throw malformed(name, root, "absolute paths of directories below /");
            }
            roots.add(Path.of(root).normalize());
        }
        return roots;
    }

    private static ConfigurationException malformed(String name, String value, String expected) {
        return new ConfigurationException("option docker." + name + ": \"" + value + "\" (expected: " + expected + ")");
    }
}
