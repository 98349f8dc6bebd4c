package dev.d8.transport.netty;

import dev.d8.spi.Options;
import java.time.Duration;
import java.util.List;
import java.util.Locale;

/**
 * The transport's settings; {@link NettyTransportProvider} says what each means.
 *
 * @param maxRequestLine in bytes, line end not counted
 * @param maxHeaderBytes in bytes, line ends not counted
 * @param maxBody in bytes
 * @param maxPackedBody in bytes, of one that comes as gzip
 * @param hosts whom requests may be addressed to; empty: anybody
 * @param origins which web pages may send requests
 * @param maxAnswer in bytes, inflated
 * @param clientGzip what a client lets travel as gzip
 */
record HttpSettings(
        Io io,
        int threads,
        int maxRequestLine,
        int maxHeaderBytes,
        int maxHeaders,
        int maxBody,
        int maxPackedBody,
        int maxConnections,
        int maxConnectionsPerPeer,
        List<String> hosts,
        List<String> origins,
        Duration headerTimeout,
        Duration bodyTimeout,
        Duration idleTimeout,
        Duration connectTimeout,
        int clientConnections,
        int clientWaiting,
        int maxAnswer,
        ClientGzip clientGzip,
        TlsSettings tls) {

    /** Which of the operating system's interfaces carries the bytes. */
    enum Io {
        AUTO,
        NIO,
        EPOLL
    }

    /** What a client lets travel as gzip. */
    enum ClientGzip {
        NONE,
        ANSWERS,
        BOTH
    }

    /** Reads every setting and rejects unknown ones. */
    static HttpSettings read(Options options) {
        int cores = Runtime.getRuntime().availableProcessors();
        HttpSettings settings = new HttpSettings(
                Io.valueOf(options.matching("io", "auto", "auto|nio|epoll", "auto, nio or epoll")
                        .toUpperCase(Locale.ROOT)),
                number(options, "threads", Math.min(cores, 4), 1, 1024),
                number(options, "max_request_line", 8 << 10, 64, 1 << 20),
                number(options, "max_header_bytes", 16 << 10, 256, 1 << 20),
                number(options, "max_headers", 100, 1, 10_000),
                number(options, "max_body", 8 << 20, 1, 1 << 30),
                number(options, "max_packed_body", 1 << 20, 1, 1 << 30),
                number(options, "max_connections", 1000, 1, 1_000_000),
                number(options, "max_connections_per_peer", 100, 1, 1_000_000),
                options.list("hosts", List.of()),
                options.list("origins", List.of()),
                options.duration("header_timeout", Duration.ofSeconds(10)),
                options.duration("body_timeout", Duration.ofSeconds(30)),
                options.duration("idle_timeout", Duration.ofSeconds(60)),
                options.duration("connect_timeout", Duration.ofSeconds(5)),
                number(options, "client_connections", 64, 1, 100_000),
                number(options, "client_waiting", 1024, 0, 1_000_000),
                number(options, "max_answer", 64 << 20, 1, 1 << 30),
                ClientGzip.valueOf(
                        options.matching("client_gzip", "answers", "none|answers|both", "none, answers or both")
                                .toUpperCase(Locale.ROOT)),
                TlsSettings.read(options));
        options.rejectUnknown();
        return settings;
    }

    private static int number(Options options, String name, int otherwise, int least, int most) {
        return (int) options.number(name, otherwise, least, most);
    }
}
