package dev.d8.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.slave.SlaveServer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whether each benchmark measures what it says; never how fast that is. */
class BenchmarksTest {

    @Test
    void tasks_go_through_the_master_and_back() {
        Dispatch dispatch = new Dispatch();
        dispatch.slaves = 3;
        dispatch.register();
        try {
            assertThat(dispatch.oneByOne().output()).isEqualTo("55\n");
            assertThat(dispatch.together())
                    .hasSize(64)
                    .extracting(CompletableFuture::join)
                    .allMatch(result -> result.output().equals("55\n"));
        } finally {
            dispatch.close();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"noop", "python"})
    void tasks_go_over_http_and_back(String executor) {
        ExecuteOverHttp execute = new ExecuteOverHttp();
        execute.executor = executor;
        execute.start();
        try {
            assertThat(execute.oneByOne().method()).isEqualTo(executor);
            assertThat(execute.together().output()).isEqualTo("55\n");
        } finally {
            execute.close();
        }
    }

    @Test
    void both_servers_answer_health_with_the_same_json() throws Exception {
        try (SlaveServer slave = ExecuteOverHttp.slave("noop")) {
            RawConnection.Answer answer = HealthComparison.health(slave.uri());
            assertThat(answer.body()).contains("\"status\":\"healthy\"");
            try (BareServer bare = new BareServer(answer.body().getBytes(StandardCharsets.UTF_8), 1)) {
                RawConnection.Answer constant = HealthComparison.health(bare.uri());
                assertThat(constant.body()).isEqualTo(answer.body());
                assertThat(constant.head()).hasSameSizeAs(answer.head());
            }
        }
    }

    @Test
    void the_load_generator_counts_every_answer() throws Exception {
        byte[] json = "{\"a\":1}".getBytes(StandardCharsets.UTF_8);
        try (BareServer bare = new BareServer(json, 1);
                LoadGenerator load = HealthComparison.load(bare.uri())) {
            assertThat(load.run(Duration.ofNanos(1)).samples().count()).isEqualTo(HealthComparison.CONNECTIONS);
            LoadGenerator.Load longer = load.run(Duration.ofMillis(50));
            assertThat(longer.samples().count()).isGreaterThanOrEqualTo(HealthComparison.CONNECTIONS);
            assertThat(longer.took()).isGreaterThan(Duration.ofMillis(49));
        }
    }

    @Test
    void the_health_comparison_measures_both_sides() throws Exception {
        Comparison comparison = HealthComparison.run(Plan.SMOKE);

        assertThat(comparison.throughputRatios()).hasSize(1);
        assertThat(comparison.throughputRatios()[0]).isPositive().isFinite();
    }

    @Test
    void the_wire_comparison_measures_everything() throws Exception {
        WireComparison.Result result = WireComparison.run(Plan.SMOKE);

        assertThat(result.execute().throughputRatios()[0]).isPositive().isFinite();
        assertThat(result.batch().throughputRatios()[0]).isPositive().isFinite();
        assertThat(result.streamedPerSecond()).isPositive();
        assertThat(result.followerBytes()).isBetween(1L, 200_000L);
    }

    @Test
    void the_engine_comparison_measures_every_side() throws Exception {
        EngineComparison.Result result = EngineComparison.run(Plan.SMOKE);

        assertThat(result.rounds())
                .hasSize(6)
                .allSatisfy((side, rounds) ->
                        assertThat(rounds.get(0).samples().count()).as(side).isPositive());
        assertThat(result.oneByOne().throughputRatios()[0]).isPositive().isFinite();
        assertThat(result.agentBytes()).hasSize(3).allMatch(bytes -> bytes > 1 << 20);
    }

    @Test
    void tasks_that_wait_are_timed_by_how_many_there_are() {
        assertThat(WaitingTasks.run(Plan.SMOKE))
                .containsOnlyKeys(10, 100, 1000)
                .allSatisfy((count, micros) -> assertThat(micros).isPositive());
    }

    @Test
    void a_profile_adds_up() throws Exception {
        TaskProfile profile = TaskProfile.run(Plan.SMOKE);
        assertThat(profile.wall()).hasSize(8).containsKey("all of it");
        assertThat(profile.cpu()).hasSize(4);
    }

    @Test
    void round_trips_are_those_of_a_task_that_ran() throws IOException {
        try (SlaveServer slave = ExecuteOverHttp.slave("python")) {
            assertThat(LaunchedSlave.roundTrips(slave.uri(), 2).count()).isEqualTo(2);
        }
    }

    @Test
    void a_server_process_ends_when_it_is_closed() throws IOException {
        ChildProcess server = ChildProcess.server("bare", "1", "{}");
        try (server) {
            assertThat(HealthComparison.health(server.uri()).body()).isEqualTo("{}");
            assertThat(server.residentBytes()).isGreaterThan(1 << 20);
        }
        assertThat(server.running()).isFalse();
    }

    @Test
    void percentiles_are_those_of_the_samples() {
        Samples samples = new Samples();
        for (int i = 100; i > 0; i--) {
            samples.add(i * 1000L);
        }
        assertThat(samples.micros(50)).isEqualTo(50);
        assertThat(samples.micros(99)).isEqualTo(99);
        assertThat(Comparison.median(new double[] {1, 2, 4, 8})).isEqualTo(3);
        assertThat(Report.number(123_456)).isEqualTo("123,000");
        assertThat(Report.number(12.345)).isEqualTo("12.3");
    }
}
