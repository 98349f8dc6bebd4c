package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Limits;
import dev.d8.TaskState;
import dev.d8.Termination;
import dev.d8.spi.WireFormat;
import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** A slave does what the contract that it serves says, all of it and nothing else: each answer is had over a real socket. */
@Timeout(60)
@ExtendWith(NoLeaks.class)
class OpenApiTest {

    private static final List<String> METHODS =
            List.of("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "FOLLOW");

    /** Schemas of what comes from a client. */
    private static final Set<String> OF_REQUESTS = Set.of("Task", "Batch", "Update");

    private static Contract contract;
    private static Scenarios scenarios;

    @BeforeAll
    static void start() throws Exception {
        contract = Contract.read();
        scenarios = new Scenarios(contract);
    }

    @AfterAll
    static void stop() throws Exception {
        scenarios.close();
    }

    @TestFactory
    Stream<DynamicTest> every_answer_comes_and_is_as_the_contract_says() {
        Map<String, Contract.Operation> operations =
                contract.operations().stream().collect(Collectors.toMap(Contract.Operation::name, one -> one));
        Stream<DynamicTest> walk = scenarios.all().stream()
                .map(one -> DynamicTest.dynamicTest(one.name(), () -> {
                    RawConnection.Reply reply;
                    try {
                        reply = one.play().play();
                    } catch (IOException e) {
                        throw new AssertionError(one.name(), e); // Reports show no names of such tests.
                    }
                    assertThat(reply.status()).as("%s: %s", one.name(), reply).isEqualTo(one.status());
                    contract.check(Objects.requireNonNull(operations.get(one.operation())), reply);
                }));
        return Stream.concat(
                walk, Stream.of(DynamicTest.dynamicTest("every field has been seen", OpenApiTest::everyFieldWasSeen)));
    }

    private static void everyFieldWasSeen() {
        assertThat(contract.unseen(OF_REQUESTS)).as("fields that no answer had").isEmpty();
    }

    @Test
    void every_answer_of_the_contract_has_a_scenario() {
        Set<String> documented = new TreeSet<>();
        contract.operations()
                .forEach(one -> one.statuses().forEach(status -> documented.add(one.name() + " " + status)));
        assertThat(scenarios.all().stream()
                        .map(one -> one.operation() + " " + one.status())
                        .collect(Collectors.toSet()))
                .isEqualTo(documented);
    }

    @Test
    void every_other_method_is_405_with_exactly_those_of_the_path() throws Exception {
        JsonNode response = contract.resolve(contract.document().get("x-other-methods"));
        for (Map.Entry<String, Set<String>> path : contract.paths().entrySet()) {
            for (String method : METHODS) {
                if (path.getValue().contains(method)) {
                    continue;
                }
                RawConnection.Reply reply = Asking.ask(
                        scenarios.slaveUri(), method, Scenarios.sample(path.getKey()), Slave.AUTHORIZATION, "");
                assertThat(reply.status()).as("%s %s", method, path.getKey()).isEqualTo(405);
                assertThat(Set.of(reply.headers().getOrDefault("allow", "").split(", ")))
                        .isEqualTo(path.getValue());
                contract.check(response, reply, method.equals("HEAD"));
            }
        }
    }

    @Test
    void every_other_path_is_404() throws Exception {
        JsonNode response = contract.resolve(contract.document().get("x-other-paths"));
        List<String> paths = new ArrayList<>(List.of("/", "/api", "/api/openapi.yaml", "/openapi.json", "/docs"));
        contract.paths().keySet().stream()
                .filter(path -> !path.contains("{"))
                .forEach(path -> paths.addAll(List.of("/" + path, path.toUpperCase(Locale.ROOT), path + "x")));
        for (String path : paths) {
            RawConnection.Reply reply = Asking.ask(scenarios.slaveUri(), "GET", path, Slave.AUTHORIZATION, "");
            assertThat(reply.status()).as(path).isEqualTo(404);
            contract.check(response, reply, false);
        }
    }

    /** Nobody can ask for every path there is, but each stands in a constant of {@link Routes}. */
    @Test
    void no_path_is_served_that_the_contract_does_not_have() throws Exception {
        Set<String> documented = contract.paths().keySet();
        int constants = 0;
        for (Field field : Routes.class.getDeclaredFields()) {
            if (Modifier.isStatic(field.getModifiers()) && field.getType() == String.class) {
                field.setAccessible(true);
                String path = (String) field.get(null);
                if (path.startsWith("/")) {
                    constants++;
                    assertThat(documented)
                            .as(field.getName())
                            .anyMatch(one -> one.equals(path)
                                    || (path.endsWith("/") && one.startsWith(path))
                                    || one.endsWith("}" + path));
                }
            }
        }
        assertThat(constants).isGreaterThanOrEqualTo(documented.size());
    }

    @Test
    void a_task_has_exactly_the_fields_that_the_contract_has() {
        Invocation everything = Invocation.python("print(55)")
                .workingDir("/tmp")
                .timeout(Duration.ofMillis(1500))
                .method("python")
                .minIsolation(Isolation.PROCESS)
                .env(Map.of("A", "b"))
                .stdin("in")
                .args(List.of("a"))
                .requirements(List.of("six==1.17.0"))
                .image("python:3.11")
                .limits(new Limits(
                        OptionalLong.of(1),
                        Optional.of(Duration.ofSeconds(1)),
                        OptionalLong.of(1),
                        OptionalLong.of(0),
                        OptionalLong.of(0)))
                .build();
        JsonNode json = Contract.JSON.readTree(WireFormat.json().encode(everything));
        JsonNode task = contract.schema("Task");
        contract.valid(task, json);
        assertThat(Set.copyOf(json.propertyNames())).isEqualTo(names(task));
        assertThat(Set.copyOf(json.get("limits").propertyNames())).isEqualTo(names(task.at("/properties/limits")));
    }

    @Test
    void the_words_of_the_contract_are_those_of_the_code() {
        assertThat(words(contract.schema("End").at("/properties/status")))
                .isEqualTo(Stream.of(Termination.Status.values())
                        .map(Termination.Status::wireName)
                        .toList());
        assertThat(words(contract.schema("State").at("/properties/state")))
                .isEqualTo(Stream.of(TaskState.Phase.values())
                        .map(TaskState.Phase::wireName)
                        .toList());
        assertThat(words(contract.schema("Task").at("/properties/min_isolation")))
                .isEqualTo(
                        Stream.of(Isolation.values()).map(Isolation::wireName).toList());
    }

    private static List<String> words(JsonNode schema) {
        return schema.get("enum").valueStream().map(JsonNode::stringValue).toList();
    }

    private static Set<String> names(JsonNode schema) {
        return Set.copyOf(schema.get("properties").propertyNames());
    }

    @Test
    void a_field_of_a_task_that_has_another_type_is_400_and_named() throws Exception {
        for (String name : names(contract.schema("Task"))) {
            refused(name, Contract.JSON.createObjectNode());
        }
        for (String name : names(contract.schema("Task").at("/properties/limits"))) {
            refused("limits." + name, Contract.JSON.createObjectNode());
        }
    }

    /** Nothing in a task may be a list of numbers. */
    private static void refused(String field, ObjectNode task) throws Exception {
        task.put("command", "x");
        String name = field.substring(field.indexOf('.') + 1);
        (field.equals(name) ? task : task.putObject("limits")).putArray(name).add(7);
        RawConnection.Reply reply =
                Asking.ask(scenarios.slaveUri(), "POST", "/api/execute", Slave.AUTHORIZATION, task.toString());
        assertThat(reply.status()).as("%s: %s", task, reply).isEqualTo(400);
        assertThat(reply.body()).contains(field);
    }

    @Test
    void what_is_served_is_the_contract() throws Exception {
        RawConnection.Reply reply = Asking.ask(scenarios.slaveUri(), "GET", "/api/openapi.json", "", "");
        assertThat(Contract.JSON.readTree(reply.body())).isEqualTo(contract.document());
    }
}
