package dev.d8.launcher;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Invocation;
import dev.d8.Token;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.Options;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.Transport;
import dev.d8.transport.netty.NettyTransportProvider;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** The dashboard in {@code docs} and what a slave really shows. */
@Timeout(60)
class DashboardTest {

    private static final Path DASHBOARD = Path.of("../../docs/grafana-dashboard.json");

    /** Beside the counts of a time: what Micrometer adds, and no panel needs. */
    private static final Pattern ADDED = Pattern.compile(".*_seconds(_count|_sum|_max)?");

    private static JsonNode dashboard() throws Exception {
        return JsonMapper.shared().readTree(Files.readString(DASHBOARD));
    }

    private static Set<String> names(String pattern, Iterable<String> texts) {
        Set<String> names = new TreeSet<>();
        texts.forEach(text -> Pattern.compile(pattern, Pattern.MULTILINE)
                .matcher(text)
                .results()
                .forEach(found -> names.add(found.group(1))));
        return names;
    }

    /** Returns the names of what a slave shows that has run a task. */
    private static Set<String> shown() throws Exception {
        PrometheusMeterRegistry meters = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        try (Transport transport = new NettyTransportProvider().create(Options.NONE);
                SlaveServer slave = SlaveServer.builder()
                        .port(0)
                        .transport(transport)
                        .executors(List.of("docker", "python"))
                        .meterRegistry(meters)
                        .start();
                SlaveClient client = transport.connect(slave.uri(), new Credentials(Token.DEVELOPMENT))) {
            Invocation task = Invocation.python("print(55)").method("python").build();
            assertThat(client.execute(task, ExecutionListener.NONE)
                            .get(30, TimeUnit.SECONDS)
                            .output())
                    .isEqualTo("55\n");
            return names("^(d8_[a-z0-9_]+)", List.of(meters.scrape()));
        }
    }

    @Test
    void every_metric_on_the_dashboard_is_shown_by_a_slave_and_the_other_way_round() throws Exception {
        Set<String> shown = shown();
        Set<String> used = names("\\b(d8_[a-z0-9_]+)", dashboard().findValuesAsString("expr"));
        assertThat(shown).containsAll(used);
        shown.removeIf(name -> ADDED.matcher(name).matches());
        assertThat(used).as("the metrics in docs/grafana-dashboard.json").containsAll(shown);
    }

    @Test
    void the_dashboard_asks_whatever_prometheus_its_reader_chooses() throws Exception {
        JsonNode dashboard = dashboard();
        assertThat(dashboard.get("schemaVersion").asInt()).isEqualTo(39);
        assertThat(dashboard.findValues("datasource"))
                .isNotEmpty()
                .allSatisfy(source -> assertThat(source.get("uid").asString()).isEqualTo("${datasource}"));
        List<String> ids = dashboard.get("panels").findValuesAsString("id");
        assertThat(ids).doesNotHaveDuplicates().hasSize(dashboard.get("panels").size());
    }
}
