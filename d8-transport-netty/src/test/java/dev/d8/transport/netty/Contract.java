package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * The contract that a slave serves, and whether an answer is as it says. Stricter than a client may be: nothing may come that
 * it does not have.
 */
final class Contract {

    static final JsonMapper JSON = new JsonMapper();

    private static final Set<String> METHODS =
            Set.of("get", "put", "post", "delete", "options", "head", "patch", "trace");

    /** What every answer may have. */
    private static final Set<String> USUAL =
            Set.of("content-type", "content-length", "transfer-encoding", "connection", "x-content-type-options");

    private final JsonNode document;
    private final ObjectNode strict;
    private final Map<JsonNode, Schema> schemas = new HashMap<>();
    private final Set<JsonNode> seen = Collections.newSetFromMap(new IdentityHashMap<>());

    /** One method of one path. */
    record Operation(String method, String path, JsonNode node) {
        String name() {
            return method + " " + path;
        }

        Set<String> statuses() {
            return new TreeSet<>(node.get("responses").propertyNames());
        }
    }

    Contract(JsonNode document) {
        this.document = document;
        this.strict = (ObjectNode) document.get("components").deepCopy();
        Set<String> extended = new TreeSet<>();
        walk(document, node -> {
            if (node.has("allOf")) {
                node.get("allOf").forEach(part -> extended.add(part.path("$ref").stringValue("")));
            }
        });
        Set<JsonNode> parts = Collections.newSetFromMap(new IdentityHashMap<>());
        extended.forEach(ref -> parts.add(strict.at(ref.substring("#/components".length()))));
        walk(strict.get("schemas"), node -> {
            boolean whole = node.has("allOf")
                    || (node.has("type") && node.path("properties").isObject());
            if (whole && node instanceof ObjectNode object && !parts.contains(node)) {
                object.put("unevaluatedProperties", false);
            }
        });
    }

    /** Reads what stands on the class path. */
    static Contract read() throws IOException {
        try (InputStream in = Contract.class.getResourceAsStream(OpenApi.RESOURCE)) {
            return new Contract(JSON.readTree(Objects.requireNonNull(in)));
        }
    }

    static void walk(JsonNode node, Consumer<JsonNode> visit) {
        visit.accept(node);
        node.forEach(child -> walk(child, visit));
    }

    JsonNode document() {
        return document;
    }

    List<Operation> operations() {
        List<Operation> all = new ArrayList<>();
        document.get("paths")
                .forEachEntry((path, item) -> item.forEachEntry((method, node) -> {
                    if (METHODS.contains(method)) {
                        all.add(new Operation(method.toUpperCase(Locale.ROOT), path, node));
                    }
                }));
        return all;
    }

    /** Returns every path and its methods. */
    Map<String, Set<String>> paths() {
        Map<String, Set<String>> paths = new TreeMap<>();
        operations()
                .forEach(one -> paths.computeIfAbsent(one.path(), path -> new TreeSet<>())
                        .add(one.method()));
        return paths;
    }

    /** Returns what a reference points to; anything else is what it is. */
    JsonNode resolve(JsonNode node) {
        return node.has("$ref")
                ? resolve(document.at(node.get("$ref").stringValue().substring(1)))
                : node;
    }

    JsonNode schema(String name) {
        return strict.get("schemas").get(name);
    }

    /** Returns the fields that have not been in an answer yet, but for those of some schemas. */
    Set<String> unseen(Set<String> besides) {
        Set<String> unseen = new TreeSet<>();
        strict.get("schemas").forEachEntry((name, schema) -> {
            if (!besides.contains(name)) {
                walk(schema, node -> {
                    if (node.has("type") || node.has("allOf")) {
                        node.path("properties").forEachEntry((field, one) -> {
                            if (!seen.contains(one)) {
                                unseen.add(name + ": " + field);
                            }
                        });
                    }
                });
            }
        });
        return unseen;
    }

    private void note(JsonNode schema, JsonNode value) {
        if (schema.has("$ref")) {
            note(strict.at(schema.get("$ref").stringValue().substring("#/components".length())), value);
        }
        schema.path("allOf").forEach(part -> note(part, value));
        schema.path("oneOf").forEach(one -> {
            if (compiled(one).validate(value).isEmpty()) {
                note(one, value);
            }
        });
        schema.path("properties").forEachEntry((field, one) -> {
            if (value.has(field)) {
                seen.add(one);
                note(one, value.get(field));
            }
        });
        if (schema.has("items")) {
            value.forEach(item -> note(schema.get("items"), item));
        }
    }

    /** Checks one answer to an operation. */
    void check(Operation operation, RawConnection.Reply reply) {
        String status = String.valueOf(reply.status());
        JsonNode response = operation.node().get("responses").get(status);
        assertThat(response)
                .as("%s answered %s, which the contract does not have: %s", operation.name(), status, reply)
                .isNotNull();
        check(resolve(response), reply, operation.method().equals("HEAD"));
    }

    /** Checks one answer against one response object. */
    void check(JsonNode response, RawConnection.Reply reply, boolean headOnly) {
        checkHeaders(response, reply);
        if (reply.status() == 101) {
            reply.body().lines().forEach(message -> valid(response.get("x-item-schema"), JSON.readTree(message)));
            return;
        }
        assertThat(reply.headers()).containsEntry("x-content-type-options", "nosniff");
        String type = reply.headers().getOrDefault("content-type", "");
        JsonNode media = response.get("content").get(type);
        assertThat(media)
                .as("the contract does not have the content type %s of %s", type, reply)
                .isNotNull();
        if (headOnly) {
            return;
        }
        if (type.equals("application/json")) {
            valid(media.get("schema"), JSON.readTree(reply.body()));
        } else if (media.has("x-item-schema")) {
            List<String> items = type.equals("text/event-stream")
                    ? reply.body()
                            .lines()
                            .filter(line -> line.startsWith("data: "))
                            .map(line -> line.substring(6))
                            .toList()
                    : reply.body().lines().filter(line -> !line.isEmpty()).toList();
            assertThat(items).isNotEmpty();
            items.forEach(item -> valid(media.get("x-item-schema"), JSON.readTree(item)));
        } else {
            assertThat(reply.body()).isNotEmpty();
        }
    }

    private void checkHeaders(JsonNode response, RawConnection.Reply reply) {
        Set<String> known = new TreeSet<>(USUAL);
        response.path("headers").forEachEntry((name, reference) -> {
            JsonNode header = resolve(reference);
            String value = reply.headers().get(name.toLowerCase(Locale.ROOT));
            known.add(name.toLowerCase(Locale.ROOT));
            if (value == null) {
                assertThat(header.path("required").booleanValue(false))
                        .as("%s is missing in %s", name, reply)
                        .isFalse();
            } else {
                valid(
                        header.get("schema"),
                        value.matches("[0-9]+|true|false")
                                ? JSON.readTree(value)
                                : JSON.getNodeFactory().stringNode(value));
            }
        });
        assertThat(known)
                .as("the headers of %s", reply)
                .containsAll(reply.headers().keySet());
    }

    /** Checks a value, which may have nothing that its schema does not know. */
    void valid(JsonNode schema, JsonNode value) {
        assertThat(compiled(schema).validate(value))
                .as("%s\nagainst %s", value, schema)
                .isEmpty();
        note(schema, value);
    }

    private Schema compiled(JsonNode schema) {
        return schemas.computeIfAbsent(schema, one -> {
            ObjectNode whole = (ObjectNode) one.deepCopy();
            whole.set("components", strict);
            return SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
                    .getSchema(whole);
        });
    }
}
