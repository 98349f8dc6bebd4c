package dev.d8.transport.netty;

import dev.d8.ConfigurationException;
import io.netty.buffer.ByteBufAllocator;
import io.netty.handler.ssl.ClientAuth;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslHandler;
import io.netty.handler.ssl.SslProvider;
import io.netty.handler.ssl.SupportedCipherSuiteFilter;
import java.io.IOException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Stream;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes the TLS handlers of one side's connections. Each new connection looks whether the files have changed, which costs
 * next to nothing beside a handshake, and takes the new ones if they can be used. Thread-safe.
 */
final class TlsContext {

    private static final Logger log = LoggerFactory.getLogger(TlsContext.class);

    /** With keys for one connection only, and ciphers that authenticate what they encrypt; TLS 1.3 has no others. */
    private static final List<String> CIPHERS = List.of(
            "TLS_AES_128_GCM_SHA256",
            "TLS_AES_256_GCM_SHA384",
            "TLS_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256");

    /** What tells that a file is another one: the time of its change of rights too, where that can be had. */
    private static final String MARKS =
            FileSystems.getDefault().supportedFileAttributeViews().contains("unix")
                    ? "unix:ctime,ino,size"
                    : "lastModifiedTime,size";

    private record Loaded(List<Map<String, Object>> marks, SslContext context) {}

    private final List<Path> files;
    private final Supplier<SslContext> loader;
    private final Duration handshakeTimeout;
    private volatile Loaded loaded;

    private TlsContext(Stream<@Nullable Path> files, Duration handshakeTimeout, Supplier<SslContext> loader) {
        this.files = files.flatMap(Stream::ofNullable).toList();
        this.handshakeTimeout = handshakeTimeout;
        this.loader = loader;
        List<Map<String, Object>> marks = marks(); // Before the files are read: what changes meanwhile is read again.
        this.loaded = new Loaded(marks, loader.get());
    }

    /**
     * Reads what a server needs; nothing for {@code http}.
     *
     * @throws ConfigurationException if the settings do not fit the address, or a file cannot be used
     */
    static @Nullable TlsContext ofServer(TlsSettings settings, HttpAddress address) {
        TlsSettings.Identity identity = settings.server();
        if (!address.tls()) {
            if (identity != null) {
                throw new ConfigurationException(TlsSettings.named(identity.option()) + " is set, but " + address
                        + " goes without TLS (expected: https://…)");
            }
            return null;
        }
        if (identity == null) {
            throw new ConfigurationException(address + " needs a certificate: " + TlsSettings.named("tls_cert")
                    + " and " + TlsSettings.named("tls_key") + "; ./d8 keygen makes both");
        }
        Path clientCa = settings.clientCa().orElse(null);
        return new TlsContext(Stream.of(identity.cert(), identity.key(), clientCa), settings.handshakeTimeout(), () -> {
            PemFiles.Pair pair = PemFiles.pair(identity);
            SslContextBuilder builder = SslContextBuilder.forServer(pair.key(), pair.chain());
            if (clientCa != null) {
                builder.trustManager(PemFiles.certificates("tls_client_ca", clientCa))
                        .clientAuth(ClientAuth.REQUIRE);
            }
            return build(builder);
        });
    }

    /**
     * Reads what a client needs.
     *
     * @throws ConfigurationException if a file cannot be used
     */
    static TlsContext ofClient(TlsSettings settings) {
        TlsSettings.Identity identity = settings.client();
        Path ca = settings.ca().orElse(null);
        Stream<@Nullable Path> files =
                identity == null ? Stream.of(ca) : Stream.of(ca, identity.cert(), identity.key());
        return new TlsContext(files, settings.handshakeTimeout(), () -> {
            SslContextBuilder builder = SslContextBuilder.forClient().endpointIdentificationAlgorithm("HTTPS");
            if (ca != null) {
                builder.trustManager(PemFiles.certificates("tls_ca", ca));
            }
            if (identity != null) {
                PemFiles.Pair pair = PemFiles.pair(identity);
                builder.keyManager(pair.key(), pair.chain());
            }
            return build(builder);
        });
    }

    private static SslContext build(SslContextBuilder builder) {
        try {
            return builder.sslProvider(SslProvider.JDK)
                    .protocols("TLSv1.3", "TLSv1.2")
                    .ciphers(CIPHERS, SupportedCipherSuiteFilter.INSTANCE)
                    .build();
        } catch (SSLException e) {
            throw new ConfigurationException("TLS cannot be had: " + e.getMessage(), e);
        }
    }

    /** Makes the handler of a server's new connection. */
    SslHandler newHandler(ByteBufAllocator allocator) {
        return timed(current().newHandler(allocator));
    }

    /** Makes the handler of a client's new connection, which checks that the certificate is for this host. */
    SslHandler newHandler(ByteBufAllocator allocator, HttpAddress slave) {
        return timed(current().newHandler(allocator, slave.host(), slave.port()));
    }

    private SslHandler timed(SslHandler handler) {
        handler.setHandshakeTimeout(handshakeTimeout.toNanos(), TimeUnit.NANOSECONDS);
        return handler;
    }

    private SslContext current() {
        Loaded now = loaded;
        List<Map<String, Object>> marks = marks();
        return marks.equals(now.marks) ? now.context : reload(marks);
    }

    private synchronized SslContext reload(List<Map<String, Object>> marks) {
        SslContext before = loaded.context;
        if (!marks.equals(loaded.marks)) { // Another connection may have been here first.
            try {
                loaded = new Loaded(marks, loader.get());
                log.info("TLS: took the changed {}", files);
            } catch (ConfigurationException e) {
                loaded = new Loaded(marks, before);
                log.warn("TLS: keeps what it has, since the changed files cannot be used: {}", e.getMessage());
            }
        }
        return loaded.context;
    }

    private List<Map<String, Object>> marks() {
        return files.stream()
                .map(file -> {
                    try {
                        return Files.readAttributes(file, MARKS);
                    } catch (IOException e) {
                        return Map.<String, Object>of(); // Missing, for example, while it is replaced.
                    }
                })
                .toList();
    }
}
