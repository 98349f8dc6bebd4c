package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.Task;
import dev.d8.Token;
import dev.d8.VersionInfo;
import dev.d8.master.Slave;
import dev.d8.master.SlaveListener;
import dev.d8.master.SlaveManager;
import dev.d8.master.SlaveStatus;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.Transport;
import dev.d8.version.VersionProvider;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class HealthWatchTest {

    private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";
    private static final Token TOKEN = Token.of("the-token");

    private final FakeTime time = new FakeTime();
    private final InMemoryTransport network = new InMemoryTransport();
    private final CutTransport partitions = new CutTransport(network);
    private final Map<String, Transport.Binding> bindings = new HashMap<>();
    private final List<String> heard = new ArrayList<>();
    private final SlaveManager manager = SlaveManager.builder()
            .transport(partitions)
            .token(TOKEN)
            .version(VersionProvider.of(new VersionInfo(COMMIT, "1.0.0", "main", false)))
            .time(time)
            .random(new Random(7))
            .callbackExecutor(Runnable::run)
            .listener(new SlaveListener() {
                @Override
                public void statusChanged(Slave before, Slave after) {
                    heard.add(after.id() + " " + before.status() + " -> " + after.status());
                }

                @Override
                public void masterCutOff(boolean cutOff, String why) {
                    heard.add((cutOff ? "cut off: " : "back: ") + why);
                }
            })
            .build();

    @AfterEach
    void close() {
        manager.close();
    }

    private void serve(String name) {
        RecordingSlaveService service = new RecordingSlaveService().healthy(RecordingSlaveService.health(COMMIT));
        bindings.put(name, network.serve(service, URI.create("memory://" + name + ":1"), new ServerSecurity(TOKEN)));
    }

    private void stop(String name) {
        Objects.requireNonNull(bindings.remove(name)).close();
    }

    private void register(String name) {
        manager.register(name, URI.create("memory://" + name + ":1"));
    }

    private SlaveStatus status(String name) {
        return manager.slave(name).orElseThrow().status();
    }

    private void letPass(int seconds) {
        time.advance(Duration.ofSeconds(seconds));
    }

    @Test
    void a_slave_that_comes_and_goes_has_to_answer_more_often_each_time() {
        try (SlaveManager seldom = SlaveManager.builder()
                .transport(network)
                .token(TOKEN)
                .version(VersionProvider.of(new VersionInfo(COMMIT, "1.0.0", "main", false)))
                .time(time)
                .callbackExecutor(Runnable::run)
                .healthInterval(Duration.ofDays(1)) // Nobody checks but the test.
                .build()) {
            serve("pi");
            seldom.register("pi", URI.create("memory://pi:1")).join();
            for (int answers : List.of(1, 2, 4, 8, 8)) {
                stop("pi");
                var check = seldom.checkHealth("pi");
                letPass(10);
                assertThat(check.join()).isEqualTo(SlaveStatus.DEAD);
                serve("pi");
                for (int i = 1; i < answers; i++) {
                    assertThat(seldom.checkHealth("pi").join()).isEqualTo(SlaveStatus.DEAD);
                    assertThat(seldom.slave("pi").orElseThrow().reason())
                            .contains("within 10 min: alive after " + (answers - i) + " more");
                }
                assertThat(seldom.checkHealth("pi").join()).isEqualTo(SlaveStatus.ALIVE);
            }
        }
    }

    @Test
    void a_slave_that_was_well_for_long_is_believed_at_once() {
        serve("pi");
        register("pi");
        for (int i = 0; i < 4; i++) {
            stop("pi");
            letPass(60);
            serve("pi");
            letPass(40);
            assertThat(status("pi")).isEqualTo(SlaveStatus.ALIVE);
            letPass(600);
        }
    }

    @Test
    void when_most_slaves_fall_silent_at_once_none_of_them_is_dead_and_one_alarm_is_raised() {
        List<String> names = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            names.add("s" + i);
            serve("s" + i);
            register("s" + i);
        }
        letPass(60);
        heard.clear();
        partitions.cutOff.addAll(names.subList(0, 7));
        letPass(180);
        assertThat(heard).filteredOn(line -> line.contains("DEAD")).isEmpty();
        assertThat(heard)
                .filteredOn(line -> line.startsWith("cut off"))
                .singleElement()
                .asString()
                .contains("of 10");
        for (String name : names) {
            assertThat(status(name))
                    .as(name)
                    .isEqualTo(partitions.cutOff.contains(name) ? SlaveStatus.UNKNOWN : SlaveStatus.ALIVE);
        }
        assertThat(manager.findAvailableSlave(Task.python("x")).map(Slave::id))
                .get()
                .isIn("s7", "s8", "s9");

        partitions.cutOff.clear();
        letPass(120);
        assertThat(heard).filteredOn(line -> line.startsWith("back")).hasSize(1);
        assertThat(heard).filteredOn(line -> line.contains("DEAD")).isEmpty();
        assertThat(names).allMatch(name -> status(name) == SlaveStatus.ALIVE);
    }

    @Test
    void when_a_few_of_many_fall_silent_they_are_dead() {
        for (int i = 0; i < 10; i++) {
            serve("s" + i);
            register("s" + i);
        }
        letPass(60);
        partitions.cutOff.addAll(List.of("s0", "s1", "s2", "s3"));
        letPass(180);
        assertThat(List.of("s0", "s1", "s2", "s3")).allMatch(name -> status(name) == SlaveStatus.DEAD);
        assertThat(heard).noneMatch(line -> line.startsWith("cut off"));
    }

    @Test
    void a_slave_that_stays_away_after_the_others_are_back_is_dead() {
        for (int i = 0; i < 5; i++) {
            serve("s" + i);
            register("s" + i);
        }
        letPass(60);
        partitions.cutOff.addAll(List.of("s0", "s1", "s2", "s3", "s4"));
        letPass(300);
        assertThat(manager.slaves()).allMatch(slave -> slave.status() == SlaveStatus.UNKNOWN);
        partitions.cutOff.removeAll(List.of("s0", "s1", "s2", "s3"));
        letPass(300);
        assertThat(status("s4")).isEqualTo(SlaveStatus.DEAD);
        assertThat(status("s3")).isEqualTo(SlaveStatus.ALIVE);
    }
}
