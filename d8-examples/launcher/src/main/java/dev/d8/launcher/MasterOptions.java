package dev.d8.launcher;

import dev.d8.ConfigurationException;
import dev.d8.master.ConnectionPolicy;
import dev.d8.master.SlaveManager;
import dev.d8.master.VersionPolicy;
import dev.d8.spi.Options;
import dev.d8.version.VersionProvider;
import java.net.URI;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** What every command on the master's side takes. */
final class MasterOptions {

    @Mixin
    private final TokenOptions token = new TokenOptions();

    @Option(
            names = "--commit",
            paramLabel = "SHA",
            description = "the commit that this side runs (default: D8_COMMIT, else the git checkout it stands in)")
    private @Nullable String commit;

    @Option(
            names = "--version-policy",
            paramLabel = "POLICY",
            defaultValue = "refuse",
            description = "for a slave that runs another commit: ${COMPLETION-CANDIDATES} (default: refuse)")
    private VersionPolicy policy = VersionPolicy.REFUSE;

    @Option(
            names = "--selector",
            paramLabel = "NAME",
            defaultValue = "least_loaded",
            description = "who chooses among slaves: least_loaded, lowest_latency, round_robin, sticky, or a plugin's"
                    + " (default: least_loaded)")
    private String selector = "least_loaded";

    @Option(
            names = "--tls-ca",
            paramLabel = "FILE",
            description = "whose slaves to trust: a CA's certificate, or the slave's own (default: Java's CAs)")
    private @Nullable Path tlsCa;

    @Option(
            names = "--tls-client-cert",
            paramLabel = "FILE",
            description = "the certificate to show to a slave that wants one")
    private @Nullable Path tlsClientCert;

    @Option(names = "--tls-client-key", paramLabel = "FILE", description = "its key, which others cannot read")
    private @Nullable Path tlsClientKey;

    /** Returns an address with its scheme: where none was given, https if there is a setting of TLS, else http. */
    URI complete(URI slave) {
        return slave.getScheme() != null ? slave : URI.create((tls().isEmpty() ? "http:" : "https:") + slave);
    }

    private Map<String, String> tls() {
        Map<String, String> options = new HashMap<>();
        put(options, "http.tls_ca", tlsCa);
        put(options, "http.tls_client_cert", tlsClientCert);
        put(options, "http.tls_client_key", tlsClientKey);
        return options;
    }

    /** Sets a file as a plugin's option, if it was given. */
    static void put(Map<String, String> options, String name, @Nullable Path file) {
        if (file != null) {
            options.put(name, file.toString());
        }
    }

    /** Returns a secret, as {@link TokenOptions#secret}. */
    String secret(String option, String name) {
        return token.secret(option, name);
    }

    /**
     * Starts a manager with these settings, for a command that is over soon.
     *
     * @throws ConfigurationException if it is to have slaves updated, which takes longer
     */
    SlaveManager.Builder manager(ConnectionPolicy connections) {
        if (policy == VersionPolicy.UPDATE) {
            throw new ConfigurationException(
                    "--version-policy: update (expected: refuse, warn or ignore; only d8 master stays to see an update through)");
        }
        return watching(connections);
    }

    /** Starts a manager with these settings, for a command that stays. */
    SlaveManager.Builder watching(ConnectionPolicy connections) {
        return SlaveManager.builder()
                .token(token.token())
                .options(Options.of(tls()))
                .version(version(commit, Path.of("")))
                .versionPolicy(policy)
                .selector(selector)
                .connectionPolicy(connections);
    }

    /** Returns who knows what a process runs: the commit that was named, else {@code D8_COMMIT}, else a checkout. */
    static VersionProvider version(@Nullable String commit, Path checkout) {
        Optional<String> named = named(commit);
        if (named.isPresent()) {
            return VersionProvider.configured(named.get());
        }
        return () -> {
            QuietGit.install();
            return VersionProvider.git(checkout.toAbsolutePath()).find();
        };
    }

    /** Returns the commit that was named, else {@code D8_COMMIT}. */
    static Optional<String> named(@Nullable String commit) {
        return Optional.ofNullable(commit != null ? commit : System.getenv("D8_COMMIT"))
                .filter(name -> !name.isEmpty());
    }
}
