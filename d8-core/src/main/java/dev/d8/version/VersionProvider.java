package dev.d8.version;

import dev.d8.ConfigurationException;
import dev.d8.VersionInfo;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * One way to find out which code this process runs.
 *
 * <p>Masters and slaves ask once, when they start: the code that was loaded does not change when the files do.
 *
 * <pre>{@code
 * VersionProvider.firstOf(VersionProvider.git(Path.of(".")), VersionProvider.buildProperties()).version()
 * }</pre>
 *
 * The providers here are immutable and thread-safe. Where a source does not name a release, D8's own is taken.
 */
@FunctionalInterface
public interface VersionProvider {

    /**
     * Looks for the version.
     *
     * @return empty where this source does not know; a source that is there but broken is logged once and does not know
     */
    Optional<VersionInfo> find();

    /** Returns what {@link #find} finds, or D8's own release with an {@linkplain VersionInfo#UNKNOWN unknown} commit. */
    default VersionInfo version() {
        return find().orElseGet(() -> new VersionInfo(VersionInfo.UNKNOWN, D8Release.NAME, VersionInfo.UNKNOWN, false));
    }

    /** Returns a provider that always knows this version. */
    static VersionProvider of(VersionInfo version) {
        Optional<VersionInfo> known = Optional.of(version);
        return () -> known;
    }

    /**
     * Returns a provider that always knows this commit; the branch is unknown, and nothing counts as uncommitted.
     *
     * @param commit 1 to 64 characters without white space or control characters
     * @throws ConfigurationException if the commit is malformed
     */
    static VersionProvider configured(String commit) {
        return configured(commit, VersionInfo.UNKNOWN);
    }

    /**
     * Returns a provider that always knows this commit and branch; nothing counts as uncommitted.
     *
     * @param commit 1 to 64 characters without white space or control characters
     * @param branch the branch's short name
     * @throws ConfigurationException if the commit is malformed
     */
    static VersionProvider configured(String commit, String branch) {
        return of(new VersionInfo(CommitName.check(commit), D8Release.NAME, branch, false));
    }

    /**
     * Returns a provider that asks the git repository which a directory belongs to: any directory of a work tree, of a
     * linked work tree or of a submodule, or a bare repository.
     *
     * <p>The branch is its short name, and {@code HEAD} where the head is detached. The code is dirty where a tracked
     * file differs from the commit, in the index or on disk; untracked files do not count. Without a repository, or
     * before its first commit, the provider does not know. A damaged repository is logged, and the provider does not
     * know either.
     *
     * <p>The repository is read with JGit, and JGit keeps its switches for the whole process. D8 is a guest there and
     * leaves them alone, so they are the application's to set, before the first call. As JGit comes, the first use in
     * a process runs {@code git} to find the system's configuration and may measure the file system, which takes
     * seconds, makes short-lived files in the repository and keeps the result in the user's home; and a clean filter
     * that the configuration names (LFS has one) is run for a file that was touched. An application that wants none of
     * it installs an {@code org.eclipse.jgit.util.SystemReader} of its own.
     *
     * @param directory where to start; its parents are searched too
     */
    static VersionProvider git(Path directory) {
        return new GitVersionProvider(directory);
    }

    /**
     * Returns a provider that reads the {@code git.properties} which the git-commit-id Maven and Gradle plugins put into
     * a jar, as the thread's context class loader finds it.
     */
    static VersionProvider buildProperties() {
        ClassLoader context = Thread.currentThread().getContextClassLoader();
        return buildProperties(context == null ? ClassLoader.getSystemClassLoader() : context);
    }

    /**
     * Returns a provider that reads the resource {@code git.properties} from a class loader: {@code git.commit.id.full}
     * or {@code git.commit.id}, {@code git.branch}, {@code git.build.version} and {@code git.dirty}.
     *
     * @param loader the loader of the code whose version is wanted; the first such resource that it finds counts
     */
    static VersionProvider buildProperties(ClassLoader loader) {
        return new BuildPropertiesProvider(loader);
    }

    /** Returns a provider that asks others in this order and takes the first answer. */
    static VersionProvider firstOf(VersionProvider... providers) {
        List<VersionProvider> all = List.of(providers);
        return () -> all.stream().flatMap(provider -> provider.find().stream()).findFirst();
    }
}
