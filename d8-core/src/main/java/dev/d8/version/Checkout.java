package dev.d8.version;

import dev.d8.UpdateRefusedException;
import dev.d8.UpdateRefusedException.Reason;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import org.eclipse.jgit.api.Git;
import org.eclipse.jgit.api.MergeCommand.FastForwardMode;
import org.eclipse.jgit.api.MergeResult;
import org.eclipse.jgit.api.errors.GitAPIException;
import org.eclipse.jgit.api.errors.InvalidRemoteException;
import org.eclipse.jgit.api.errors.TransportException;
import org.eclipse.jgit.dircache.DirCacheCheckout;
import org.eclipse.jgit.lib.BranchConfig;
import org.eclipse.jgit.lib.ConfigConstants;
import org.eclipse.jgit.lib.Constants;
import org.eclipse.jgit.lib.ObjectId;
import org.eclipse.jgit.lib.Ref;
import org.eclipse.jgit.lib.Repository;
import org.eclipse.jgit.lib.StoredConfig;
import org.eclipse.jgit.lib.SubmoduleConfig.FetchRecurseSubmodulesMode;
import org.eclipse.jgit.revwalk.RevCommit;
import org.eclipse.jgit.revwalk.RevWalk;
import org.eclipse.jgit.transport.RefSpec;
import org.eclipse.jgit.transport.TagOpt;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A git checkout that can be brought forward to a commit of the branch that it follows. The commit is all that somebody else
 * chooses: where it comes from is what the repository's own configuration says. Blocking; used by one thread at a time.
 *
 * <p>Forward only: the commit is a descendant of the one that is checked out, and the remote's branch has it at that moment.
 * Nothing of the owner's is lost: no tracked file has changed, and no untracked one, ignored or not, is in the way.
 *
 * <p>What it is about to do is written down before the first file changes, so that one that was cut off is undone or finished
 * by {@link #recover}. As {@link VersionProvider#git}, it leaves JGit's switches to the application.
 */
public final class Checkout {

    private static final Logger LOG = LoggerFactory.getLogger(Checkout.class);

    /** How long a server may be silent. */
    private static final int SILENCE_SECONDS = 30;

    private static final String LOCK = ".lock";

    private final Path directory;

    private Checkout(Path directory) {
        this.directory = directory;
    }

    /**
     * Returns the checkout that a directory belongs to. It is looked for when it is needed.
     *
     * @param directory where to start; its parents are searched too
     */
    public static Checkout of(Path directory) {
        return new Checkout(directory);
    }

    /**
     * Fetches the branch that the checkout follows, and checks that it can be brought to a commit. No file changes.
     *
     * @param commit the full hash, 40 hexadecimal digits
     * @throws UpdateRefusedException if it cannot; the message says why, and nothing of the remote's address
     */
    public void fetch(String commit) {
        attempt(repository -> {
            Upstream upstream = upstream(repository);
            requireClean(repository);
            ObjectId wanted = ObjectId.fromString(commit);
            if (!wanted.equals(head(repository))) {
                fetch(repository, upstream);
                requireForward(repository, upstream, wanted);
            }
            return wanted;
        });
    }

    /**
     * Brings the files and the branch to a commit, once {@link #fetch} has had it; looks at everything again before.
     *
     * @param commit the full hash, 40 hexadecimal digits
     * @throws UpdateRefusedException if it cannot be done; then all is as before
     */
    public void fastForward(String commit) {
        attempt(repository -> {
            Upstream upstream = upstream(repository);
            requireClean(repository);
            ObjectId wanted = ObjectId.fromString(commit);
            ObjectId from = head(repository);
            if (!wanted.equals(from)) {
                requireForward(repository, upstream, wanted);
                forward(repository, new UpdateJournal.Entry(from, wanted));
            }
            return wanted;
        });
    }

    /**
     * Puts a checkout right whose update was cut off: back to the commit before, or on to the new one where that is checked
     * out already. What has been changed in it by hand since then is lost.
     *
     * @return whether there was something to put right: then what runs may be neither of the two
     * @throws UpdateRefusedException if it cannot be put right
     */
    public boolean recover() {
        try {
            Optional<Repository> found = GitVersionProvider.open(directory);
            if (found.isEmpty()) {
                return false;
            }
            try (Repository repository = found.get()) {
                UpdateJournal journal = new UpdateJournal(repository);
                Optional<UpdateJournal.Entry> entry = journal.read();
                boolean settled = false;
                if (entry.isPresent()) {
                    Files.deleteIfExists(Path.of(repository.getIndexFile() + LOCK)); // Of the process that was cut off.
                    settled = settle(repository, entry.get());
                    LOG.warn(
                            "an update from {} to {} was cut off; {}, at {}",
                            entry.get().from().name(),
                            entry.get().to().name(),
                            settled ? "the checkout is whole again" : "somebody has moved the checkout on since",
                            head(repository).name());
                }
                journal.delete();
                return settled;
            }
        } catch (IOException | RuntimeException e) {
            throw impossible("an update of " + directory + " was cut off, and cannot be undone: " + e);
        }
    }

    /** What is done with an open repository. */
    private interface Work {
        ObjectId in(Repository repository) throws IOException, GitAPIException;
    }

    private void attempt(Work work) {
        try {
            Optional<Repository> found = GitVersionProvider.open(directory);
            if (found.isEmpty() || found.get().isBare()) {
                found.ifPresent(Repository::close);
                throw impossible("the slave stands in no git checkout");
            }
            try (Repository repository = found.get()) {
                work.in(repository);
            }
        } catch (UpdateRefusedException e) {
            throw e;
        } catch (IOException | GitAPIException | RuntimeException e) {
            LOG.warn("cannot update the checkout {}", directory, e);
            throw impossible("the slave's git checkout cannot be updated: "
                    + e.getClass().getSimpleName() + ", and its log says more");
        }
    }

    private static UpdateRefusedException impossible(String why) {
        return new UpdateRefusedException(Reason.IMPOSSIBLE, why);
    }

    /**
     * The branch that the checkout follows.
     *
     * @param remote its name in the configuration
     * @param branch the remote's ref
     * @param tracking the ref that it is fetched to
     */
    private record Upstream(String remote, String branch, String tracking) {
        String name() {
            return Repository.shortenRefName(tracking);
        }
    }

    private static Upstream upstream(Repository repository) throws IOException {
        Ref head = repository.exactRef(Constants.HEAD);
        if (head == null || !head.isSymbolic() || head.getObjectId() == null) {
            throw impossible("the checkout is on no branch (its head is detached), so it follows none");
        }
        String branch = Repository.shortenRefName(head.getTarget().getName());
        StoredConfig config = repository.getConfig();
        BranchConfig follows = new BranchConfig(config, branch);
        String remote =
                config.getString(ConfigConstants.CONFIG_BRANCH_SECTION, branch, ConfigConstants.CONFIG_KEY_REMOTE);
        String merge = follows.getMerge();
        String tracking = follows.getTrackingBranch();
        if (remote == null || remote.equals(".") || merge == null || tracking == null) {
            throw impossible("the branch " + branch + " follows no branch of a remote; "
                    + "git branch --set-upstream-to=origin/" + branch + " on the slave sets one");
        }
        return new Upstream(remote, merge, tracking);
    }

    private static ObjectId head(Repository repository) throws IOException {
        return repository.resolve(Constants.HEAD);
    }

    private static void requireClean(Repository repository) throws GitAPIException {
        if (GitVersionProvider.isDirty(repository)) {
            throw impossible("tracked files of the checkout have uncommitted changes");
        }
    }

    private static void fetch(Repository repository, Upstream upstream) throws GitAPIException {
        try {
            Git.wrap(repository)
                    .fetch()
                    .setRemote(upstream.remote())
                    .setRefSpecs(new RefSpec("+" + upstream.branch() + ":" + upstream.tracking()))
                    .setTagOpt(TagOpt.NO_TAGS)
                    .setRecurseSubmodules(FetchRecurseSubmodulesMode.NO)
                    .setTimeout(SILENCE_SECONDS)
                    .call();
        } catch (TransportException | InvalidRemoteException e) {
            throw impossible(
                    "cannot fetch " + upstream.name() + ": " + FetchTrouble.of(repository, upstream.remote(), e));
        }
    }

    private static void requireForward(Repository repository, Upstream upstream, ObjectId wanted) throws IOException {
        try (RevWalk walk = new RevWalk(repository)) {
            Ref tip = repository.exactRef(upstream.tracking());
            boolean known = tip != null && repository.getObjectDatabase().has(wanted);
            if (!known || !walk.isMergedInto(walk.parseCommit(wanted), walk.parseCommit(tip.getObjectId()))) {
                throw impossible(upstream.name() + " does not have the commit " + wanted.name());
            }
            RevCommit from = walk.parseCommit(head(repository));
            RevCommit to = walk.parseCommit(wanted);
            if (!walk.isMergedInto(from, to)) {
                throw impossible("not a fast-forward: the checkout is at " + from.name() + ", which " + to.name()
                        + " does not come after");
            }
            TreeChange.between(repository, from, to)
                    .objection(repository.getWorkTree().toPath())
                    .ifPresent(why -> {
                        throw impossible(why);
                    });
        }
    }

    /** Either it is done, or all is as before; or the process ends in between, and the journal is there. */
    private static void forward(Repository repository, UpdateJournal.Entry entry) throws IOException, GitAPIException {
        UpdateJournal journal = new UpdateJournal(repository);
        journal.write(entry);
        boolean done = false;
        try {
            // First the files and the index, then the branch.
            MergeResult result = Git.wrap(repository)
                    .merge()
                    .include(entry.to())
                    .setFastForward(FastForwardMode.FF_ONLY)
                    .call();
            done = result.getMergeStatus() == MergeResult.MergeStatus.FAST_FORWARD;
            if (!done) {
                throw new IOException("git says " + result.getMergeStatus());
            }
        } finally {
            if (!done) {
                settle(repository, entry);
            }
            journal.delete();
        }
    }

    /** Makes the files those of the commit that the branch is at, if that is one of the two; returns whether it is. */
    private static boolean settle(Repository repository, UpdateJournal.Entry entry) throws IOException {
        ObjectId head = head(repository);
        if (!entry.from().equals(head) && !entry.to().equals(head)) {
            return false;
        }
        try (RevWalk walk = new RevWalk(repository)) {
            RevCommit from = walk.parseCommit(entry.from());
            RevCommit to = walk.parseCommit(entry.to());
            boolean back = from.equals(head);
            if (back) { // To git they would be untracked files.
                TreeChange.between(repository, from, to)
                        .removeAdded(repository.getWorkTree().toPath());
            }
            // No reset, which would want to write the branch, too.
            DirCacheCheckout files =
                    new DirCacheCheckout(repository, repository.lockDirCache(), (back ? from : to).getTree());
            files.setFailOnConflict(false);
            files.checkout();
        }
        return true;
    }
}
