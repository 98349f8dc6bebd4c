package dev.d8.executor.docker;

import static org.assertj.core.api.Assertions.assertThat;

import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.api.async.ResultCallback;
import com.github.dockerjava.api.model.Container;
import com.github.dockerjava.api.model.Event;
import dev.d8.executor.python.engine.AgentProgram;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.net.SocketTimeoutException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** On a real engine: that no container stays. */
@Timeout(120)
@Tag("other-runtime")
class ContainersTest {

    private final String slave = "test-" + UUID.randomUUID();
    private final DockerClients clients = DockerClients.of(Optional.of(TestEngine.host()));
    private final ExecutorService workers = Executors.newCachedThreadPool();

    @BeforeAll
    static void requireEngine() {
        TestEngine.executor(Map.of("pool", "0")).close();
    }

    @AfterEach
    void close() {
        workers.shutdownNow();
        clients.close();
    }

    /** Returns a client that does not remove containers as long as it shall not. */
    private DockerClient reluctant(AtomicBoolean removes) {
        return (DockerClient) Proxy.newProxyInstance(
                DockerClient.class.getClassLoader(),
                new Class<?>[] {DockerClient.class},
                (proxy, method, arguments) -> {
                    if (method.getName().equals("equals")) {
                        return proxy == arguments[0];
                    }
                    if (method.getName().equals("removeContainerCmd") && !removes.get()) {
                        throw new IllegalStateException(new SocketTimeoutException());
                    }
                    try {
                        return method.invoke(clients.control(), arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                });
    }

    @Test
    void what_could_not_be_removed_is_removed_by_the_next_look() throws Exception {
        DockerSettings settings = TestEngine.settings(Map.of());
        AtomicBoolean removes = new AtomicBoolean();
        ReadyEngine real = TestEngine.ready(clients);
        ReadyEngine engine = new ReadyEngine(
                real.host(), reluctant(removes), real.streams(), real.walls(), real.hosts(), real.clock());
        try (Containers containers = new Containers(settings, slave, workers)) {
            Image image = new Image(TestEngine.image(), List.of(), "", AgentProgram.source());
            ContainerLink link = containers.open(engine, Shape.usual(settings, image));
            clients.control().pauseContainerCmd(link.container()).exec(); // Else it would end by itself.
            link.close();
            link.removed().get(60, TimeUnit.SECONDS);
            assertThat(TestEngine.containersOf(clients.control(), slave))
                    .extracting(Container::getId)
                    .containsExactly(link.container());
            assertThat(containers.known()).containsExactly(link.container());

            removes.set(true);
            containers.sweep(engine);

            assertThat(TestEngine.awaitContainers(clients.control(), slave, 0)).isEmpty();
            assertThat(containers.known()).isEmpty();
        }
    }

    @Test
    void what_is_gone_although_nobody_said_so_is_forgotten() {
        DockerSettings settings = TestEngine.settings(Map.of());
        ReadyEngine engine = TestEngine.ready(clients);
        try (Containers containers = new Containers(settings, slave, workers)) {
            Image image = new Image(TestEngine.image(), List.of(), "", AgentProgram.source());
            ContainerLink link = containers.open(engine, Shape.usual(settings, image));
            containers.sweep(engine);
            assertThat(containers.known()).containsExactly(link.container());

            clients.control()
                    .removeContainerCmd(link.container())
                    .withForce(true)
                    .exec();
            containers.sweep(engine);

            assertThat(containers.known()).isEmpty();
        }
    }

    @Test
    void the_container_that_lays_the_hosts_file_has_the_slaves_mark() throws Exception {
        long began = System.currentTimeMillis() / 1000;
        TestEngine.executor(Map.of("slave_id", slave, "pool", "0")).close();
        Queue<String> events = new ConcurrentLinkedQueue<>();
        clients.control()
                .eventsCmd()
                .withSince(String.valueOf(began))
                .withUntil(String.valueOf(System.currentTimeMillis() / 1000 + 1))
                .withEventTypeFilter("container")
                .withEventFilter("create", "start")
                .withLabelFilter(Map.of("d8.slave", slave))
                .exec(new ResultCallback.Adapter<Event>() {
                    @Override
                    public void onNext(Event event) {
                        events.add(String.valueOf(event.getAction()));
                    }
                })
                .awaitCompletion(60, TimeUnit.SECONDS);

        assertThat(events)
                .as("one that lays it and is never started, one that tries the image out")
                .containsExactly("create", "create", "start");
    }
}
