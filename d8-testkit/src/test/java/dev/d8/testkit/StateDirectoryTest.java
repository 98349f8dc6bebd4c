package dev.d8.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.d8.ConfigurationException;
import dev.d8.DeadlineExceededException;
import dev.d8.InvalidTaskException;
import dev.d8.MasterClosedException;
import dev.d8.NoExecutorException;
import dev.d8.NotRecordedException;
import dev.d8.Task;
import dev.d8.TaskId;
import dev.d8.TaskResult;
import dev.d8.Token;
import dev.d8.UnknownOutcomeException;
import dev.d8.VersionInfo;
import dev.d8.master.SlaveManager;
import dev.d8.master.Submission;
import dev.d8.master.Submission.Phase;
import dev.d8.spi.ServerSecurity;
import dev.d8.spi.Transport;
import dev.d8.version.VersionProvider;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Masters that end, in their own time or not, and others that go on in their place. */
@Timeout(60)
class StateDirectoryTest {

    private static final VersionInfo VERSION = new VersionInfo("c", "1.0.0", "main", false);

    @TempDir
    Path folder;

    private final FakeTime time = new FakeTime();
    private final InMemoryTransport network = new InMemoryTransport();
    private final List<SlaveManager> masters = new ArrayList<>();
    private final Map<TaskId, Integer> starts = new HashMap<>();
    private Instant now = Instant.parse("2026-11-26T00:00:00Z");

    @AfterEach
    void close() {
        masters.forEach(SlaveManager::close);
    }

    private Path state() {
        return folder.resolve("state");
    }

    private SlaveManager master() {
        return master(network, state());
    }

    private SlaveManager master(Transport transport, Path directory) {
        SlaveManager master = SlaveManager.builder()
                .transport(transport)
                .version(VersionProvider.of(VERSION))
                .time(time)
                .clock(() -> now)
                .random(new Random(7))
                .callbackExecutor(Runnable::run)
                .stateDirectory(directory)
                .build();
        masters.add(master);
        return master;
    }

    private SimulatedSlave serve(String name) {
        SimulatedSlave slave =
                new SimulatedSlave(name, time, new Random(3), 2, id -> starts.merge(id, 1, Integer::sum));
        network.serve(slave, URI.create("memory://" + name + ":1"), new ServerSecurity(Token.DEVELOPMENT));
        return slave;
    }

    private void register(SlaveManager master, String name) {
        master.register(name, URI.create("memory://" + name + ":1")).join();
    }

    private static Task task(String source) {
        return Task.builder(Task.PYTHON_CODE).with("command", source).build();
    }

    /** The state as a master leaves it that is killed now. */
    private Path killed(String name) throws IOException {
        Path copy = folder.resolve(name);
        Files.createDirectories(copy);
        Files.copy(state().resolve("tasks.mv"), copy.resolve("tasks.mv"));
        return copy;
    }

    /** What is written down is told on the thread that writes. */
    private static void await(Submission task, Phase phase) {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (task.phase() != phase) {
            assertThat(System.nanoTime()).as(task + " becomes " + phase).isLessThan(end);
            Thread.onSpinWait();
        }
    }

    /** A task that a master has on the slave pi. */
    private Task runningUnderAMaster() {
        SlaveManager master = master();
        register(master, "pi");
        Task task = task("a");
        master.submit(task);
        awaitStart(task);
        return task;
    }

    private void awaitStart(Task task) {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (!starts.containsKey(task.id())) {
            assertThat(System.nanoTime()).as(task + " starts").isLessThan(end);
            Thread.onSpinWait();
        }
    }

    private TaskResult result(Submission task) {
        CompletableFuture<TaskResult> result = task.result();
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (!result.isDone()) {
            time.advance(Duration.ofSeconds(5));
            assertThat(System.nanoTime()).as(task + " ends").isLessThan(end);
        }
        return result.join();
    }

    @Test
    void what_waits_runs_under_the_next_master() {
        SlaveManager first = master();
        Task task = task("a");
        Submission waiting = first.submit(task);
        first.close();
        assertThatThrownBy(() -> waiting.result().join())
                .isInstanceOf(CompletionException.class)
                .hasCauseInstanceOf(MasterClosedException.class)
                .hasMessageContaining("the next one on its state directory");

        SlaveManager next = master();
        assertThat(next.queue().unfinished()).extracting(Submission::id).containsExactly(task.id());
        serve("pi");
        register(next, "pi");
        assertThat(result(next.queue().find(task.id()).orElseThrow()).output()).isEqualTo("a");
        assertThat(starts).containsExactly(Map.entry(task.id(), 1));
    }

    @Test
    void what_runs_is_asked_for_by_the_next_master_and_not_sent_again() throws IOException {
        serve("pi");
        Task task = runningUnderAMaster();

        SlaveManager next = master(network, killed("kill"));
        register(next, "pi");
        Submission taken = next.queue().find(task.id()).orElseThrow();
        assertThat(taken.slave()).contains("pi");
        assertThat(result(taken).output()).isEqualTo("a");
        assertThat(starts).containsExactly(Map.entry(task.id(), 1));
    }

    @Test
    void what_was_written_down_and_never_left_is_sent_by_the_next_master() throws IOException {
        SimulatedSlave pi = serve("pi");
        CutTransport cable = new CutTransport(network);
        SlaveManager first = master(cable, state());
        register(first, "pi");
        cable.cutOff.add("pi");
        Task task = task("a");
        await(first.submit(task), Phase.RUNNING);
        first.close(); // What it was about to write is written by then.
        assertThat(starts).isEmpty();

        SlaveManager next = master();
        register(next, "pi");
        assertThat(result(next.queue().find(task.id()).orElseThrow()).output()).isEqualTo("a");
        assertThat(pi.most).isOne();
    }

    @Test
    void what_ran_on_a_slave_that_was_restarted_too_is_lost_and_says_so() throws IOException {
        SimulatedSlave pi = serve("pi");
        Task task = runningUnderAMaster();
        Path killed = killed("kill");
        pi.crash();

        SlaveManager next = master(network, killed);
        register(next, "pi");
        Submission taken = next.queue().find(task.id()).orElseThrow();
        assertThatThrownBy(() -> result(taken))
                .hasCauseInstanceOf(UnknownOutcomeException.class)
                .hasMessageContaining("pi")
                .hasMessageContaining("the master was restarted");
        assertThat(starts).containsExactly(Map.entry(task.id(), 1));
    }

    @Test
    void a_slave_that_is_not_registered_again_is_waited_for_and_then_its_tasks_are_lost() throws IOException {
        serve("pi");
        Task task = runningUnderAMaster();

        SlaveManager next = master(network, killed("kill"));
        Submission taken = next.queue().find(task.id()).orElseThrow();
        time.advance(Duration.ofMinutes(4));
        assertThat(taken.phase()).isEqualTo(Phase.RUNNING);
        assertThatThrownBy(() -> result(taken))
                .hasCauseInstanceOf(UnknownOutcomeException.class)
                .hasMessageContaining("not registered");
    }

    @Test
    void an_end_is_kept_for_the_next_master_and_the_task_is_not_run_again() {
        serve("pi");
        SlaveManager first = master();
        register(first, "pi");
        Task task = task("a");
        assertThat(result(first.submit(task)).output()).isEqualTo("a");
        first.close();

        SlaveManager next = master();
        register(next, "pi");
        assertThat(next.queue().unfinished()).isEmpty();
        Submission again = next.submit(task);
        assertThat(again.phase()).isEqualTo(Phase.DONE);
        assertThat(again.slave()).contains("pi");
        assertThat(again.result().join().output()).isEqualTo("a");
        assertThat(starts).containsExactly(Map.entry(task.id(), 1));
    }

    @Test
    void a_cancelled_task_and_one_that_came_too_late_stay_so() {
        SlaveManager first = master();
        Submission cancelled = first.submit(task("a"));
        cancelled.cancel();
        Submission late = first.submit(Task.builder(Task.PYTHON_CODE)
                .with("command", "b")
                .deadline(Duration.ofSeconds(5))
                .build());
        time.advance(Duration.ofSeconds(6));
        assertThatThrownBy(() -> result(late)).hasCauseInstanceOf(DeadlineExceededException.class);
        first.close();

        SlaveManager next = master();
        assertThat(next.queue().find(cancelled.id()).orElseThrow().result()).isCancelled();
        assertThatThrownBy(() ->
                        next.queue().find(late.id()).orElseThrow().result().join())
                .hasCauseInstanceOf(DeadlineExceededException.class);
    }

    @Test
    void time_that_passes_between_masters_counts_for_a_deadline_and_a_clock_that_goes_back_does_not() {
        Task task = Task.builder(Task.PYTHON_CODE)
                .with("command", "b")
                .deadline(Duration.ofMinutes(10))
                .build();
        master().submit(task);
        masters.get(0).close();
        now = now.minus(Duration.ofDays(10));
        SlaveManager second = master();
        time.advance(Duration.ofMinutes(9));
        assertThat(second.queue().find(task.id()).orElseThrow().phase()).isEqualTo(Phase.QUEUED);
        second.close();
        now = now.plus(Duration.ofDays(20));
        SlaveManager third = master();
        time.advance(Duration.ofMillis(1));
        assertThatThrownBy(() -> result(third.queue().find(task.id()).orElseThrow()))
                .hasCauseInstanceOf(DeadlineExceededException.class);
    }

    @Test
    void what_one_slave_turned_away_waits_for_others_under_the_next_master() {
        network.serve(
                new RecordingSlaveService()
                        .healthy(RecordingSlaveService.health("c"))
                        .answering(call -> CompletableFuture.failedFuture(new NoExecutorException("not here"))),
                URI.create("memory://picky:1"),
                new ServerSecurity(Token.DEVELOPMENT));
        SlaveManager first = master();
        first.register("gone", URI.create("memory://gone:1"));
        register(first, "picky");
        Submission task = first.submit(task("a"));
        await(task, Phase.QUEUED);
        first.close();

        SlaveManager next = master();
        Submission taken = next.queue().find(task.id()).orElseThrow();
        time.advance(Duration.ofMinutes(1));
        assertThat(taken.phase()).isEqualTo(Phase.QUEUED);
        serve("pi");
        register(next, "pi");
        assertThat(result(taken).output()).isEqualTo("a");
    }

    @Test
    void the_same_data_in_another_order_is_the_same_task() {
        SlaveManager first = master();
        Map<String, Object> data = new java.util.LinkedHashMap<>();
        data.put("command", "x");
        data.put("env", new java.util.LinkedHashMap<>(Map.of("A", "1")));
        Task task = Task.builder(Task.PYTHON_CODE).data(data).build();
        first.submit(task);
        first.close();
        SlaveManager next = master();
        Map<String, Object> other = new java.util.LinkedHashMap<>();
        other.put("env", Map.of("A", "1"));
        other.put("command", "x");
        assertThat(next.submit(Task.builder(Task.PYTHON_CODE)
                                .id(task.id())
                                .data(other)
                                .build())
                        .id())
                .isEqualTo(task.id());
        assertThat(next.queue().unfinished()).hasSize(1);
    }

    @Test
    void what_could_not_be_read_again_is_not_accepted() {
        SlaveManager first = master();
        Task huge = Task.builder(Task.PYTHON_CODE)
                .with("command", "x")
                .with("number", new java.math.BigInteger("9".repeat(2000)))
                .build();
        assertThatThrownBy(() -> first.submit(huge)).isInstanceOf(InvalidTaskException.class);
        first.close();
        assertThat(master().queue().unfinished()).isEmpty();
    }

    @Test
    void a_second_master_on_a_directory_is_refused_as_long_as_the_first_one_lives() {
        SlaveManager first = master();
        assertThatThrownBy(this::master)
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining(state().toString())
                .hasMessageContaining("another master uses it");
        first.close();
        master();
    }

    @Test
    void nobody_but_its_owner_reads_the_tasks() throws IOException {
        master();
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(state())))
                .isEqualTo("rwx------");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(state().resolve("tasks.mv"))))
                .isEqualTo("rw-------");
    }

    @Test
    void a_file_that_is_no_state_is_refused_and_left_alone() throws IOException {
        Files.createDirectories(state());
        Files.writeString(state().resolve("tasks.mv"), "my shopping list".repeat(1000));
        assertThatThrownBy(this::master)
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("tasks.mv cannot be read");
        assertThat(state().resolve("tasks.mv")).content().startsWith("my shopping list");
    }

    @Test
    @Tag("other-runtime")
    void wherever_the_last_write_is_torn_all_that_was_accepted_before_is_there() throws IOException {
        SlaveManager first = master();
        List<TaskId> accepted = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            accepted.add(first.submit(task("print(" + i + ")")).id());
        }
        byte[] before = Files.readAllBytes(state().resolve("tasks.mv"));
        TaskId last = first.submit(task("print('last')")).id();
        byte[] after = Files.readAllBytes(state().resolve("tasks.mv"));
        assertThat(after.length).isGreaterThan(before.length);
        Path torn = Files.createDirectories(folder.resolve("torn"));
        // Every byte of what the last write added, and one in 64 of where it may have written over: the file's head.
        for (int length = before.length; length <= after.length; length++) {
            byte[] bytes = java.util.Arrays.copyOf(after, length);
            assertRecovers(torn, bytes, accepted, length == after.length ? last : null, "cut at " + length);
        }
        for (int cut = 0; cut <= 8192; cut += 64) {
            byte[] bytes = before.clone();
            System.arraycopy(after, 0, bytes, 0, cut);
            assertRecovers(torn, bytes, accepted, null, "head torn at " + cut);
        }
    }

    @Test
    void while_the_disk_is_full_nothing_is_accepted_or_sent_and_nothing_is_lost() throws Exception {
        Path small = Files.createDirectories(folder.resolve("small"));
        assumeTrue(
                succeeds("mount", "-t", "tmpfs", "-o", "size=1m", "d8-test", small.toString()),
                "this test needs to mount a file system");
        try {
            serve("pi");
            SlaveManager first = master(network, small.resolve("state"));
            register(first, "pi");
            Task before = task("before");
            Submission running = first.submit(before);
            awaitStart(before);
            Path ballast = small.resolve("ballast");
            try (var out = Files.newOutputStream(ballast)) {
                while (true) {
                    out.write(new byte[4096]);
                }
            } catch (IOException full) {
                // As it should be.
            }
            assertThatThrownBy(() -> first.submit(task("refused")))
                    .isInstanceOf(NotRecordedException.class)
                    .hasMessageContaining(small.toString());
            CompletableFuture<TaskResult> result = running.result();
            time.advance(Duration.ofMinutes(5));
            Files.delete(ballast);
            assertThat(result(running).output()).isEqualTo("before");
            assertThat(result).isNotCompletedExceptionally();
            assertThat(result(first.submit(task("after"))).output()).isEqualTo("after");
            first.close();

            SlaveManager next = master(network, small.resolve("state"));
            assertThat(next.queue().unfinished()).isEmpty();
            assertThat(next.queue()
                            .find(before.id())
                            .orElseThrow()
                            .result()
                            .join()
                            .output())
                    .isEqualTo("before");
            assertThat(starts).hasSize(2);
            next.close();
        } finally {
            assertThat(succeeds("umount", "--lazy", small.toString())).isTrue();
        }
    }

    private static boolean succeeds(String... command) throws Exception {
        return new ProcessBuilder(command).inheritIO().start().waitFor() == 0;
    }

    private void assertRecovers(
            Path torn,
            byte[] bytes,
            List<TaskId> accepted,
            @org.jspecify.annotations.Nullable TaskId last,
            String context)
            throws IOException {
        Files.write(torn.resolve("tasks.mv"), bytes);
        SlaveManager next = master(network, torn);
        List<TaskId> there =
                next.queue().unfinished().stream().map(Submission::id).toList();
        next.close();
        masters.remove(next);
        assertThat(there).as(context).containsAll(accepted);
        if (last != null) {
            assertThat(there).as(context).contains(last);
        }
    }
}
