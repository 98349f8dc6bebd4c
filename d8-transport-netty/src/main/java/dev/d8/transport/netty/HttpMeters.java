package dev.d8.transport.netty;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.LongAdder;
import java.util.stream.Stream;

/** What a transport's servers count. To count allocates nothing and looks nothing up. Thread-safe. */
final class HttpMeters {

    /** What requests are counted by: never a path as it came, of which there are as many as somebody likes. */
    enum Group {
        HEALTH(Routes.HEALTH),
        VERSION(Routes.VERSION),
        EXECUTE(Routes.EXECUTE),
        BATCH(Routes.BATCH),
        TASKS(Routes.TASKS),
        SLOTS(Routes.SLOTS),
        METRICS(Routes.METRICS),
        OTHER("");

        private static final Group[] ALL = values();

        private final String path;

        Group(String path) {
            this.path = path;
        }

        static Group of(String uri) {
            int query = uri.indexOf('?');
            int end = query < 0 ? uri.length() : query;
            for (Group group : ALL) {
                if (end == group.path.length() && uri.startsWith(group.path)) {
                    return group;
                }
            }
            return uri.startsWith(Routes.TASK) ? TASKS : OTHER;
        }
    }

    /** Why something was not served that never became a call. */
    enum Refused {
        MALFORMED,
        TOO_LARGE,
        TIMEOUT,
        TOO_MANY_CONNECTIONS,
        TLS
    }

    /** The classes of status codes that a server answers with: 1xx is a WebSocket. */
    private static final int[] CLASSES = {1, 2, 4, 5};

    private final LongAdder connections = new LongAdder();
    private final LongAdder in = new LongAdder();
    private final LongAdder out = new LongAdder();
    private final Map<Refused, LongAdder> refused = new EnumMap<>(Refused.class);

    /** By the first digit of the status code. */
    private final Map<Group, LongAdder[]> requests = new EnumMap<>(Group.class);

    private final ChannelHandler bytes = new Bytes();

    HttpMeters() {
        for (Refused why : Refused.values()) {
            refused.put(why, new LongAdder());
        }
        for (Group group : Group.ALL) {
            requests.put(group, Stream.generate(LongAdder::new).limit(10).toArray(LongAdder[]::new));
        }
    }

    /** Registers all of it, what has not happened yet included. */
    void bindTo(MeterRegistry registry) {
        Gauge.builder("d8.http.connections", connections, LongAdder::sum)
                .description("Connections that are served")
                .register(registry);
        counter(registry, "d8.http.bytes", "Bytes on the wire", in, "direction", "in");
        counter(registry, "d8.http.bytes", "Bytes on the wire", out, "direction", "out");
        requests.forEach((group, counts) -> {
            for (int status : CLASSES) {
                counter(
                        registry,
                        "d8.http.requests",
                        "Requests that were answered",
                        counts[status],
                        "path",
                        group.name().toLowerCase(Locale.ROOT),
                        "status",
                        status + "xx");
            }
        });
        refused.forEach((why, count) -> counter(
                registry,
                "d8.http.refused",
                "Requests and connections that were refused for how they came",
                count,
                "reason",
                why.name().toLowerCase(Locale.ROOT)));
    }

    private static void counter(
            MeterRegistry registry, String name, String description, LongAdder count, String... tags) {
        FunctionCounter.builder(name, count, LongAdder::doubleValue)
                .description(description)
                .tags(tags)
                .register(registry);
    }

    void connected() {
        connections.increment();
    }

    void disconnected() {
        connections.decrement();
    }

    void answered(Group group, int status) {
        Objects.requireNonNull(requests.get(group))[status / 100].increment();
        switch (status) {
            case 408 -> refused(Refused.TIMEOUT);
            case 413, 414, 431 -> refused(Refused.TOO_LARGE);
            default -> {}
        }
    }

    void refused(Refused why) {
        Objects.requireNonNull(refused.get(why)).increment();
    }

    /** Returns what counts a connection's bytes, for the front of its pipeline. */
    ChannelHandler bytes() {
        return bytes;
    }

    @ChannelHandler.Sharable
    private final class Bytes extends ChannelDuplexHandler {
        @Override
        public void channelRead(ChannelHandlerContext ctx, Object message) {
            if (message instanceof ByteBuf buffer) {
                in.add(buffer.readableBytes());
            }
            ctx.fireChannelRead(message);
        }

        @Override
        public void write(ChannelHandlerContext ctx, Object message, ChannelPromise promise) {
            if (message instanceof ByteBuf buffer) {
                out.add(buffer.readableBytes());
            }
            ctx.write(message, promise);
        }
    }
}
