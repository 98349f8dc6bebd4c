package dev.d8.version;

import dev.d8.VersionInfo;
import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;
import java.util.Properties;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reads the {@code git.properties} of the git-commit-id plugins. */
final class BuildPropertiesProvider implements VersionProvider {

    private static final Logger LOG = LoggerFactory.getLogger(BuildPropertiesProvider.class);
    private static final String RESOURCE = "git.properties";

    private final ClassLoader loader;

    BuildPropertiesProvider(ClassLoader loader) {
        this.loader = loader;
    }

    @Override
    public Optional<VersionInfo> find() {
        Properties properties = new Properties();
        try (InputStream in = loader.getResourceAsStream(RESOURCE)) {
            if (in == null) {
                return Optional.empty();
            }
            properties.load(in);
        } catch (IOException | IllegalArgumentException e) {
            LOG.warn("Ignoring {}: {}", RESOURCE, e.toString());
            return Optional.empty();
        }
        Optional<String> commit = value(properties, "git.commit.id.full").or(() -> value(properties, "git.commit.id"));
        if (commit.isEmpty() || !CommitName.isValid(commit.get())) {
            LOG.warn("Ignoring {}: it has no usable git.commit.id.full or git.commit.id", RESOURCE);
            return Optional.empty();
        }
        return Optional.of(new VersionInfo(
                commit.get(),
                value(properties, "git.build.version").orElse(D8Release.NAME),
                branch(properties, commit.get()),
                Boolean.parseBoolean(properties.getProperty("git.dirty"))));
    }

    /** The plugins put the commit where a branch would be when the head is detached. */
    private static String branch(Properties properties, String commit) {
        String branch = value(properties, "git.branch").orElse(VersionInfo.UNKNOWN);
        return branch.equals(commit) ? "HEAD" : branch;
    }

    private static Optional<String> value(Properties properties, String name) {
        return Optional.ofNullable(properties.getProperty(name))
                .map(String::strip)
                .filter(value -> !value.isEmpty() && !value.startsWith("${"));
    }
}
