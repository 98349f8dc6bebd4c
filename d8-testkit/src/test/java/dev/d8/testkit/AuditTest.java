package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.d8.Invocation;
import dev.d8.NoExecutorException;
import dev.d8.SlaveRefusedException;
import dev.d8.TaskId;
import dev.d8.TaskIdTakenException;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Caller;
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.SlaveService;
import dev.d8.spi.SlaveTasks;
import dev.d8.spi.TaskHandle;
import dev.d8.spi.Transport;
import dev.d8.version.VersionProvider;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.slf4j.LoggerFactory;

/** What the audit log tells of tasks and of callers, and what it never tells. */
@Timeout(60)
class AuditTest {

    private static final Caller CALLER = new Caller("ci", "10.0.0.7");
    private static final String NOW = "2026-11-26T03:04:05.678Z";
    private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";

    private final FakeTime time = new FakeTime();
    private final GatedExecutor gate = new GatedExecutor();
    private final List<String> lines = new CopyOnWriteArrayList<>();
    private final BlockingQueue<String> untaken = new LinkedBlockingQueue<>();
    private @Nullable SlaveService offered;
    private final SlaveServer server = start();

    private SlaveServer start() {
        return SlaveServer.builder()
                .bind(URI.create("memory://127.0.0.1:0"))
                .transport(new Capture())
                .time(time)
                .clock(() -> Instant.parse("2026-11-26T03:04:05.6789Z"))
                .audit(line -> {
                    lines.add(line);
                    untaken.add(line);
                })
                .version(VersionProvider.configured(COMMIT))
                .executor(gate)
                .executors(List.of("gated"))
                .maxConcurrent(1)
                .queueCapacity(0)
                .start();
    }

    @AfterEach
    void close() {
        gate.letGo(1000);
        server.close();
    }

    private SlaveService service() {
        return Objects.requireNonNull(offered);
    }

    private SlaveTasks tasks() {
        return service().tasks().orElseThrow();
    }

    /** Returns the lines of an event so far, each of them flat JSON in ASCII that nothing in a text breaks out of. */
    private List<String> events(String name) {
        String text = "\"([ !#-\\[\\]-~]|\\\\[\"\\\\bfnrt]|\\\\u[0-9A-Fa-f]{4})*\"";
        String field = "\"[a-z0-9_]+\":(" + text + "|[0-9.]+|true|false)";
        assertThat(lines).allSatisfy(line -> assertThat(line).matches("\\{" + field + "(," + field + ")*\\}"));
        String start = "{\"time\":\"" + NOW + "\",\"event\":\"" + name + "\"";
        return lines.stream().filter(line -> line.startsWith(start)).toList();
    }

    private static String field(String name, Object value) {
        return "\"" + name + "\":" + (value instanceof String ? "\"" + value + "\"" : value);
    }

    private static void await(CompletableFuture<?> future) throws Exception {
        future.handle((value, failure) -> "over").get(30, TimeUnit.SECONDS);
    }

    /** Waits for the next task's end to be told, which may be after its caller is. */
    private String awaitFinished() throws InterruptedException {
        String line = "";
        while (!line.contains(field("event", "finished"))) {
            line = Objects.requireNonNull(untaken.poll(30, TimeUnit.SECONDS), "no task was told as finished");
        }
        return line;
    }

    @Test
    void a_task_is_told_of_before_it_runs_and_when_it_is_over() throws Exception {
        Invocation task = Invocation.python("print(55)").method("gated").build();
        tasks().submit(CALLER, task);
        gate.awaitStarted();
        assertThat(lines.get(1))
                .isEqualTo(
                        "{\"time\":\"" + NOW + "\",\"event\":\"accepted\",\"caller\":\"ci\",\"address\":\"10.0.0.7\","
                                + "\"task_id\":\"" + task.taskId() + "\",\"source_sha256\":"
                                + "\"f4e2573b7ba2b405ee5f9024e1ad7e66f907d426a679246f0033844ec93c976d\","
                                + "\"runtime\":\"python\",\"method\":\"gated\",\"timeout\":300.0}");
        gate.letGo(1);
        assertThat(awaitFinished())
                .isEqualTo(
                        "{\"time\":\"" + NOW + "\",\"event\":\"finished\",\"task_id\":\"" + task.taskId()
                                + "\",\"method\":\"gated\",\"status\":\"ok\",\"exit_code\":0,\"wall_ms\":0.0,\"output_bytes\":3}");
        assertThat(lines).hasSize(3);
    }

    @Test
    void whoever_sends_a_task_again_is_not_told_of_as_it_does_not_run_again() throws Exception {
        Invocation task = Invocation.python("print(55)").build();
        TaskHandle handle = tasks().submit(CALLER, task);
        tasks().submit(CALLER, task);
        gate.letGo(1);
        awaitFinished();
        await(handle.result());
        tasks().submit(CALLER, task);
        assertThat(events("accepted")).hasSize(1);
        assertThat(events("finished")).hasSize(1);
    }

    @Test
    void the_start_and_the_end_of_the_slave_are_told_with_what_it_runs() {
        server.close();
        String boot = service().health().bootId().orElseThrow();
        assertThat(events("started"))
                .singleElement()
                .asString()
                .contains(field("boot_id", boot), field("commit", COMMIT));
        assertThat(events("stopped")).singleElement().asString().contains(field("boot_id", boot));
        assertThat(lines).hasSize(2);
    }

    @Test
    void whoever_is_refused_is_told_of_with_the_reason() throws Exception {
        Invocation running = Invocation.python("print(55)").build();
        Invocation other =
                Invocation.python("print(58)").taskId(running.taskId()).build();
        tasks().submit(CALLER, running);
        gate.awaitStarted();
        assertThatThrownBy(() ->
                        tasks().submit(CALLER, Invocation.python("print(56)").build()))
                .isInstanceOf(SlaveRefusedException.class);
        assertThatThrownBy(() -> tasks().submit(
                                CALLER,
                                Invocation.python("print(57)").method("docker").build()))
                .isInstanceOf(NoExecutorException.class);
        assertThatThrownBy(() -> tasks().submit(CALLER, other)).isInstanceOf(TaskIdTakenException.class);
        assertThat(events("refused"))
                .satisfiesExactly(
                        full -> assertThat(full).contains(field("reason", "queue_full"), "queue full: 1 tasks"),
                        none -> assertThat(none).contains(field("reason", "no_executor")),
                        taken -> assertThat(taken)
                                .contains(field("reason", "id_taken"), field("task_id", running.taskId() + "")))
                .allSatisfy(line ->
                        assertThat(line).contains(field("caller", "ci"), field("address", "10.0.0.7"), "\"why\":"));
        assertThat(events("accepted")).hasSize(1);
    }

    @Test
    void whoever_cancels_is_told_of_even_where_nothing_is_left_to_end() throws Exception {
        Invocation task = Invocation.python("print(55)").build();
        TaskHandle handle = tasks().submit(CALLER, task);
        gate.awaitStarted();
        tasks().cancel(new Caller("operator", "10.0.0.8"), task.taskId());
        await(handle.result());
        tasks().cancel(CALLER, task.taskId());
        assertThat(events("cancel"))
                .satisfiesExactly(
                        first -> assertThat(first).contains(field("caller", "operator"), field("ended", true)),
                        second -> assertThat(second).contains(field("caller", "ci"), field("ended", false)));
        assertThat(awaitFinished()).contains(field("status", "cancelled"));
    }

    @Test
    void a_task_whose_caller_leaves_is_told_as_cancelled() throws Exception {
        Invocation task = Invocation.python("print(55)").build();
        service().execute(CALLER, task, ExecutionListener.NONE).cancel(true);
        assertThat(events("finished"))
                .singleElement()
                .asString()
                .contains(field("task_id", task.taskId() + ""), field("status", "cancelled"));
    }

    @Test
    void those_turned_away_are_one_line_a_second_and_address_and_none_is_lost() {
        Caller guessing = new Caller("", "10.0.0.8");
        for (int i = 0; i < 100; i++) {
            service().turnedAway(guessing, "unauthorized");
        }
        service().turnedAway(new Caller("dashboard", "10.0.0.9"), "forbidden");
        assertThat(events("turned_away"))
                .satisfiesExactly(
                        first -> assertThat(first)
                                .contains(
                                        field("address", "10.0.0.8"),
                                        field("reason", "unauthorized"),
                                        field("others", 0)),
                        second -> assertThat(second)
                                .contains(field("caller", "dashboard"), field("reason", "forbidden")));
        time.advance(Duration.ofMillis(999));
        assertThat(events("turned_away")).hasSize(2);
        time.advance(Duration.ofMillis(1));
        assertThat(events("turned_away"))
                .hasSize(3)
                .last()
                .asString()
                .contains(field("address", "10.0.0.8"), field("others", 98));
        service().turnedAway(guessing, "unauthorized");
        assertThat(events("turned_away")).hasSize(3);
        server.close();
        assertThat(events("turned_away")).hasSize(4);
    }

    @Test
    void an_address_that_has_calmed_down_is_told_of_at_once_again() {
        service().turnedAway(CALLER, "unauthorized");
        time.advance(Duration.ofSeconds(1));
        assertThat(events("turned_away")).hasSize(1);
        service().turnedAway(CALLER, "unauthorized");
        assertThat(events("turned_away")).hasSize(2);
    }

    @Test
    void nothing_that_a_peer_chose_ends_a_line_or_steers_a_terminal() throws Exception {
        String hostile = "\r\n{\"event\":\"forged\"}\u001b[2J\u009b31m\u2028\u0085\u007f\0'\"\\";
        String escaped =
                "\\r\\n{\\\"event\\\":\\\"forged\\\"}\\u001B[2J\\u009B31m\\u2028\\u0085\\u007f\\u0000'\\\"\\\\";
        Caller caller = new Caller(hostile, hostile);
        Invocation task = Invocation.builder(hostile, "x").build();
        gate.letGo(1);
        await(service().execute(caller, task, ExecutionListener.NONE));
        await(service().execute(caller, task.toBuilder().method(hostile).build(), ExecutionListener.NONE));
        service().turnedAway(caller, "unauthorized");
        tasks().cancel(caller, TaskId.random());
        assertThat(events("accepted"))
                .singleElement()
                .asString()
                .contains(field("caller", escaped), field("address", escaped), field("runtime", escaped));
        assertThat(events("refused")).hasSize(1);
        assertThat(events("forged")).isEmpty();
    }

    @Test
    void a_long_text_is_cut_so_that_nobody_fills_the_log() throws Exception {
        String much = "x".repeat(1_000_000);
        await(service()
                .execute(
                        new Caller(much, much),
                        Invocation.python("print(55)").method(much).build(),
                        ExecutionListener.NONE));
        assertThat(lines).allSatisfy(line -> assertThat(line).hasSizeLessThan(2000));
        assertThat(events("refused")).hasSize(1);
    }

    @Test
    void no_source_no_variable_no_input_and_no_argument_is_told() throws Exception {
        String secret = "s3cr3t";
        gate.letGo(1);
        await(service()
                .execute(
                        CALLER,
                        Invocation.python("print('" + secret + "')")
                                .env(Map.of("PASSWORD_" + secret, secret))
                                .stdin(secret)
                                .args(List.of(secret))
                                .build(),
                        ExecutionListener.NONE));
        awaitFinished();
        assertThat(lines).noneMatch(line -> line.contains(secret));
    }

    @Test
    void whoever_writes_the_log_ends_no_task_by_failing_and_that_is_told_once() throws Exception {
        ListAppender<ILoggingEvent> logged = new ListAppender<>();
        logged.start();
        Logger log = (Logger) LoggerFactory.getLogger("dev.d8.slave.AuditLog");
        log.addAppender(logged);
        try (SlaveServer deaf = SlaveServer.builder()
                .bind(URI.create("memory://127.0.0.1:0"))
                .transport(new Capture())
                .time(new FakeTime())
                .audit(line -> {
                    throw new IllegalStateException("no space");
                })
                .executor(gate)
                .executors(List.of("gated"))
                .start()) {
            gate.letGo(1);
            CompletableFuture<?> result =
                    service().execute(CALLER, Invocation.python("print(55)").build(), ExecutionListener.NONE);
            assertThat(result.get(30, TimeUnit.SECONDS)).isNotNull();
            assertThat(deaf.unfinished()).isZero();
        } finally {
            log.detachAppender(logged);
        }
        assertThat(logged.list).hasSize(1);
    }

    /** Carries nothing by itself, and shows what it was to carry. */
    private final class Capture implements Transport {
        private final InMemoryTransport memory = new InMemoryTransport();

        @Override
        public Binding serve(SlaveService service, URI bind, ServerSecurity security) {
            offered = service;
            return memory.serve(service, bind, security);
        }

        @Override
        public SlaveClient connect(URI slave, Credentials credentials) {
            return memory.connect(slave, credentials);
        }

        @Override
        public void close() {
            memory.close();
        }
    }
}
