package dev.d8.transport.netty;

import dev.d8.ConfigurationException;
import dev.d8.spi.Options;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** The settings of TLS; {@link NettyTransportProvider} says what each means. */
record TlsSettings(
        @Nullable Identity server,
        Optional<Path> clientCa,
        Optional<Path> ca,
        @Nullable Identity client,
        Duration handshakeTimeout) {

    /**
     * Where a certificate and its key are.
     *
     * @param option the certificate's option
     * @param keyOption the key's option
     */
    record Identity(String option, Path cert, String keyOption, Path key) {}

    static TlsSettings read(Options options) {
        return new TlsSettings(
                identity(options, "tls_cert", "tls_key"),
                options.path("tls_client_ca"),
                options.path("tls_ca"),
                identity(options, "tls_client_cert", "tls_client_key"),
                options.duration("tls_handshake_timeout", Duration.ofSeconds(5)));
    }

    private static @Nullable Identity identity(Options options, String option, String keyOption) {
        Optional<Path> cert = options.path(option);
        Optional<Path> key = options.path(keyOption);
        if (cert.isPresent() != key.isPresent()) {
            throw new ConfigurationException(
                    named(cert.isPresent() ? keyOption : option) + ": missing (a certificate and its key go together)");
        }
        return cert.isEmpty() ? null : new Identity(option, cert.get(), keyOption, key.orElseThrow());
    }

    /** Returns an option as people write it: for a library, and in brackets for the launcher. */
    static String named(String option) {
        return "option http." + option + " (--" + option.replace('_', '-') + ")";
    }
}
