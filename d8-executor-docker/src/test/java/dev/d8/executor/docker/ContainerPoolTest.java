package dev.d8.executor.docker;

import static org.assertj.core.api.Assertions.assertThat;

import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.core.DefaultDockerClientConfig;
import com.github.dockerjava.core.DockerClientImpl;
import com.github.dockerjava.zerodep.ZerodepDockerHttpClient;
import dev.d8.executor.python.engine.AgentProgram;
import dev.d8.testkit.FakeTime;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What is parked when, by fake time and without an engine. */
class ContainerPoolTest {

    private static final Duration IDLE = Duration.ofMinutes(10);

    private final Image image = new Image("sha256:1", List.of(), "3.11.2", AgentProgram.source());
    private final Shape usual = shape(image, 512);
    private final Shape small = shape(image, 64);

    private final FakeTime time = new FakeTime();
    private final Deque<Runnable> work = new ArrayDeque<>();
    private final DockerClient client = client();
    private ReadyEngine engine =
            new ReadyEngine(URI.create("unix:///nowhere"), client, client, List.of(), new HostsFile(), Instant.EPOCH);

    /** Shapes of containers in the order in which they were made, and the links of those that were given up. */
    private final List<Shape> made = new ArrayList<>();

    private final List<ContainerLink> links = new ArrayList<>();
    private final List<ContainerLink> ended = new ArrayList<>();
    private @Nullable RuntimeException trouble;
    private @Nullable Error fatal;
    private Duration takes = Duration.ZERO;

    private static DockerClient client() {
        var config = DefaultDockerClientConfig.createDefaultConfigBuilder()
                .withDockerHost("unix:///nowhere")
                .build();
        return DockerClientImpl.getInstance(
                config,
                new ZerodepDockerHttpClient.Builder()
                        .dockerHost(config.getDockerHost())
                        .build());
    }

    private static Shape shape(Image image, long memory) {
        return new Shape(image, memory, 10, Optional.empty());
    }

    @AfterEach
    void closeClient() throws Exception {
        client.close();
    }

    private ContainerPool pool(int size, int prefetch) {
        return new ContainerPool(new DockerSettings.Pool(size, prefetch, IDLE), this::make, time, work::add);
    }

    private ContainerLink make(ReadyEngine on, Shape shape) {
        assertThat(on).isSameAs(engine);
        if (fatal != null) {
            throw fatal;
        }
        if (trouble != null) {
            throw trouble;
        }
        made.add(shape);
        time.advance(takes);
        ContainerLink link = new ContainerLink("c" + made.size(), closed -> {
            ended.add(closed);
            return CompletableFuture.completedFuture(null);
        });
        links.add(link);
        return link;
    }

    /** Lets the background work, as far as it goes without time. */
    private void work() {
        while (!work.isEmpty()) {
            work.remove().run();
        }
    }

    /** Lets time pass, and then the background work. */
    private void pass(Duration period) {
        time.advance(period);
        work();
    }

    @Test
    void the_usual_shape_is_there_before_the_first_task_as_often_as_was_asked() {
        ContainerPool pool = pool(3, 2);
        assertThat(pool.take(usual))
                .as("nothing can be there before the engine was seen")
                .isNull();
        pass(ContainerPool.BREATH);
        assertThat(made).isEmpty();

        pool.serve(engine, usual);
        work();
        assertThat(made).containsExactly(usual, usual);
        assertThat(pool.parked()).isEqualTo(2);
    }

    @Test
    void one_is_made_at_a_time() {
        pool(3, 3).serve(engine, usual);
        assertThat(work).hasSize(1);
    }

    @Test
    void a_container_is_taken_once_and_replaced_after_a_breath() {
        ContainerPool pool = pool(1, 1);
        pool.serve(engine, usual);
        work();

        ContainerLink taken = pool.take(usual);
        assertThat(taken).isNotNull();
        assertThat(pool.take(usual)).isNull();
        work();
        assertThat(made).hasSize(1);

        pass(ContainerPool.BREATH);
        assertThat(made).hasSize(2);
        assertThat(pool.take(usual)).isNotNull().isNotSameAs(taken);
        assertThat(ended).isEmpty();
    }

    @Test
    void what_the_last_tasks_asked_for_is_what_waits() {
        ContainerPool pool = pool(2, 2);
        pool.serve(engine, usual);
        work();
        assertThat(pool.take(small)).isNull();
        pass(ContainerPool.BREATH);
        assertThat(made).containsExactly(usual, usual, small);
        assertThat(ended).hasSize(1);

        assertThat(pool.take(small)).isNotNull();
        pass(ContainerPool.BREATH);
        assertThat(made).containsExactly(usual, usual, small, small, small);
        assertThat(pool.parked()).isEqualTo(2);
        assertThat(pool.take(usual)).isNull();
    }

    @Test
    void what_only_one_task_can_have_asked_for_is_not_kept_ready() {
        ContainerPool pool = pool(1, 1);
        pool.serve(engine, usual);
        work();
        Path directory = Path.of("/srv/data");
        WorkingDirs.Mount mount = new WorkingDirs.Mount(directory, directory, false, "1:2");
        assertThat(pool.take(new Shape(image, 512, 10, Optional.of(mount))))
                .as("its path may mean another directory by then")
                .isNull();
        pass(ContainerPool.BREATH);
        assertThat(made).containsExactly(usual);
        assertThat(pool.take(usual)).isNotNull();
    }

    @Test
    void a_container_that_has_ended_is_given_to_nobody() {
        ContainerPool pool = pool(1, 1);
        pool.serve(engine, usual);
        work();
        links.get(0).onComplete();

        assertThat(pool.take(usual)).isNull();
        assertThat(ended).containsExactly(links.get(0));
        pass(ContainerPool.BREATH);
        assertThat(pool.take(usual)).isSameAs(links.get(1));
    }

    @Test
    void an_engine_that_refuses_gets_ever_longer_pauses() {
        trouble = new IllegalStateException("no space left on device");
        ContainerPool pool = pool(1, 1);
        pool.serve(engine, usual);
        work();
        for (Duration pause = ContainerPool.SHORTEST_PAUSE;
                pause.compareTo(ContainerPool.LONGEST_PAUSE) < 0;
                pause = pause.multipliedBy(2)) {
            pool.serve(engine, usual);
            time.advance(pause.minusMillis(1));
            assertThat(work).as("work before %s has passed", pause).isEmpty();
            time.advance(Duration.ofMillis(1));
            assertThat(work).as("work after %s", pause).hasSize(1);
            work();
        }
        trouble = null;
        pass(ContainerPool.LONGEST_PAUSE);
        assertThat(pool.parked()).isEqualTo(1);

        trouble = new IllegalStateException("again");
        assertThat(pool.take(usual)).isNotNull();
        pass(ContainerPool.BREATH);
        trouble = null;
        pass(ContainerPool.SHORTEST_PAUSE);
        assertThat(pool.parked()).as("the pauses begin anew").isEqualTo(1);
    }

    @Test
    void a_machine_without_a_thread_to_spare_is_tried_again() {
        OutOfMemoryError noThread = new OutOfMemoryError("unable to create native thread");
        AtomicReference<@Nullable Error> none = new AtomicReference<>(noThread);
        ContainerPool pool = new ContainerPool(new DockerSettings.Pool(1, 1, IDLE), this::make, time, task -> {
            Error error = none.getAndSet(null);
            if (error != null) {
                throw error;
            }
            work.add(task);
        });
        fatal = noThread;
        pool.serve(engine, usual); // No thread to make one on.
        pass(ContainerPool.SHORTEST_PAUSE); // One, but none for whoever makes it.
        fatal = null;
        assertThat(pool.parked()).isZero();

        pass(ContainerPool.LONGEST_PAUSE);
        assertThat(pool.parked()).isEqualTo(1);
    }

    @Test
    void what_is_parked_on_one_engine_is_not_taken_on_another() {
        ContainerPool pool = pool(1, 1);
        pool.serve(engine, usual);
        work();
        engine = new ReadyEngine(
                URI.create("unix:///elsewhere"), client, client, List.of(), new HostsFile(), Instant.EPOCH);
        pool.serve(engine, usual);
        assertThat(ended).containsExactly(links.get(0));
        work();
        assertThat(pool.take(usual)).isSameAs(links.get(1));
    }

    @Test
    void an_engine_that_is_slow_gets_as_long_to_recover() {
        takes = ContainerPool.SLOW;
        ContainerPool pool = pool(2, 2);
        pool.serve(engine, usual);
        work();
        assertThat(made).hasSize(1);
        pass(takes.minusMillis(1));
        assertThat(made).hasSize(1);
        pass(Duration.ofMillis(1));
        assertThat(made).hasSize(2);
    }

    @Test
    void what_has_waited_for_long_is_replaced_and_what_was_asked_for_long_ago_is_forgotten() {
        ContainerPool pool = pool(2, 1);
        pool.serve(engine, usual);
        work();
        assertThat(pool.take(small)).isNull();
        pass(ContainerPool.BREATH);
        assertThat(made).containsExactly(usual, small);

        time.advance(IDLE);
        pool.serve(engine, usual);
        work();
        assertThat(ended).hasSize(2);
        assertThat(made).containsExactly(usual, small, usual);
        assertThat(pool.parked()).isEqualTo(1);
    }

    @Test
    void a_new_image_takes_the_place_of_the_old() {
        ContainerPool pool = pool(2, 2);
        pool.serve(engine, usual);
        work();
        Shape newer = shape(new Image("sha256:2", List.of(), "3.12.0", AgentProgram.source()), 512);
        pool.serve(engine, newer);
        work();
        assertThat(ended).hasSize(2);
        assertThat(made).containsExactly(usual, usual, newer, newer);
    }

    @Test
    void an_engine_that_goes_away_takes_its_containers_along_until_it_is_back() {
        ContainerPool pool = pool(1, 1);
        pool.serve(engine, usual);
        work();
        pool.suspend();
        assertThat(ended).hasSize(1);
        assertThat(pool.take(usual)).isNull();
        pass(ContainerPool.LONGEST_PAUSE);
        assertThat(made).hasSize(1);

        pool.serve(engine, usual);
        work();
        assertThat(pool.parked()).isEqualTo(1);
    }

    @Test
    void what_is_made_while_the_pool_closes_is_ended() {
        ContainerPool pool = pool(1, 1);
        pool.serve(engine, usual);
        pool.close();
        work();
        assertThat(made).hasSize(1);
        assertThat(ended).hasSize(1);
        assertThat(pool.take(usual)).isNull();
    }

    @Test
    void a_pool_of_none_makes_none() {
        ContainerPool pool = pool(0, 0);
        pool.serve(engine, usual);
        assertThat(pool.take(usual)).isNull();
        pass(ContainerPool.LONGEST_PAUSE);
        assertThat(made).isEmpty();
    }
}
