package dev.d8.internal;

import dev.d8.InvalidTaskException;
import java.math.BigDecimal;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * The fields of a JSON object, each read as the one type that it may have; another type fails and names the field.
 * A field that is null counts as missing.
 */
final class JsonFields {

    /** Far more than any sensible duration, and far less than what overflows: 100 years. */
    private static final BigDecimal MOST_SECONDS = BigDecimal.valueOf(100L * 366 * 24 * 3600);

    private final String path;
    private final JsonNode object;

    private JsonFields(String path, JsonNode object) {
        this.path = path;
        this.object = object;
    }

    static JsonFields parse(byte[] bytes) {
        JsonNode node = Json.parseTree(bytes);
        if (!node.isObject()) {
            throw new InvalidTaskException("not a JSON object");
        }
        return new JsonFields("", node);
    }

    boolean has(String name) {
        return get(name) != null;
    }

    Collection<String> names() {
        return object.propertyNames();
    }

    Optional<String> text(String name) {
        JsonNode node = get(name);
        return node == null ? Optional.empty() : Optional.of(string(path + name, node));
    }

    String text(String name, String otherwise) {
        return text(name).orElse(otherwise);
    }

    boolean flag(String name, boolean otherwise) {
        JsonNode node = get(name);
        if (node == null) {
            return otherwise;
        }
        if (!node.isBoolean()) {
            throw wrongType(path + name, node, "true or false");
        }
        return node.booleanValue();
    }

    OptionalLong number(String name) {
        JsonNode node = get(name);
        if (node == null) {
            return OptionalLong.empty();
        }
        if (!node.isIntegralNumber() || !node.canConvertToLong()) {
            throw wrongType(path + name, node, "a whole number below 2^63");
        }
        return OptionalLong.of(node.longValue());
    }

    OptionalDouble decimal(String name) {
        JsonNode node = get(name);
        if (node == null) {
            return OptionalDouble.empty();
        }
        if (!node.isNumber()) {
            throw wrongType(path + name, node, "a number");
        }
        return OptionalDouble.of(node.doubleValue());
    }

    Optional<Integer> integer(String name) {
        JsonNode node = get(name);
        if (node == null) {
            return Optional.empty();
        }
        if (!node.isIntegralNumber() || !node.canConvertToInt()) {
            throw wrongType(path + name, node, "a whole number below 2^31");
        }
        return Optional.of(node.intValue());
    }

    /** Reads seconds, whole or not; the range is the reader's to check. */
    Optional<Duration> seconds(String name) {
        JsonNode node = get(name);
        if (node == null) {
            return Optional.empty();
        }
        if (!node.isNumber()) {
            throw wrongType(path + name, node, "seconds, a number above 0");
        }
        double value = doubleOf(node);
        if (!(Math.abs(value) <= MOST_SECONDS.doubleValue())) {
            throw new InvalidTaskException(path + name, "too large (expected: seconds, a number above 0)");
        }
        return Optional.of(Duration.ofNanos(Math.round(value * 1e9)));
    }

    /** Jackson's own refuses what a double cannot hold; here that is infinite, for the range check to find. */
    private static double doubleOf(JsonNode node) {
        return node.numberValue().doubleValue();
    }

    Duration millis(String name) {
        JsonNode node = get(name);
        if (node == null) {
            return Duration.ZERO;
        }
        if (!node.isNumber()) {
            throw wrongType(path + name, node, "milliseconds");
        }
        return Duration.ofNanos(Math.round(doubleOf(node) * 1e6));
    }

    List<String> list(String name) {
        JsonNode node = get(name);
        List<String> items = new ArrayList<>();
        if (node != null) {
            if (!node.isArray()) {
                throw wrongType(path + name, node, "a list of strings");
            }
            for (int i = 0; i < node.size(); i++) {
                items.add(string(path + name + "[" + i + "]", node.get(i)));
            }
        }
        return items;
    }

    Map<String, String> texts(String name) {
        Map<String, String> texts = new LinkedHashMap<>();
        object(name)
                .ifPresent(fields -> fields.names()
                        .forEach(key -> texts.put(key, string(fields.path + key, fields.object.get(key)))));
        return texts;
    }

    Optional<JsonFields> object(String name) {
        JsonNode node = get(name);
        if (node == null) {
            return Optional.empty();
        }
        if (!node.isObject()) {
            throw wrongType(path + name, node, "an object");
        }
        return Optional.of(new JsonFields(path + name + ".", node));
    }

    List<JsonFields> objects(String name) {
        JsonNode node = get(name);
        List<JsonFields> items = new ArrayList<>();
        if (node != null) {
            if (!node.isArray()) {
                throw wrongType(path + name, node, "a list of objects");
            }
            for (int i = 0; i < node.size(); i++) {
                String itemPath = path + name + "[" + i + "]";
                if (!node.get(i).isObject()) {
                    throw wrongType(itemPath, node.get(i), "an object");
                }
                items.add(new JsonFields(itemPath + ".", node.get(i)));
            }
        }
        return items;
    }

    /** Returns each item of a list as what is in it, or as what is wrong with it. */
    <T> List<T> items(String name, Function<JsonFields, T> good, Function<InvalidTaskException, T> bad) {
        JsonNode node = get(name);
        if (node == null || !node.isArray()) {
            throw node == null
                    ? new InvalidTaskException(path + name, "missing (expected: a list of objects)")
                    : wrongType(path + name, node, "a list of objects");
        }
        List<T> items = new ArrayList<>(node.size());
        for (int i = 0; i < node.size(); i++) {
            String itemPath = path + name + "[" + i + "]";
            T item;
            try {
                if (!node.get(i).isObject()) {
                    throw wrongType(itemPath, node.get(i), "an object");
                }
                item = good.apply(new JsonFields(itemPath + ".", node.get(i)));
            } catch (InvalidTaskException e) {
                item = bad.apply(e);
            }
            items.add(item);
        }
        return items;
    }

    private @Nullable JsonNode get(String name) {
        JsonNode node = object.get(name);
        return node == null || node.isNull() ? null : node;
    }

    private static String string(String name, JsonNode node) {
        if (!node.isString()) {
            throw wrongType(name, node, "a string");
        }
        return node.stringValue();
    }

    private static InvalidTaskException wrongType(String name, JsonNode node, String expected) {
        String found = node.isContainer()
                ? "a JSON " + node.getNodeType().name().toLowerCase(java.util.Locale.ROOT)
                : node.toString();
        return new InvalidTaskException(
                name, (found.length() > 40 ? found.substring(0, 40) + "…" : found) + " (expected: " + expected + ")");
    }
}
