package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.d8.ConfigurationException;
import dev.d8.ExecutorInfo;
import dev.d8.Health;
import dev.d8.InvalidTaskException;
import dev.d8.Invocation;
import dev.d8.Isolation;
import dev.d8.Limits;
import dev.d8.NoExecutorException;
import dev.d8.Output;
import dev.d8.Rejection;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveUnreachableException;
import dev.d8.TaskResult;
import dev.d8.Termination;
import dev.d8.Timing;
import dev.d8.Token;
import dev.d8.UnauthorizedException;
import dev.d8.UnknownOutcomeException;
import dev.d8.Usage;
import dev.d8.VersionInfo;
import dev.d8.spi.Credentials;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.Transport;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * What every transport must do. Subclass it, say how to make yours, and every test here runs against it:
 *
 * <pre>{@code
 * class CarrierPigeonTransportTest extends TransportContract {
 *     protected Transport transport() {
 *         return new CarrierPigeonProvider().create(Options.NONE);
 *     }
 *
 *     protected URI bindAddress() {
 *         return URI.create("pigeon://127.0.0.1:0");
 *     }
 * }
 * }</pre>
 */
public abstract class TransportContract {

    private static final Token TOKEN = Token.of("the-token-of-this-contract-0123456789");

    private final RecordingSlaveService service = new RecordingSlaveService();
    private final List<AutoCloseable> opened = new ArrayList<>();
    private @Nullable Transport transport;
    private Transport.@Nullable Binding binding;

    /** For subclasses. */
    protected TransportContract() {}

    /** Makes the transport under test; the contract closes it. Called once for each test. */
    protected abstract Transport transport();

    /** Returns the address to serve at, of this machine; its port 0 or the like, so that tests do not collide. */
    protected abstract URI bindAddress();

    /** Serves the recording service. */
    @BeforeEach
    protected void serve() {
        Transport made = transport();
        transport = made;
        binding = made.serve(service, bindAddress(), new ServerSecurity(TOKEN));
    }

    /** Closes whatever a test left open. */
    @AfterEach
    protected void closeEverything() throws Exception {
        for (AutoCloseable resource : opened) {
            resource.close();
        }
        made().close();
    }

    @Test
    void health_arrives_with_every_field() throws Exception {
        assertThat(get(client().health())).isEqualTo(RecordingSlaveService.sampleHealth());
    }

    @Test
    void health_of_an_original_slave_arrives() throws Exception {
        Health original = new Health(
                Health.HEALTHY,
                "3.9.2",
                Map.of("python", true),
                new VersionInfo("0123456789abcdef0123456789abcdef01234567", "1.0.0", "main", false),
                Optional.empty(),
                false,
                Optional.empty());
        service.healthy(original);

        assertThat(get(client().health())).isEqualTo(original);
    }

    @Test
    void health_shows_what_has_changed_since() throws Exception {
        SlaveClient client = client();
        Health before = get(client.health());
        Health after = new Health(
                before.status(),
                before.pythonVersion(),
                before.executionMethods(),
                before.version(),
                before.bootId(),
                false,
                before.slots());
        service.healthy(after);

        assertThat(get(client.health())).isEqualTo(after).isNotEqualTo(before);
    }

    @Test
    void version_arrives_with_every_field() throws Exception {
        assertThat(get(client().version()))
                .isEqualTo(RecordingSlaveService.sampleHealth().version());
    }

    @Test
    void an_invocation_arrives_with_every_field() throws Exception {
        Invocation sent = Invocation.builder("ruby", "puts 'ž'\n")
                .args(List.of("a b", "", "-x", "ü"))
                .workingDir("/srv/a dir")
                .env(Map.of("A", "1", "B", "two\nlines"))
                .stdin("line 1\nline 2\u0000\u2028")
                .requirements(List.of("numpy==1.26.4", "requests"))
                .image("python:3.12-slim")
                .limits(new Limits(
                        OptionalLong.of(1L << 33),
                        Optional.of(Duration.ofMillis(2500)),
                        OptionalLong.of(17),
                        OptionalLong.of(0),
                        OptionalLong.of(5_000_000_000L)))
                .timeout(Duration.ofMillis(1250))
                .method("venv")
                .minIsolation(Isolation.PROCESS)
                .build();

        get(execute(client(), sent));

        assertThat(service.takeCall().invocation()).isEqualTo(sent);
    }

    @Test
    void an_invocation_with_nothing_but_its_source_arrives() throws Exception {
        Invocation sent = Invocation.python("print(55)").build();

        get(execute(client(), sent));

        assertThat(service.takeCall().invocation()).isEqualTo(sent);
    }

    @Test
    void a_result_arrives_with_every_field() throws Exception {
        Invocation sent = Invocation.python("import sys").build();
        TaskResult result = new TaskResult(
                sent.taskId(),
                "docker",
                Termination.exited(3),
                Output.of("abc".getBytes(java.nio.charset.StandardCharsets.UTF_8), 1_000_000_000_000L),
                Output.of("Traceback\n"),
                Optional.of("0123456789abcdef0123456789abcdef01234567"),
                Optional.of(
                        new Usage(Duration.ofMillis(1500), Duration.ofMillis(700), Duration.ofMillis(31), 1L << 34)),
                Optional.of(new Timing(Duration.ofMillis(1), Duration.ofMillis(20), Duration.ofMillis(300))),
                Optional.of(new ExecutorInfo(false, List.of("pid_ns", "rlimits"), Optional.of("3.13.0"))),
                List.of(new Rejection("venv", "no venv: \"/x\"\nand more")),
                2);
        service.answering(invocation -> CompletableFuture.completedFuture(result));

        assertThat(get(execute(client(), sent))).isEqualTo(result);
    }

    @Test
    void a_signal_arrives_as_a_signal() throws Exception {
        service.answering(invocation ->
                CompletableFuture.completedFuture(ended(invocation, Termination.signaled(9), Output.EMPTY)));

        assertThat(get(execute(client(), python("x"))).termination()).isEqualTo(Termination.signaled(9));
    }

    @Test
    void a_failed_task_is_a_result() throws Exception {
        service.answering(invocation -> CompletableFuture.completedFuture(
                ended(invocation, Termination.of(Termination.Status.TIMEOUT), Output.of("so far\n"))));

        TaskResult result = get(execute(client(), python("x")));

        assertThat(result.success()).isFalse();
        assertThat(result.termination().status()).isEqualTo(Termination.Status.TIMEOUT);
        assertThat(result.output()).isEqualTo("so far\n");
    }

    @Test
    void output_that_is_not_utf_8_arrives_byte_for_byte() throws Exception {
        byte[] bytes = new byte[512];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) i;
        }
        service.answering(invocation ->
                CompletableFuture.completedFuture(RecordingSlaveService.result(invocation, Output.of(bytes))));

        assertThat(get(execute(client(), python("x"))).stdout().bytes()).isEqualTo(bytes);
    }

    @Test
    void a_megabyte_and_every_kind_of_character_arrive_unchanged() throws Exception {
        String text = "zażółć \uD83D\uDC0D \u0001\u2028\"\\ \r\n".repeat(50_000);
        SlaveClient client = client();

        TaskResult result = get(execute(client, python(text)));

        assertThat(service.takeCall().invocation().source()).isEqualTo(text);
        assertThat(result.output()).isEqualTo(text);
    }

    @Test
    void many_calls_at_one_time_are_not_mixed_up() throws Exception {
        service.hanging();
        SlaveClient client = client();
        List<CompletableFuture<TaskResult>> answers = new ArrayList<>();
        for (int i = 0; i < 24; i++) {
            answers.add(execute(client, python("task " + i)));
        }
        List<RecordingSlaveService.Call> calls = new ArrayList<>();
        for (int i = 0; i < 24; i++) {
            calls.add(service.takeCall());
        }
        for (RecordingSlaveService.Call call : calls) {
            call.answer().complete(RecordingSlaveService.echo(call.invocation()));
        }

        for (int i = 0; i < 24; i++) {
            assertThat(get(answers.get(i)).output()).isEqualTo("task " + i);
        }
    }

    @Test
    void calls_one_after_the_other_work() throws Exception {
        SlaveClient client = client();

        for (int i = 0; i < 20; i++) {
            assertThat(get(execute(client, python("task " + i))).output()).isEqualTo("task " + i);
            assertThat(get(client.health()).status()).isEqualTo(Health.HEALTHY);
        }
    }

    @Test
    void another_token_is_refused_before_the_service_hears_of_it() throws Exception {
        for (String token : List.of(
                "another-token-altogether-0123456789",
                TOKEN.reveal().substring(1),
                TOKEN.reveal().substring(0, TOKEN.reveal().length() - 1),
                TOKEN.reveal() + "0",
                TOKEN.reveal().toUpperCase(Locale.ROOT),
                "t")) {
            SlaveClient client = keep(made().connect(bound().uri(), new Credentials(Token.of(token))));

            assertThat(failure(execute(client, python("x")))).isInstanceOf(UnauthorizedException.class);
            assertThat(failure(execute(client, python("x".repeat(300_000))))).isInstanceOf(UnauthorizedException.class);
            assertThat(get(client.health()).status()).isEqualTo(Health.HEALTHY);
        }
        assertThat(service.callsLeft()).isZero();
    }

    @Test
    void no_message_names_the_token() throws Exception {
        Token wrong = Token.of("a-wrong-token-that-must-not-be-shown");
        SlaveClient client = keep(made().connect(bound().uri(), new Credentials(wrong)));

        assertThat(failure(execute(client, python("x"))).toString())
                .doesNotContain(wrong.reveal())
                .doesNotContain(TOKEN.reveal());
    }

    @Test
    void a_full_queue_arrives_as_such() throws Exception {
        service.answering(invocation -> CompletableFuture.failedFuture(new SlaveRefusedException(
                SlaveRefusedException.Reason.QUEUE_FULL, Duration.ofSeconds(7), "16 tasks wait already")));

        SlaveRefusedException refused = refusal();

        assertThat(refused.reason()).isEqualTo(SlaveRefusedException.Reason.QUEUE_FULL);
        assertThat(refused.retryAfter()).isEqualTo(Duration.ofSeconds(7));
        assertThat(refused).hasMessageContaining("16 tasks wait already");
    }

    @Test
    void draining_arrives_as_such_and_its_wait_is_never_shortened() throws Exception {
        service.answering(invocation -> CompletableFuture.failedFuture(
                new SlaveRefusedException(SlaveRefusedException.Reason.DRAINING, Duration.ofMillis(1001), "stopping")));

        SlaveRefusedException refused = refusal();

        assertThat(refused.reason()).isEqualTo(SlaveRefusedException.Reason.DRAINING);
        assertThat(refused.retryAfter()).isBetween(Duration.ofMillis(1001), Duration.ofSeconds(2));
        assertThat(refused.retrySafe()).isTrue();
    }

    @Test
    void a_missing_executor_arrives_as_such() throws Exception {
        service.answering(invocation ->
                CompletableFuture.failedFuture(new NoExecutorException("docker: not installed; venv: no venv")));

        assertThat(failure(execute(client(), python("x"))))
                .isInstanceOf(NoExecutorException.class)
                .hasMessageContaining("docker: not installed; venv: no venv");
    }

    @Test
    void an_invalid_task_arrives_as_such() throws Exception {
        service.answering(invocation ->
                CompletableFuture.failedFuture(new InvalidTaskException("timeout", "7200 (expected: at most 3600)")));

        assertThat(failure(execute(client(), python("x"))))
                .isInstanceOf(InvalidTaskException.class)
                .hasMessageContaining("timeout: 7200 (expected: at most 3600)");
    }

    @Test
    void what_the_service_throws_counts_like_what_its_future_fails_with() throws Exception {
        service.answering(invocation -> {
            throw new InvalidTaskException("timeout", "thrown");
        });

        assertThat(failure(execute(client(), python("x"))))
                .isInstanceOf(InvalidTaskException.class)
                .hasMessageContaining("timeout: thrown");
    }

    @Test
    void a_fault_of_the_slaves_own_says_nothing_about_its_insides() throws Exception {
        service.answering(invocation ->
                CompletableFuture.failedFuture(new IllegalStateException("password=hunter2 at /etc/shadow")));

        Throwable failure = failure(execute(client(), python("x")));

        assertThat(failure)
                .isInstanceOfSatisfying(
                        UnknownOutcomeException.class,
                        unknown -> assertThat(unknown.reason()).isEqualTo(UnknownOutcomeException.Reason.SLAVE_ERROR));
        assertThat(failure.toString()).doesNotContain("hunter2").doesNotContain("IllegalState");
    }

    @Test
    void cancelling_a_call_cancels_it_at_the_slave() throws Exception {
        service.hanging();
        SlaveClient client = client();
        CompletableFuture<TaskResult> answer = execute(client, python("x"));
        RecordingSlaveService.Call call = service.takeCall();

        answer.cancel(true);

        assertCancelled(call);
        assertThat(get(client.health()).status()).isEqualTo(Health.HEALTHY);
    }

    @Test
    void closing_the_client_fails_its_calls_and_cancels_them_at_the_slave() throws Exception {
        service.hanging();
        SlaveClient client = client();
        CompletableFuture<TaskResult> answer = execute(client, python("x"));
        RecordingSlaveService.Call call = service.takeCall();

        client.close();

        assertThat(failure(answer))
                .isInstanceOfSatisfying(
                        UnknownOutcomeException.class,
                        unknown ->
                                assertThat(unknown.reason()).isEqualTo(UnknownOutcomeException.Reason.CONNECTION_LOST));
        assertCancelled(call);
        client.close();
        assertThat(failure(execute(client, python("y")))).isInstanceOf(SlaveUnreachableException.class);
    }

    @Test
    void a_slave_that_goes_away_in_the_middle_leaves_the_outcome_unknown() throws Exception {
        service.hanging();
        Transport elsewhere = keep(transport());
        SlaveClient client = keep(elsewhere.connect(bound().uri(), new Credentials(TOKEN)));
        CompletableFuture<TaskResult> answer = execute(client, python("x"));
        RecordingSlaveService.Call call = service.takeCall();

        made().close();

        assertThat(failure(answer))
                .isInstanceOfSatisfying(
                        UnknownOutcomeException.class,
                        unknown ->
                                assertThat(unknown.reason()).isEqualTo(UnknownOutcomeException.Reason.CONNECTION_LOST));
        assertCancelled(call);
    }

    @Test
    void where_nobody_listens_there_is_no_slave() throws Exception {
        URI address = bound().uri();
        bound().closeAsync().get(RecordingSlaveService.PATIENCE_SECONDS, TimeUnit.SECONDS);
        SlaveClient client = client(address);

        assertThat(failure(client.health())).isInstanceOf(SlaveUnreachableException.class);
        assertThat(failure(execute(client, python("x"))))
                .isInstanceOf(SlaveUnreachableException.class)
                .hasMessageContaining(address.toString());
    }

    @Test
    void the_binding_tells_its_real_address() {
        assertThat(bound().uri().getScheme()).isEqualTo(bindAddress().getScheme());
        assertThat(bound().uri()).isNotEqualTo(bindAddress());
    }

    @Test
    void an_address_that_is_taken_is_an_error_that_says_so() {
        assertThatThrownBy(() -> made().serve(service, bound().uri(), new ServerSecurity(TOKEN)))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining(bound().uri().toString());
    }

    @Test
    void closing_the_binding_lets_a_call_under_way_finish() throws Exception {
        service.hanging();
        SlaveClient client = client();
        CompletableFuture<TaskResult> answer = execute(client, python("x"));
        RecordingSlaveService.Call call = service.takeCall();

        CompletableFuture<Void> closed = bound().closeAsync();

        assertThat(closed).isNotDone();
        call.answer().complete(RecordingSlaveService.echo(call.invocation()));
        assertThat(get(answer).output()).isEqualTo("x");
        get(closed);
        assertThat(failure(execute(client, python("y")))).isInstanceOf(SlaveUnreachableException.class);
    }

    @Test
    void closing_twice_is_harmless() throws Exception {
        get(client().health());
        get(bound().closeAsync());
        get(bound().closeAsync());
        bound().close();
        made().close();
        made().close();
    }

    @Test
    void a_task_that_takes_long_does_not_delay_health() throws Exception {
        service.hanging();
        SlaveClient client = client();
        CompletableFuture<TaskResult> answer = execute(client, python("x"));
        RecordingSlaveService.Call call = service.takeCall();

        assertThat(get(client.health()).status()).isEqualTo(Health.HEALTHY);
        assertThat(get(client.version()).version()).isEqualTo("1.0.0");
        assertThat(answer).isNotDone();
        call.answer().complete(RecordingSlaveService.echo(call.invocation()));
        get(answer);
    }

    @Test
    void two_transports_in_one_process_do_not_know_each_other() throws Exception {
        RecordingSlaveService second = new RecordingSlaveService();
        Transport other = keep(transport());
        Transport.Binding theirs = other.serve(second, bindAddress(), new ServerSecurity(TOKEN));

        get(execute(client(theirs.uri()), python("x")));

        assertThat(second.callsLeft()).isOne();
        assertThat(service.callsLeft()).isZero();
    }

    private SlaveRefusedException refusal() throws Exception {
        Throwable failure = failure(execute(client(), python("x")));
        assertThat(failure).isInstanceOf(SlaveRefusedException.class);
        return (SlaveRefusedException) failure;
    }

    private SlaveClient client() {
        return client(bound().uri());
    }

    private SlaveClient client(URI address) {
        return keep(made().connect(address, new Credentials(TOKEN)));
    }

    private <T extends AutoCloseable> T keep(T resource) {
        opened.add(resource);
        return resource;
    }

    private Transport made() {
        if (transport == null) {
            throw new IllegalStateException("no test is running");
        }
        return transport;
    }

    private Transport.Binding bound() {
        if (binding == null) {
            throw new IllegalStateException("no test is running");
        }
        return binding;
    }

    private static Invocation python(String source) {
        return Invocation.python(source).build();
    }

    private static CompletableFuture<TaskResult> execute(SlaveClient client, Invocation invocation) {
        return client.execute(invocation, ExecutionListener.NONE);
    }

    private static TaskResult ended(Invocation invocation, Termination termination, Output stdout) {
        return new TaskResult(
                invocation.taskId(),
                "python",
                termination,
                stdout,
                Output.EMPTY,
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                List.of(),
                0);
    }

    private static void assertCancelled(RecordingSlaveService.Call call) {
        assertThat(catchThrowable(() -> call.answer().get(RecordingSlaveService.PATIENCE_SECONDS, TimeUnit.SECONDS)))
                .isInstanceOf(CancellationException.class);
    }

    private static <T> T get(CompletableFuture<T> future)
            throws InterruptedException, ExecutionException, TimeoutException {
        return future.get(RecordingSlaveService.PATIENCE_SECONDS, TimeUnit.SECONDS);
    }

    private static Throwable failure(CompletableFuture<?> future) throws InterruptedException, TimeoutException {
        try {
            Object value = get(future);
            throw new AssertionError("expected a failure, got " + value);
        } catch (ExecutionException e) {
            return e.getCause() == null ? e : e.getCause();
        }
    }
}
