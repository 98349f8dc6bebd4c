package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.dataformat.yaml.YAMLMapper;

/** The contract is an OpenAPI document, and what a slave serves is made of it. */
class OpenApiDocumentTest {

    private static final Path YAML = Path.of("../docs/openapi.yaml");
    private static final Path JSON = Path.of("src/main/resources/dev/d8/transport/netty", OpenApi.RESOURCE);
    private static final Pattern VARIABLE = Pattern.compile("\\{([a-z]+)}");

    private final JsonNode document = new YAMLMapper().readTree(YAML);
    private final Contract contract = new Contract(document);

    @Test
    void the_json_that_is_served_is_made_of_the_yaml() throws Exception {
        String made = Contract.JSON.writerWithDefaultPrettyPrinter().writeValueAsString(document) + "\n";
        if (System.getProperty("d8.openapi", "").equals("write")) {
            Files.writeString(JSON, made);
        }
        assertThat(Contract.JSON.readTree(Files.readString(JSON)))
                .as("docs/openapi.yaml has changed. Run: mvn -pl d8-transport-netty -am test -Dd8.openapi=write"
                        + " -Dtest=OpenApiDocumentTest -Dsurefire.failIfNoSpecifiedTests=false")
                .isEqualTo(document);
    }

    @Test
    void it_says_which_version_of_open_api_it_speaks_and_what_it_is() {
        assertThat(document.get("openapi").stringValue()).matches("3\\.1\\.\\d");
        assertThat(document.at("/info/title").stringValue()).isNotEmpty();
        assertThat(document.at("/info/version").stringValue()).isNotEmpty();
        assertThat(document.propertyNames())
                .allMatch(name -> name.startsWith("x-")
                        || Set.of("openapi", "info", "servers", "security", "paths", "components")
                                .contains(name));
    }

    @Test
    void every_reference_leads_somewhere_and_every_component_is_used() {
        Set<String> used = new TreeSet<>();
        Contract.walk(document, node -> {
            if (node.path("$ref").isString()) {
                used.add(node.get("$ref").stringValue());
            }
        });
        assertThat(used)
                .allMatch(ref -> ref.startsWith("#/components/")
                        && !document.at(ref.substring(1)).isMissingNode());
        document.get("components").forEachEntry((kind, components) -> {
            if (!kind.equals("securitySchemes")) {
                assertThat(used)
                        .containsAll(components.propertyNames().stream()
                                .map(name -> "#/components/" + kind + "/" + name)
                                .toList());
            }
        });
        document.at("/components/schemas/Event/discriminator/mapping")
                .forEach(ref -> assertThat(used).contains(ref.stringValue()));
    }

    @Test
    void every_operation_has_a_name_of_its_own_and_says_what_it_is() {
        List<String> names = new ArrayList<>();
        for (Contract.Operation one : contract.operations()) {
            names.add(one.node().path("operationId").stringValue(""));
            assertThat(one.node().path("summary").stringValue(""))
                    .as(one.name())
                    .isNotEmpty();
            assertThat(one.statuses()).as(one.name()).isNotEmpty().allMatch(status -> status.matches("[1-5][0-9]{2}"));
            one.node()
                    .get("responses")
                    .forEach(response -> assertThat(contract.resolve(response)
                                    .path("description")
                                    .isString())
                            .as(one.name())
                            .isTrue());
            one.node()
                    .path("security")
                    .forEach(needed -> assertThat(
                                    document.at("/components/securitySchemes").propertyNames())
                            .containsAll(needed.propertyNames()));
        }
        assertThat(names).doesNotHaveDuplicates().doesNotContain("");
        assertThat(document.at("/components/securitySchemes/token/scheme").stringValue())
                .isEqualTo("bearer");
    }

    @Test
    void every_variable_of_a_path_is_a_parameter_and_no_parameter_is_declared_twice() {
        document.get("paths").forEachEntry((path, item) -> {
            Set<String> variables = new TreeSet<>();
            for (Matcher one = VARIABLE.matcher(path); one.find(); ) {
                variables.add(one.group(1));
            }
            Set<String> declared = new TreeSet<>();
            item.path("parameters")
                    .forEach(one ->
                            declared.add(contract.resolve(one).get("name").stringValue()));
            assertThat(declared).as(path).isEqualTo(variables);
        });
        for (Contract.Operation one : contract.operations()) {
            List<String> names = new ArrayList<>();
            one.node().path("parameters").forEach(reference -> {
                JsonNode parameter = contract.resolve(reference);
                names.add(parameter.get("in").stringValue() + " "
                        + parameter.get("name").stringValue());
                assertThat(parameter.get("schema")).isNotNull();
            });
            assertThat(names)
                    .doesNotHaveDuplicates()
                    // OpenAPI ignores these: what they say is in the content types and the security.
                    .doesNotContain("header Accept", "header Content-Type", "header Authorization")
                    .allMatch(name -> name.matches("(query|header) .*"));
        }
    }

    @Test
    void every_schema_is_one() {
        var schema = SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
                .getSchema(SchemaLocation.of(SpecificationVersion.DRAFT_2020_12.getDialectId()));
        Contract.walk(document, node -> {
            if (node.path("schema").isObject()) {
                assertThat(schema.validate(node.get("schema"))).isEmpty();
            }
        });
        document.at("/components/schemas")
                .forEachEntry(
                        (name, one) -> assertThat(schema.validate(one)).as(name).isEmpty());
    }
}
