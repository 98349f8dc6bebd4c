package dev.d8.launcher;

import dev.d8.master.ConnectionPolicy;
import dev.d8.master.SlaveManager;
import dev.d8.master.VersionPolicy;
import dev.d8.version.VersionProvider;
import java.nio.file.Path;
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

    /** Starts a manager with these settings. */
    SlaveManager.Builder manager(ConnectionPolicy connections) {
        return SlaveManager.builder()
                .token(token.token())
                .version(version(commit, Path.of("")))
                .versionPolicy(policy)
                .connectionPolicy(connections);
    }

    /** Returns who knows what a process runs: the commit that was named, else {@code D8_COMMIT}, else a checkout. */
    static VersionProvider version(@Nullable String commit, Path checkout) {
        String named = commit != null ? commit : System.getenv("D8_COMMIT");
        if (named != null && !named.isEmpty()) {
            return VersionProvider.configured(named);
        }
        return () -> {
            QuietGit.install();
            return VersionProvider.git(checkout.toAbsolutePath()).find();
        };
    }
}
