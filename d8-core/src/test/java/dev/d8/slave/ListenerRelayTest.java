package dev.d8.slave;

import static org.assertj.core.api.Assertions.assertThat;

import dev.d8.TaskId;
import dev.d8.spi.ExecutionListener;
import dev.d8.spi.ExecutionListener.Stream;
import dev.d8.spi.TimeSource;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class ListenerRelayTest {

    private final ExecutorService threads = Executors.newCachedThreadPool();
    private final TimeSource time = TimeSource.system();

    @AfterEach
    void close() {
        threads.shutdownNow();
        time.close();
    }

    private ListenerRelay relay(ExecutionListener listener, Duration patience) {
        return new ListenerRelay(TaskId.random(), listener, threads, time, patience);
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    @Test
    void everything_is_told_in_order_and_before_the_end() throws Exception {
        List<String> heard = Collections.synchronizedList(new ArrayList<>());
        ListenerRelay relay = relay(
                new ExecutionListener() {
                    @Override
                    public void started() {
                        heard.add("started");
                    }

                    @Override
                    public void output(Stream stream, byte[] chunk) {
                        heard.add(stream + " " + new String(chunk, StandardCharsets.UTF_8));
                    }

                    @Override
                    public void progress(double percent, String message) {
                        heard.add("progress " + percent + " " + message);
                    }
                },
                Duration.ofSeconds(30));
        relay.started();
        relay.output(Stream.STDOUT, bytes("a\n::d8::{\"progress\":"));
        relay.output(Stream.STDERR, bytes("e"));
        relay.output(Stream.STDOUT, bytes("5,\"message\":\"m\"}\nb"));
        relay.finish();
        assertThat(heard).containsExactly("started", "STDOUT a\n", "STDERR e", "progress 5.0 m", "STDOUT b");
    }

    @Test
    void a_slow_listener_holds_the_output_back_and_loses_none_of_it() throws Exception {
        CountDownLatch go = new CountDownLatch(1);
        AtomicInteger heard = new AtomicInteger();
        ListenerRelay relay = relay(
                new ExecutionListener() {
                    @Override
                    public void output(Stream stream, byte[] chunk) {
                        try {
                            go.await();
                        } catch (InterruptedException e) {
                            throw new IllegalStateException(e);
                        }
                        heard.addAndGet(chunk.length);
                    }
                },
                Duration.ofSeconds(50));
        CompletableFuture<Void> sent = new CompletableFuture<>();
        threads.execute(() -> {
            for (int i = 0; i < 100; i++) {
                relay.output(Stream.STDERR, new byte[65536]);
            }
            sent.complete(null);
        });
        // No more than a megabyte waits, and what one notice holds.
        assertThat(sent.isDone()).isFalse();
        go.countDown();
        sent.get(30, TimeUnit.SECONDS);
        relay.finish();
        assertThat(heard).hasValue(100 * 65536);
    }

    @Test
    void a_listener_that_hangs_is_left_behind() throws Exception {
        CompletableFuture<Throwable> woken = new CompletableFuture<>();
        ListenerRelay relay = relay(
                new ExecutionListener() {
                    @Override
                    public void started() {
                        try {
                            new CountDownLatch(1).await();
                        } catch (InterruptedException e) {
                            woken.complete(e);
                        }
                    }
                },
                Duration.ofMillis(50));
        relay.started();
        for (int i = 0; i < 100; i++) {
            relay.output(Stream.STDERR, new byte[65536]);
        }
        relay.finish();
        assertThat(woken.get(30, TimeUnit.SECONDS)).isInstanceOf(InterruptedException.class);
    }

    @Test
    void a_listener_that_throws_hears_no_more() throws Exception {
        AtomicInteger heard = new AtomicInteger();
        ListenerRelay relay = relay(
                new ExecutionListener() {
                    @Override
                    public void output(Stream stream, byte[] chunk) {
                        heard.incrementAndGet();
                        throw new IllegalStateException("a listener's fault");
                    }
                },
                Duration.ofSeconds(30));
        relay.output(Stream.STDERR, bytes("1"));
        relay.finish();
        relay.output(Stream.STDERR, bytes("2"));
        relay.finish();
        assertThat(heard).hasValue(1);
    }
}
