package dev.d8.version;

import dev.d8.VersionInfo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.eclipse.jgit.api.Git;
import org.eclipse.jgit.api.errors.GitAPIException;
import org.eclipse.jgit.lib.Constants;
import org.eclipse.jgit.lib.ObjectId;
import org.eclipse.jgit.lib.Ref;
import org.eclipse.jgit.lib.Repository;
import org.eclipse.jgit.lib.RepositoryBuilder;
import org.eclipse.jgit.lib.RepositoryCache.FileKey;
import org.eclipse.jgit.submodule.SubmoduleWalk.IgnoreSubmoduleMode;
import org.eclipse.jgit.util.FS;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Asks the git repository which a directory belongs to. */
final class GitVersionProvider implements VersionProvider {

    private static final Logger LOG = LoggerFactory.getLogger(GitVersionProvider.class);

    private final Path directory;

    GitVersionProvider(Path directory) {
        this.directory = directory;
    }

    @Override
    public Optional<VersionInfo> find() {
        try {
            Optional<Repository> found = open(directory);
            if (found.isEmpty()) {
                return Optional.empty();
            }
            try (Repository repository = found.get()) {
                return read(repository);
            }
        } catch (IOException | GitAPIException | RuntimeException e) {
            LOG.warn("Cannot read the git repository of {}, so its commit is unknown: {}", directory, e.toString());
            return Optional.empty();
        }
    }

    /** Opens the repository that a directory belongs to; nothing if it belongs to none. */
    static Optional<Repository> open(Path directory) throws IOException {
        Optional<RepositoryBuilder> found = Files.isDirectory(directory) ? search(directory) : Optional.empty();
        return found.isPresent() ? Optional.of(found.get().setMustExist(true).build()) : Optional.empty();
    }

    /** Not the builder's own search: that passes over a damaged repository and takes one around it for the answer. */
    private static Optional<RepositoryBuilder> search(Path directory) throws IOException {
        for (Path dir = directory.toRealPath(); dir != null; dir = dir.getParent()) {
            Path dotGit = dir.resolve(Constants.DOT_GIT);
            if (Files.isRegularFile(dotGit) || Files.isDirectory(dotGit.resolve(Constants.OBJECTS))) {
                return Optional.of(new RepositoryBuilder().setWorkTree(dir.toFile()));
            }
            if (FileKey.isGitRepository(dir.toFile(), FS.DETECTED)) {
                return Optional.of(new RepositoryBuilder().setGitDir(dir.toFile()));
            }
        }
        return Optional.empty();
    }

    private static Optional<VersionInfo> read(Repository repository) throws IOException, GitAPIException {
        Ref head = repository.exactRef(Constants.HEAD);
        if (head == null
                || (head.isSymbolic()
                        && !Repository.isValidRefName(head.getTarget().getName()))) {
            throw new IOException(repository + ": its head is neither a commit nor a branch");
        }
        ObjectId commit = head.getObjectId();
        if (commit == null) {
            return Optional.empty();
        }
        String branch =
                head.isSymbolic() ? Repository.shortenRefName(head.getTarget().getName()) : Constants.HEAD;
        boolean dirty = !repository.isBare() && isDirty(repository);
        return Optional.of(new VersionInfo(commit.name(), D8Release.NAME, branch, dirty));
    }

    /** Returns whether a tracked file differs from the commit, in the index or on disk. */
    static boolean isDirty(Repository repository) throws GitAPIException {
        return Git.wrap(repository)
                .status()
                .setIgnoreSubmodules(IgnoreSubmoduleMode.UNTRACKED)
                .call()
                .hasUncommittedChanges();
    }
}
