package dev.d8.internal;

import dev.d8.InvalidTaskException;
import java.io.ByteArrayOutputStream;
import java.util.Map;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.StreamWriteFeature;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.core.json.JsonWriteFeature;
import tools.jackson.core.type.TypeReference;
import tools.jackson.core.util.JsonRecyclerPools;
import tools.jackson.databind.DatabindException;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.MapperFeature;
import tools.jackson.databind.PropertyNamingStrategies;
import tools.jackson.databind.cfg.CoercionAction;
import tools.jackson.databind.cfg.CoercionInputShape;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.type.LogicalType;

/** D8's one JSON mapper: snake_case, no coercion, unknown fields ignored, doubled keys refused. */
public final class Json {

    private static final TypeReference<Map<String, @Nullable Object>> MAP = new TypeReference<>() {};

    /** Where Jackson's messages come to the Java types. */
    private static final Pattern JAVA_TYPES = Pattern.compile(" of type `| \\(bound as `");

    /** Buffers are borrowed from the thread, which costs a task less than from a queue that all threads share. */
    static final JsonMapper MAPPER = JsonMapper.builder(JsonFactory.builder()
                    .recyclerPool(JsonRecyclerPools.threadLocalPool())
                    .build())
            .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(StreamWriteFeature.USE_FAST_DOUBLE_WRITER)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
            .withCoercionConfig(
                    LogicalType.Textual,
                    config -> config.setCoercion(CoercionInputShape.Integer, CoercionAction.Fail)
                            .setCoercion(CoercionInputShape.Float, CoercionAction.Fail)
                            .setCoercion(CoercionInputShape.Boolean, CoercionAction.Fail))
            .build();

    private Json() {}

    /** Writes a record as a map of JSON values. */
    public static Map<String, @Nullable Object> toMap(Record value) {
        try {
            return MAPPER.convertValue(value, MAP);
        } catch (JacksonException e) {
            throw new InvalidTaskException("data", describe(e));
        }
    }

    /** Binds a map of JSON values to a type. */
    public static <T> T bind(String what, Map<String, @Nullable Object> data, Class<T> type) {
        try {
            return MAPPER.convertValue(data, type);
        } catch (JacksonException e) {
            throw invalid(what, e);
        }
    }

    /** Reads bytes as one JSON value of a type. */
    public static <T> T parse(String what, byte[] bytes, Class<T> type) {
        try {
            return MAPPER.readValue(bytes, type);
        } catch (JacksonException e) {
            throw invalid(what, e);
        }
    }

    /** Reads text as a map of JSON values. */
    public static Map<String, @Nullable Object> parseMap(String what, String text) {
        try {
            return MAPPER.readValue(text, MAP);
        } catch (JacksonException e) {
            throw new InvalidTaskException(what, describe(e));
        }
    }

    static JsonNode parseTree(byte[] bytes) {
        try {
            return MAPPER.readTree(bytes);
        } catch (JacksonException e) {
            throw new InvalidTaskException("not valid JSON: " + describe(e));
        }
    }

    /** Writes one line of ASCII, whatever is in the texts. */
    public static String line(Map<String, ?> fields) {
        return MAPPER.writer()
                .with(JsonWriteFeature.ESCAPE_NON_ASCII)
                .writeValueAsString(fields)
                .replace("\u007f", "\\u007f"); // DEL is ASCII, too.
    }

    /** Writes an object, field by field, which costs a third of making a tree of it first. */
    static byte[] writeObject(Consumer<JsonGenerator> fields) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(512);
        try (JsonGenerator json = MAPPER.createGenerator(bytes)) {
            json.writeStartObject();
            fields.accept(json);
            json.writeEndObject();
        }
        return bytes.toByteArray();
    }

    static byte[] write(Object value) {
        return MAPPER.writeValueAsBytes(value);
    }

    /** A record's constructor may have said already what is wrong, better than Jackson can. */
    private static InvalidTaskException invalid(String what, JacksonException e) {
        return e.getCause() instanceof InvalidTaskException own ? own : new InvalidTaskException(what, describe(e));
    }

    /** What is wrong and where, without the Java types and the source that Jackson's own message quotes. */
    private static String describe(JacksonException e) {
        String message = e.getOriginalMessage();
        String what = JAVA_TYPES.split(message, 2)[0].lines().findFirst().orElse("unreadable");
        if (e instanceof DatabindException && !e.getPath().isEmpty()) {
            StringBuilder path = new StringBuilder();
            for (JacksonException.Reference step : e.getPath()) {
                String name = step.getPropertyName();
                path.append(name == null ? "[" + step.getIndex() + "]" : (path.isEmpty() ? "" : ".") + name);
            }
            return path + ": " + what;
        }
        return e.getLocation() == null || e.getLocation().getLineNr() < 1
                ? what
                : what + " (line " + e.getLocation().getLineNr() + ", column "
                        + e.getLocation().getColumnNr() + ")";
    }
}
