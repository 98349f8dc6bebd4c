package dev.d8.slave;

import dev.d8.Capabilities;
import dev.d8.Isolation;
import dev.d8.spi.Availability;
import dev.d8.spi.Availability.Available;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Finds out what the machine is. Immutable. */
final class Machine {

    private static final Pattern RELEASE = Pattern.compile("(\\d+\\.\\d+)\\b.*", Pattern.DOTALL);

    private final Set<String> given;

    /**
     * Creates one.
     *
     * @param given the operator's own labels
     */
    Machine(Set<String> given) {
        this.given = given;
    }

    /** Looks at it. May block for as long as its disk does. */
    Capabilities look(Collection<Availability> executors) {
        Set<String> labels = new TreeSet<>(given);
        labels.add("arch=" + architecture(System.getProperty("os.arch")));
        labels.add(
                "os=" + System.getProperty("os.name").toLowerCase(Locale.ROOT).replace(' ', '_'));
        Isolation strongest = Isolation.NONE;
        for (Availability executor : executors) {
            if (executor instanceof Available available) {
                strongest = available.isolation().atLeast(strongest) ? available.isolation() : strongest;
                available
                        .pythonVersion()
                        .map(RELEASE::matcher)
                        .filter(Matcher::matches)
                        .ifPresent(version -> labels.add("python=" + version.group(1)));
            }
        }
        return new Capabilities(labels, strongest, Runtime.getRuntime().availableProcessors(), memory(), diskFree());
    }

    /** As Debian, Docker and Go say it, whatever the JVM says. */
    static String architecture(String jvm) {
        return switch (jvm) {
            case "x86_64" -> "amd64";
            case "aarch64" -> "arm64";
            default -> jvm;
        };
    }

    private static long memory() {
        return ManagementFactory.getOperatingSystemMXBean() instanceof com.sun.management.OperatingSystemMXBean machine
                ? machine.getTotalMemorySize()
                : 0;
    }

    private static long diskFree() {
        try {
            return Files.getFileStore(Path.of(System.getProperty("java.io.tmpdir")))
                    .getUsableSpace();
        } catch (IOException e) {
            return 0;
        }
    }
}
