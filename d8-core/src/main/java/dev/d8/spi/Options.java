package dev.d8.spi;

import dev.d8.ConfigurationException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentSkipListSet;

/**
 * Settings by name, with typed look-up. A malformed value fails and is named, and so is a name that nobody asked for:
 * a typing error never passes for a default. Thread-safe.
 */
public final class Options {

    /** No settings. */
    public static final Options NONE = of(Map.of());

    private final String prefix;
    private final Map<String, String> values;
    private final Set<String> known = new ConcurrentSkipListSet<>();

    private Options(String prefix, Map<String, String> values) {
        this.prefix = prefix;
        this.values = values;
    }

    /** Returns options with these values. */
    public static Options of(Map<String, String> values) {
        return new Options("", Map.copyOf(values));
    }

    /** Returns the options whose names start with {@code name.}, without that prefix. */
    public Options under(String name) {
        String start = name + ".";
        Map<String, String> mine = new TreeMap<>();
        values.forEach((key, value) -> {
            if (key.startsWith(start)) {
                mine.put(key.substring(start.length()), value);
            }
        });
        return new Options(prefix + start, mine);
    }

    /** Returns the names. */
    public Set<String> names() {
        return new TreeSet<>(values.keySet());
    }

    /** Returns a text, if it is set. */
    public Optional<String> text(String name) {
        known.add(name);
        return Optional.ofNullable(values.get(name));
    }

    /** Returns a text, or a default. */
    public String text(String name, String otherwise) {
        return text(name).orElse(otherwise);
    }

    /**
     * Returns a text that matches a pattern from end to end, or a default.
     *
     * @param expected what matches, in words
     */
    public String matching(String name, String otherwise, String pattern, String expected) {
        String value = text(name, otherwise);
        if (!value.matches(pattern)) {
            throw malformed(name, value, expected);
        }
        return value;
    }

    /** Returns a comma-separated list, or a default. */
    public List<String> list(String name, List<String> otherwise) {
        return text(name).map(value -> List.of(value.split("\\s*,\\s*"))).orElse(otherwise);
    }

    /** Returns a path, if it is set. */
    public Optional<Path> path(String name) {
        return text(name).map(value -> {
            try {
                return Path.of(value);
            } catch (java.nio.file.InvalidPathException e) {
                throw malformed(name, value, "a path");
            }
        });
    }

    /** Returns a whole number from {@code least} to {@code most}, or a default. */
    public long number(String name, long otherwise, long least, long most) {
        return text(name)
                .map(value -> {
                    try {
                        long number = Long.parseLong(value);
                        if (number >= least && number <= most) {
                            return number;
                        }
                    } catch (NumberFormatException e) {
                        // Told below.
                    }
                    throw malformed(name, value, "a whole number from " + least + " to " + most);
                })
                .orElse(otherwise);
    }

    /** Returns {@code true} or {@code false}, or a default. */
    public boolean flag(String name, boolean otherwise) {
        return text(name)
                .map(value -> switch (value) {
                    case "true" -> true;
                    case "false" -> false;
                    default -> throw malformed(name, value, "true or false");
                })
                .orElse(otherwise);
    }

    /** Returns a duration above zero, given as seconds ({@code 2.5}) or in ISO 8601 ({@code PT2.5S}), or a default. */
    public Duration duration(String name, Duration otherwise) {
        return text(name)
                .map(value -> {
                    Duration duration = Duration.ZERO;
                    try {
                        duration = value.startsWith("P")
                                ? Duration.parse(value)
                                : Duration.ofNanos(Math.round(Double.parseDouble(value) * 1e9));
                    } catch (NumberFormatException | java.time.DateTimeException e) {
                        // Told below.
                    }
                    if (duration.isNegative() || duration.isZero()) {
                        throw malformed(name, value, "seconds above 0, such as 2.5");
                    }
                    return duration;
                })
                .orElse(otherwise);
    }

    /**
     * Fails if a name is set that was never looked up. Call it when every look-up has been made.
     *
     * @throws ConfigurationException naming the unknown option and the known ones
     */
    public void rejectUnknown() {
        Set<String> unknown = names();
        unknown.removeAll(known);
        if (!unknown.isEmpty()) {
            throw new ConfigurationException("option " + prefix
                    + unknown.iterator().next() + ": unknown (known: "
                    + known.stream().map(prefix::concat).collect(java.util.stream.Collectors.joining(", ")) + ")");
        }
    }

    /**
     * Fails if a name belongs to none of these plugins.
     *
     * @throws ConfigurationException naming the option and the prefixes
     */
    public void rejectUnknownUnder(Set<String> plugins) {
        for (String name : names()) {
            if (!plugins.contains(name.replaceFirst("\\..*", ""))) {
                throw new ConfigurationException(
                        "option " + name + ": no such plugin (known: " + String.join(", ", plugins) + ")");
            }
        }
    }

    private ConfigurationException malformed(String name, String value, String expected) {
        return new ConfigurationException(
                "option " + prefix + name + ": \"" + value + "\" (expected: " + expected + ")");
    }

    @Override
    public String toString() {
        return "Options" + names();
    }
}
