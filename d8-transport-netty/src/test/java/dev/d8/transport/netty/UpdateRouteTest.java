package dev.d8.transport.netty;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Grant;
import dev.d8.ProtocolException;
import dev.d8.Scope;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveUpdate;
import dev.d8.Token;
import dev.d8.UnauthorizedException;
import dev.d8.UpdateRefusedException;
import dev.d8.slave.SlaveServer;
import dev.d8.spi.Credentials;
import dev.d8.spi.Options;
import dev.d8.spi.SlaveClient;
import dev.d8.spi.Transport;
import dev.d8.testkit.GatedExecutor;
import dev.d8.version.Checkout;
import dev.d8.version.VersionProvider;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import org.eclipse.jgit.api.Git;
import org.eclipse.jgit.api.errors.GitAPIException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A slave that stands in a clone of a real repository and may update itself, on a real socket. */
@Timeout(60)
@ExtendWith({NoLeaks.class, QuietLog.class})
class UpdateRouteTest {

    private static final Token ADMIN = Token.of("the-token-of-an-admin-0123456789abcdef");
    private static final String ADMINISTERS = "Authorization: Bearer " + ADMIN.reveal() + "\r\n";
    private static final List<Grant> GRANTS =
            List.of(Grant.everything(Slave.TOKEN), new Grant("boss", ADMIN, Scope.ADMIN));
    private static final String TASK = "{\"command\":\"print(55)\"}";

    @TempDir
    Path dir;

    private final GatedExecutor gate = new GatedExecutor();
    private final Transport transport = new NettyTransportProvider().create(Options.NONE);
    private final List<String> audit = new CopyOnWriteArrayList<>();
    private final CompletableFuture<String> restarted = new CompletableFuture<>();
    private final List<SlaveServer> slaves = new CopyOnWriteArrayList<>();
    private String before = "";
    private String after = "";

    @BeforeEach
    void makeRepositories() throws Exception {
        try (Git origin = Git.init()
                .setDirectory(dir.resolve("origin").toFile())
                .setInitialBranch("main")
                .call()) {
            before = commit(origin, "one");
            Git.cloneRepository()
                    .setURI(dir.resolve("origin").toUri().toString())
                    .setDirectory(dir.resolve("clone").toFile())
                    .call()
                    .close();
            after = commit(origin, "two");
        }
    }

    @AfterEach
    void close() {
        gate.letGo(1000);
        slaves.forEach(SlaveServer::close);
        transport.close();
    }

    private String commit(Git git, String text) throws IOException, GitAPIException {
        Files.writeString(git.getRepository().getWorkTree().toPath().resolve("code.txt"), text);
        git.add().addFilepattern(".").call();
        return git.commit()
                .setMessage(text)
                .setAuthor("a", "a@example.org")
                .setCommitter("a", "a@example.org")
                .setSign(false)
                .call()
                .name();
    }

    private SlaveServer slave(UnaryOperator<SlaveServer.Builder> more) {
        SlaveServer slave = more.apply(SlaveServer.builder()
                        .port(0)
                        .grants(() -> GRANTS)
                        .transport(transport)
                        .version(VersionProvider.git(dir.resolve("clone")))
                        .audit(audit::add)
                        .executor(gate)
                        .executors(List.of("gated")))
                .start();
        slaves.add(slave);
        return slave;
    }

    private SlaveServer updating() {
        return slave(builder -> builder.allowUpdate(
                Checkout.of(dir.resolve("clone")),
                () -> restarted.complete(Thread.currentThread().getName())));
    }

    private static RawConnection.Reply update(SlaveServer slave, String authorization, String commit)
            throws IOException {
        return ask(slave, "/api/update", authorization, "{\"commit\":\"" + commit + "\"}");
    }

    private static RawConnection.Reply ask(SlaveServer slave, String path, String authorization, String body)
            throws IOException {
        return Asking.ask(slave.uri(), "POST", path, authorization, body);
    }

    private String code() throws IOException {
        return Files.readString(dir.resolve("clone/code.txt"));
    }

    private List<String> told(String event) {
        return audit.stream()
                .filter(line -> line.contains("\"event\":\"" + event + "\""))
                .toList();
    }

    @Test
    void it_is_brought_to_the_commit_answers_and_is_started_anew() throws Exception {
        SlaveServer slave = updating();
        RawConnection.Reply reply = update(slave, ADMINISTERS, after);
        assertThat(reply.status()).isEqualTo(202);
        assertThat(reply.body()).isEqualTo("{\"from\":\"" + before + "\",\"to\":\"" + after + "\"}");
        assertThat(restarted.get(30, TimeUnit.SECONDS)).startsWith("d8-");
        assertThat(code()).isEqualTo("two");

        assertThat(ask(slave, "/api/execute", ADMINISTERS, TASK).status()).isEqualTo(503);
        assertThat(Asking.ask(slave.uri(), "GET", "/api/health", "", "").body())
                .contains("\"draining\":true", "\"commit\":\"" + before + "\"");
        RawConnection.Reply again = update(slave, ADMINISTERS, after);
        assertThat(again.status()).isEqualTo(503);
        assertThat(again.headers()).containsEntry("retry-after", "1");
        assertThat(told("update"))
                .singleElement()
                .asString()
                .contains("\"caller\":\"boss\"", "\"address\":\"127.0.0.1\"", "\"commit\":\"" + after + "\"");
    }

    @Test
    void the_commit_that_it_runs_is_200_and_changes_nothing() throws Exception {
        RawConnection.Reply reply = update(updating(), ADMINISTERS, before);
        assertThat(reply.status()).isEqualTo(200);
        assertThat(reply.body()).isEqualTo("{\"from\":\"" + before + "\",\"to\":\"" + before + "\"}");
        assertThat(restarted).isNotDone();
        assertThat(told("update")).isEmpty();
    }

    @Test
    void a_checkout_that_is_at_the_commit_already_needs_only_a_new_start() throws Exception {
        SlaveServer slave = updating();
        Checkout byHand = Checkout.of(dir.resolve("clone"));
        byHand.fetch(after);
        byHand.fastForward(after);
        assertThat(update(slave, ADMINISTERS, after).status()).isEqualTo(202);
        restarted.get(30, TimeUnit.SECONDS);
    }

    @Test
    void a_token_without_the_scope_admin_is_403_whatever_else_it_may() throws Exception {
        RawConnection.Reply reply = update(updating(), Slave.AUTHORIZATION, after);
        assertThat(reply.status()).isEqualTo(403);
        assertThat(reply.body()).contains("its scope is not admin");
        assertThat(code()).isEqualTo("one");
        assertThat(told("turned_away")).singleElement().asString().contains("forbidden");
    }

    @Test
    void a_slave_that_was_not_told_that_it_may_is_403_and_says_so() throws Exception {
        RawConnection.Reply reply = update(slave(builder -> builder), ADMINISTERS, after);
        assertThat(reply.status()).isEqualTo(403);
        assertThat(reply.body()).contains("this slave does not update itself", "--allow-update");
        assertThat(told("update_refused")).singleElement().asString().contains("\"caller\":\"boss\"");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{}",
                "{\"commit\":null}",
                "{\"commit\":7}",
                "{\"commit\":\"main\"}",
                "{\"commit\":\"0123456789abcdef\"}",
                "{\"commit\":\"origin/main\\n\"}",
                "{\"commit\":\"--upload-pack=touch /tmp/x 0123456789abcdef0\"}",
                "[]"
            })
    void what_is_no_hash_is_400(String body) throws Exception {
        RawConnection.Reply reply = ask(updating(), "/api/update", ADMINISTERS, body);
        assertThat(reply.status()).as(reply.body()).isEqualTo(400);
        assertThat(restarted).isNotDone();
    }

    @Test
    void what_the_checkout_cannot_be_brought_to_is_409_with_the_reason_and_the_slave_goes_on() throws Exception {
        SlaveServer slave = updating();
        RawConnection.Reply unknown = update(slave, ADMINISTERS, "0".repeat(40));
        assertThat(unknown.status()).isEqualTo(409);
        assertThat(unknown.body()).contains("origin/main does not have the commit");
        Files.writeString(dir.resolve("clone/code.txt"), "mine");
        RawConnection.Reply dirty = update(slave, ADMINISTERS, after);
        assertThat(dirty.status()).isEqualTo(409);
        assertThat(dirty.body()).contains("uncommitted changes");
        assertThat(told("update_refused")).hasSize(2);

        gate.letGo(1);
        assertThat(ask(slave, "/api/execute", ADMINISTERS, TASK).status()).isEqualTo(200);
        assertThat(restarted).isNotDone();
    }

    @Test
    void while_a_task_runs_it_is_429_and_while_the_slave_stops_503() throws Exception {
        SlaveServer slave = updating();
        assertThat(ask(slave, "/api/tasks", ADMINISTERS, TASK).status()).isEqualTo(202);
        gate.awaitStarted();
        RawConnection.Reply busy = update(slave, ADMINISTERS, after);
        assertThat(busy.status()).isEqualTo(429);
        assertThat(busy.headers()).containsEntry("retry-after", "30").containsEntry("d8-not-started", "true");
        assertThat(busy.body()).contains("busy: 1 tasks run or wait");
        gate.letGo(1);
        slave.drain(Duration.ofSeconds(30));
        assertThat(update(slave, ADMINISTERS, after).status()).isEqualTo(503);
        assertThat(code()).isEqualTo("one");
    }

    @Test
    void a_client_understands_every_answer() throws Exception {
        SlaveServer slave = updating();
        try (SlaveClient client = transport.connect(slave.uri(), new Credentials(ADMIN));
                SlaveClient poor = transport.connect(slave.uri(), new Credentials(Slave.TOKEN))) {
            assertThat(failure(poor.update(after)))
                    .isInstanceOf(UnauthorizedException.class)
                    .hasMessageContaining("its scope is not admin");
            assertThat(failure(client.update("x")))
                    .isInstanceOf(ProtocolException.class)
                    .hasMessageContaining("commit: no full hash");
            assertThat(failure(client.update("0".repeat(40))))
                    .isInstanceOf(UpdateRefusedException.class)
                    .hasMessageContaining("origin/main does not have the commit");
            assertThat(client.update(before).get(30, TimeUnit.SECONDS)).isEqualTo(new SlaveUpdate(before, before));
            assertThat(client.update(after).get(30, TimeUnit.SECONDS)).isEqualTo(new SlaveUpdate(before, after));
            assertThat(failure(client.update(after))).isInstanceOf(SlaveRefusedException.class);
        }
        try (Slave old = new Slave();
                SlaveClient client = old.client()) {
            assertThat(failure(client.update(after))).isInstanceOf(UnauthorizedException.class);
        }
    }

    private static Throwable failure(CompletableFuture<?> future) throws Exception {
        return future.handle((value, error) -> error).get(30, TimeUnit.SECONDS);
    }
}
