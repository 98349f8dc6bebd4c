package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.d8.ConfigurationException;
import dev.d8.D8Exception;
import dev.d8.Grant;
import dev.d8.Health;
import dev.d8.Scope;
import dev.d8.SlaveRefusedException;
import dev.d8.SlaveUpdate;
import dev.d8.Task;
import dev.d8.Token;
import dev.d8.UnknownOutcomeException;
import dev.d8.UpdateRefusedException;
import dev.d8.VersionInfo;
import dev.d8.VersionMismatchException;
import dev.d8.master.Slave;
import dev.d8.master.SlaveManager;
import dev.d8.master.SlaveStatus;
import dev.d8.master.VersionPolicy;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.Transport;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.slf4j.LoggerFactory;

/** What a master does about slaves that run another commit, when it is to have them update themselves. */
@Timeout(60)
class FleetUpdateTest {

    private static final String OLD = "0123456789abcdef0123456789abcdef01234567";
    private static final String NEW = "fedcba9876543210fedcba9876543210fedcba98";
    private static final Token TOKEN = Token.of("the-token");

    private final FakeTime time = new FakeTime();
    private final InMemoryTransport transport = new InMemoryTransport();
    private final List<String> changes = new ArrayList<>();
    private final ListAppender<ILoggingEvent> log = new ListAppender<>();
    private @Nullable SlaveManager manager;

    @BeforeEach
    void listen() {
        log.start();
        logger().addAppender(log);
    }

    @AfterEach
    void close() {
        logger().detachAppender(log);
        if (manager != null) {
            manager.close();
        }
    }

    private static Logger logger() {
        return (Logger) LoggerFactory.getLogger("dev.d8.master.FleetUpdate");
    }

    private SlaveManager master(VersionInfo version, UnaryOperator<SlaveManager.Builder> more) {
        SlaveManager made = more.apply(SlaveManager.builder()
                        .transport(transport)
                        .token(TOKEN)
                        .version(() -> Optional.of(version))
                        .versionPolicy(VersionPolicy.UPDATE)
                        .time(time)
                        .random(new Random(7))
                        .callbackExecutor(Runnable::run)
                        .listener((before, after) ->
                                changes.add(after.id() + " " + before.status() + " -> " + after.status())))
                .build();
        manager = made;
        return made;
    }

    private SlaveManager master() {
        return master(new VersionInfo(NEW, "1.0.0", "main", false), builder -> builder);
    }

    /** A slave's machine: what it is asked, and the process on it. */
    private final class Machine {
        final RecordingSlaveService service = new RecordingSlaveService();
        final List<String> asked = new ArrayList<>();
        final URI address;
        private Transport.@Nullable Binding binding;
        private int boot;

        Machine(String name) {
            address = URI.create("memory://" + name + ":1");
            service.updating(commit -> {
                asked.add(commit);
                return CompletableFuture.completedFuture(new SlaveUpdate(OLD, commit));
            });
            start(OLD);
        }

        void start(String commit) {
            boot++;
            tell(commit, Optional.of("boot-" + boot), false);
            binding = transport.serve(
                    service, address, new ServerSecurity(() -> List.of(new Grant("master", TOKEN, Scope.ADMIN))));
        }

        void tell(String commit, Optional<String> bootId, boolean draining) {
            Health well = RecordingSlaveService.health(commit);
            service.healthy(new Health(
                    well.status(),
                    well.pythonVersion(),
                    well.executionMethods(),
                    well.version(),
                    bootId,
                    draining,
                    well.slots()));
        }

        void stop() {
            if (binding != null) {
                binding.closeAsync().join();
            }
        }

        void answering(D8Exception refusal) {
            service.updating(commit -> {
                asked.add(commit);
                return CompletableFuture.failedFuture(refusal);
            });
        }
    }

    private Slave register(SlaveManager master, Machine machine) {
        CompletableFuture<Slave> slave = master.register(machine.address.getHost(), machine.address);
        time.advance(Duration.ofSeconds(1));
        return slave.join();
    }

    private static Slave slave(SlaveManager master, Machine machine) {
        return master.slave(machine.address.getHost()).orElseThrow();
    }

    private List<String> logged() {
        return log.list.stream().map(ILoggingEvent::getFormattedMessage).toList();
    }

    @Test
    void a_slave_that_runs_another_commit_is_asked_once_and_is_alive_when_it_is_back_with_the_right_one() {
        Machine pi = new Machine("pi");
        SlaveManager master = master();
        Slave first = register(master, pi);
        assertThat(first.status()).isEqualTo(SlaveStatus.VERSION_MISMATCH);
        assertThat(first.reason())
                .isEqualTo("it runs commit 0123456789ab, the master commit fedcba987654; it is asked to update itself");
        assertThat(master.execute("pi", Task.python("print(55)")))
                .isCompletedExceptionally()
                .satisfies(
                        call -> assertThat(call.handle((value, error) -> error).join())
                                .isInstanceOf(VersionMismatchException.class));
        pi.tell(OLD, Optional.of("boot-1"), true);
        time.advance(Duration.ofSeconds(6));
        pi.stop();
        time.advance(Duration.ofSeconds(60));
        pi.start(NEW);
        time.advance(Duration.ofSeconds(15));
        assertThat(slave(master, pi).status()).isEqualTo(SlaveStatus.ALIVE);
        assertThat(slave(master, pi).reason()).isEqualTo("it answers");
        time.advance(Duration.ofHours(3));
        assertThat(pi.asked).containsExactly(NEW);
        assertThat(changes)
                .containsExactly(
                        "pi UNKNOWN -> VERSION_MISMATCH",
                        "pi VERSION_MISMATCH -> DRAINING",
                        "pi DRAINING -> DEAD",
                        "pi DEAD -> ALIVE");
        assertThat(logged()).containsExactly("slave pi: updated itself from " + OLD + " to " + NEW);
    }

    @Test
    void one_slave_is_updated_after_the_other() {
        Machine a = new Machine("a");
        Machine b = new Machine("b");
        SlaveManager master = master();
        register(master, a);
        assertThat(register(master, b).reason()).endsWith("; it will be asked to update itself in its turn");
        time.advance(Duration.ofMinutes(5));
        assertThat(b.asked).isEmpty();
        a.stop();
        a.start(NEW);
        time.advance(Duration.ofSeconds(45));
        assertThat(slave(master, a).status()).isEqualTo(SlaveStatus.ALIVE);
        assertThat(b.asked).containsExactly(NEW);
        assertThat(a.asked).hasSize(1);
    }

    @Test
    void several_at_a_time_where_that_is_wanted() {
        List<Machine> machines = List.of(new Machine("a"), new Machine("b"), new Machine("c"));
        SlaveManager master = master(new VersionInfo(NEW, "1.0.0", "main", false), builder -> builder.updatesAtOnce(2));
        machines.forEach(machine -> register(master, machine));
        time.advance(Duration.ofMinutes(2));
        assertThat(machines.stream().mapToInt(machine -> machine.asked.size()).sum())
                .isEqualTo(2);
        assertThatThrownBy(() -> SlaveManager.builder().updatesAtOnce(0))
                .isInstanceOf(ConfigurationException.class)
                .hasMessage("updatesAtOnce: 0 (expected: 1 or more)");
    }

    @Test
    void a_slave_that_refuses_is_told_with_its_reason_and_asked_again_after_an_hour() {
        Machine pi = new Machine("pi");
        pi.answering(new UpdateRefusedException(UpdateRefusedException.Reason.IMPOSSIBLE, "it is dirty"));
        SlaveManager master = master();
        register(master, pi);
        time.advance(Duration.ofMinutes(55));
        assertThat(slave(master, pi).reason()).endsWith("; it does not update itself: it is dirty");
        assertThat(pi.asked).hasSize(1);
        time.advance(Duration.ofMinutes(6));
        assertThat(pi.asked).hasSize(2);
        assertThat(changes.size()).isLessThan(6); // Not one for each check.
    }

    @Test
    void a_slave_that_refuses_holds_no_other_one_up() {
        Machine a = new Machine("a");
        a.answering(new UpdateRefusedException(UpdateRefusedException.Reason.OFF, "off"));
        Machine b = new Machine("b");
        SlaveManager master = master();
        register(master, a);
        register(master, b);
        assertThat(b.asked).hasSize(1);
    }

    @Test
    void a_busy_slave_is_asked_again_soon_and_lets_others_go_first() {
        Machine a = new Machine("a");
        a.answering(new SlaveRefusedException(
                SlaveRefusedException.Reason.QUEUE_FULL, Duration.ofSeconds(30), "busy: 1 tasks run or wait"));
        Machine b = new Machine("b");
        SlaveManager master = master();
        assertThat(register(master, a).reason()).endsWith("; it is asked to update itself again once it is idle");
        register(master, b);
        assertThat(b.asked).hasSize(1);
        b.stop();
        b.start(NEW);
        time.advance(Duration.ofMinutes(10));
        assertThat(a.asked.size()).isBetween(5, 11);
    }

    @Test
    void a_slave_that_comes_back_without_it_is_not_asked_for_an_hour_and_no_other_one_either() {
        Machine a = new Machine("a");
        Machine b = new Machine("b");
        SlaveManager master = master();
        register(master, a);
        register(master, b);
        a.stop();
        a.start(OLD);
        time.advance(Duration.ofMinutes(50));
        assertThat(slave(master, a).status()).isEqualTo(SlaveStatus.VERSION_MISMATCH);
        assertThat(slave(master, a).reason()).endsWith("; it was asked to update itself, and came back without it");
        assertThat(slave(master, b).reason())
                .endsWith("; it is not asked to update itself yet, since a did not come back from it");
        assertThat(a.asked).hasSize(1);
        assertThat(b.asked).isEmpty();
        assertThat(logged())
                .containsExactly("slave a did not come back from its update from " + OLD + " to " + NEW
                        + "; no other one is asked for 60 min");
        time.advance(Duration.ofMinutes(15));
        assertThat(a.asked.size() + b.asked.size()).isEqualTo(2);
    }

    @Test
    void a_slave_that_stays_away_is_dead_and_says_why_and_the_others_go_on_once_it_is_back() {
        Machine a = new Machine("a");
        Machine b = new Machine("b");
        SlaveManager master = master();
        register(master, a);
        register(master, b);
        a.stop();
        time.advance(Duration.ofMinutes(9));
        assertThat(logged()).isEmpty();
        time.advance(Duration.ofMinutes(2));
        assertThat(slave(master, a).status()).isEqualTo(SlaveStatus.DEAD);
        assertThat(slave(master, a).reason())
                .startsWith("cannot reach ")
                .endsWith("; it was asked to update itself, and did not come back with it within 10 min");
        assertThat(logged()).hasSize(1);
        assertThat(b.asked).isEmpty();
        a.start(NEW);
        time.advance(Duration.ofMinutes(2));
        assertThat(slave(master, a).status()).isEqualTo(SlaveStatus.ALIVE);
        assertThat(b.asked).hasSize(1);
    }

    @Test
    void a_slave_that_says_yes_and_goes_on_as_before_is_told_after_ten_minutes() {
        Machine pi = new Machine("pi");
        SlaveManager master = master();
        register(master, pi);
        time.advance(Duration.ofMinutes(11));
        assertThat(slave(master, pi).status()).isEqualTo(SlaveStatus.VERSION_MISMATCH);
        assertThat(slave(master, pi).reason()).endsWith("did not come back with it within 10 min");
        assertThat(pi.asked).hasSize(1);
    }

    @Test
    void an_answer_that_is_lost_is_waited_for_as_a_yes() {
        Machine pi = new Machine("pi");
        pi.answering(new UnknownOutcomeException(UnknownOutcomeException.Reason.CONNECTION_LOST, "lost", null));
        SlaveManager master = master();
        register(master, pi);
        pi.stop();
        pi.start(NEW);
        time.advance(Duration.ofSeconds(6));
        assertThat(slave(master, pi).status()).isEqualTo(SlaveStatus.ALIVE);
    }

    @Test
    void a_master_with_uncommitted_changes_or_without_a_full_commit_asks_nobody_and_says_so() {
        Machine pi = new Machine("pi");
        try (SlaveManager dirty = master(new VersionInfo(NEW, "1.0.0", "main", true), builder -> builder)) {
            assertThat(register(dirty, pi).reason()).endsWith("since the master has uncommitted changes");
        }
        for (String commit : List.of(VersionInfo.UNKNOWN, "fedcba9", "release-1")) {
            FakeTime own = new FakeTime();
            try (SlaveManager other =
                    master(new VersionInfo(commit, "1.0.0", "main", false), builder -> builder.time(own))) {
                Slave slave = other.register("pi", pi.address).join();
                assertThat(slave.status()).isEqualTo(SlaveStatus.VERSION_MISMATCH);
                assertThat(slave.reason()).endsWith("since the master's own commit is no full hash");
            }
        }
        assertThat(pi.asked).isEmpty();
    }

    @Test
    void a_slave_of_the_original_protocol_is_not_asked() {
        Machine pi = new Machine("pi");
        pi.tell(OLD, Optional.empty(), false);
        assertThat(register(master(), pi).reason())
                .endsWith("; it cannot update itself: it speaks the original protocol");
        assertThat(pi.asked).isEmpty();
    }

    @Test
    void no_other_policy_asks() {
        for (VersionPolicy policy : List.of(VersionPolicy.REFUSE, VersionPolicy.WARN, VersionPolicy.IGNORE)) {
            Machine pi = new Machine("pi-" + policy.name().toLowerCase(java.util.Locale.ROOT));
            FakeTime own = new FakeTime();
            try (SlaveManager other = master(
                    new VersionInfo(NEW, "1.0.0", "main", false),
                    builder -> builder.versionPolicy(policy).time(own))) {
                other.register("pi", pi.address).join();
                own.advance(Duration.ofMinutes(5));
            }
            assertThat(pi.asked).isEmpty();
        }
    }

    @Test
    void a_slave_that_is_unregistered_meanwhile_is_forgotten_and_leaves_its_turn_to_others() {
        Machine a = new Machine("a");
        Machine b = new Machine("b");
        SlaveManager master = master();
        register(master, a);
        master.unregister("a");
        time.advance(Duration.ofMinutes(1));
        assertThat(time.pending()).isZero();
        register(master, b);
        assertThat(b.asked).hasSize(1);
    }
}
