package dev.d8.version;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import dev.d8.UpdateRefusedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

/** A clone of a real repository and what it lets itself be brought to. */
class CheckoutTest {

    @TempDir
    Path dir;

    private final Logger logger = (Logger) LoggerFactory.getLogger(Checkout.class);
    private TestGit origin = new TestGit(Path.of(""));
    private TestGit clone = new TestGit(Path.of(""));
    private String before = "";

    @BeforeEach
    void cloneIt() throws Exception {
        logger.setLevel(Level.OFF); // What is refused is in the exception.
        origin = TestGit.sample(dir.resolve("origin"));
        clone = cloned("clone");
        before = clone.head();
    }

    @AfterEach
    void talkAgain() {
        logger.setLevel(null);
    }

    private TestGit cloned(String name, String... options) throws Exception {
        Path to = dir.resolve(name);
        String[] command = Stream.of(
                        Stream.of("clone", "-q"),
                        Stream.of(options),
                        Stream.of(origin.dir().toUri().toString(), to.toString()))
                .flatMap(words -> words)
                .toArray(String[]::new);
        origin.run(command);
        return new TestGit(to);
    }

    private static void update(TestGit git, String commit) {
        Checkout checkout = Checkout.of(git.dir());
        checkout.fetch(commit);
        checkout.fastForward(commit);
    }

    /** Adds, changes and removes files on the other side, and returns the commit. */
    private String news() throws Exception {
        Files.delete(origin.dir().resolve("src/deep/b.txt"));
        Files.delete(origin.dir().resolve("link"));
        return origin.write("a.txt", "three\n")
                .write("new/deep/c.txt", "c\n")
                .write("link", "a file now\n")
                .commit("news")
                .head();
    }

    private void assertIsAt(String commit) throws Exception {
        assertThat(clone.head()).isEqualTo(commit);
        assertThat(clone.run("status", "--porcelain")).isEmpty();
        assertThat(clone.run("diff", "--stat", commit)).isEmpty();
        assertThat(clone.run("symbolic-ref", "HEAD")).isEqualTo("refs/heads/main");
        assertThat(clone.dir().resolve(".git/d8-update")).doesNotExist();
    }

    private void refused(String commit, String... told) throws Exception {
        assertThatThrownBy(() -> update(clone, commit))
                .isInstanceOfSatisfying(
                        UpdateRefusedException.class,
                        e -> assertThat(e.reason()).isEqualTo(UpdateRefusedException.Reason.IMPOSSIBLE))
                .message()
                .contains(told)
                .doesNotContain(dir.toString());
        assertThat(clone.head()).isEqualTo(before);
        assertThat(clone.dir().resolve(".git/d8-update")).doesNotExist();
    }

    @Test
    void a_clean_clone_is_brought_to_the_commit_that_its_remote_has() throws Exception {
        String middle = news();
        String last = origin.write("a.txt", "four\n").commit("more").head();
        update(clone, middle); // Not as far as the remote's branch.
        assertIsAt(middle);
        assertThat(clone.dir().resolve("src")).doesNotExist();
        assertThat(clone.dir().resolve("new/deep/c.txt")).hasContent("c");
        update(clone, last);
        assertIsAt(last);
        update(clone, last);
        assertIsAt(last);
    }

    @Test
    void fetching_alone_changes_no_file_and_no_branch() throws Exception {
        String commit = news();
        Checkout.of(clone.dir()).fetch(commit);
        assertIsAt(before);
        assertThat(clone.run("rev-parse", "origin/main")).isEqualTo(commit);
    }

    @Test
    void any_folder_of_the_checkout_will_do() throws Exception {
        String commit = news();
        Checkout checkout = Checkout.of(clone.dir().resolve("src"));
        checkout.fetch(commit);
        checkout.fastForward(commit);
        assertIsAt(commit);
    }

    @Test
    void an_untracked_file_that_is_not_in_the_way_stays() throws Exception {
        clone.write("mine.txt", "mine\n")
                .write(".git/info/exclude", "ignored/\n")
                .write("ignored/x", "x\n");
        String commit = news();
        update(clone, commit);
        assertThat(clone.head()).isEqualTo(commit);
        assertThat(clone.dir().resolve("mine.txt")).hasContent("mine");
        assertThat(clone.dir().resolve("ignored/x")).hasContent("x");
    }

    @Test
    void another_branch_than_main_and_another_remote_than_origin_are_followed() throws Exception {
        origin.run("checkout", "-q", "-b", "release/1");
        TestGit other = cloned("other", "-o", "upstream");
        String commit = news();
        update(other, commit);
        assertThat(other.head()).isEqualTo(commit);
    }

    @Test
    void a_shallow_clone_is_brought_forward_too() throws Exception {
        clone = cloned("shallow", "--depth", "1");
        assertThat(clone.run("rev-list", "--count", "HEAD")).isEqualTo("1");
        String commit = news();
        update(clone, commit);
        assertIsAt(commit);
    }

    @Test
    void a_linked_work_tree_is_brought_forward_too() throws Exception {
        clone.run(
                "worktree",
                "add",
                "-q",
                "-b",
                "side",
                "--track",
                dir.resolve("linked").toString(),
                "origin/main");
        TestGit linked = new TestGit(dir.resolve("linked"));
        String commit = news();
        update(linked, commit);
        assertThat(linked.head()).isEqualTo(commit);
        assertThat(linked.saysDirty()).isFalse();
        assertIsAt(before);
    }

    @Test
    void a_clone_with_commits_of_its_own_is_left_alone() throws Exception {
        before = clone.write("own.txt", "own\n").commit("own").head();
        refused(news(), "not a fast-forward", before);
    }

    @Test
    void nothing_goes_back() throws Exception {
        String older = origin.run("rev-parse", "HEAD~1");
        refused(older, "not a fast-forward");
    }

    @Test
    void a_commit_of_another_branch_is_refused() throws Exception {
        origin.run("checkout", "-q", "-b", "side");
        String commit = news();
        refused(commit, "origin/main does not have the commit " + commit);
        clone.run("fetch", "-q", "origin", "side");
        refused(commit, "origin/main does not have the commit");
    }

    @Test
    void a_commit_that_is_here_and_not_on_the_remote_is_refused() throws Exception {
        String mine = clone.write("own.txt", "own\n").commit("own").head();
        clone.run("reset", "-q", "--hard", before);
        refused(mine, "origin/main does not have the commit");
    }

    @Test
    void a_commit_that_the_remote_has_taken_back_is_refused() throws Exception {
        String withdrawn = news();
        clone.run("fetch", "-q");
        origin.run("reset", "-q", "--hard", "HEAD~1");
        refused(withdrawn, "origin/main does not have the commit");
    }

    @Test
    void what_is_no_commit_is_refused() throws Exception {
        refused("0".repeat(40), "origin/main does not have the commit");
        refused(origin.run("rev-parse", "HEAD:a.txt"), "the slave's git checkout cannot be updated");
    }

    @Test
    void a_changed_tracked_file_stops_it_in_the_index_or_on_the_disk() throws Exception {
        String commit = news();
        clone.write("run.sh", "#!/bin/sh\necho mine\n");
        refused(commit, "tracked files of the checkout have uncommitted changes");
        clone.run("add", "run.sh");
        refused(commit, "tracked files of the checkout have uncommitted changes");
        assertThat(clone.dir().resolve("run.sh")).content().contains("mine");
    }

    @Test
    void an_untracked_file_in_the_way_stops_it_ignored_or_not() throws Exception {
        String commit = news();
        clone.write("new/deep/c.txt", "mine\n");
        refused(commit, "the untracked file new/deep/c.txt is in the way");
        clone.write(".git/info/exclude", "new\n");
        refused(commit, "the untracked file new/deep/c.txt is in the way");
        assertThat(clone.dir().resolve("new/deep/c.txt")).hasContent("mine");
    }

    @Test
    void an_untracked_file_or_link_in_the_place_of_a_folder_stops_it() throws Exception {
        String commit = news();
        clone.write("new", "mine\n");
        refused(commit, "the untracked file new is in the way");
        Files.delete(clone.dir().resolve("new"));
        Files.createDirectories(dir.resolve("elsewhere/deep"));
        Files.createSymbolicLink(clone.dir().resolve("new"), dir.resolve("elsewhere"));
        refused(commit, "the untracked file new is in the way");
        assertThat(dir.resolve("elsewhere/deep")).isEmptyDirectory();
    }

    @Test
    void a_folder_with_something_of_the_owners_is_not_replaced_by_a_file() throws Exception {
        origin.run("rm", "-q", "-r", "src");
        String commit = origin.write("src", "a file now\n").commit("flat").head();
        clone.write("src/mine.txt", "mine\n");
        refused(commit, "the untracked file src/mine.txt is in the way");
        Files.delete(clone.dir().resolve("src/mine.txt"));
        update(clone, commit);
        assertIsAt(commit);
        String back = originFolder();
        update(clone, back);
        assertIsAt(back);
    }

    private String originFolder() throws Exception {
        Files.delete(origin.dir().resolve("src"));
        return origin.write("src/deep/b.txt", "two\n").commit("deep").head();
    }

    @Test
    void a_detached_head_follows_no_branch() throws Exception {
        clone.run("checkout", "-q", "--detach");
        refused(news(), "its head is detached");
    }

    @Test
    void a_branch_that_follows_nothing_says_how_to_have_it_follow() throws Exception {
        String commit = news();
        clone.run("branch", "--unset-upstream");
        refused(commit, "the branch main follows no branch of a remote", "git branch --set-upstream-to=origin/main");
        clone.run("checkout", "-q", "-b", "local", "--track", "main");
        refused(commit, "the branch local follows no branch of a remote");
    }

    @Test
    void a_folder_that_is_no_checkout_is_refused() throws Exception {
        assertThatThrownBy(() -> update(new TestGit(Files.createDirectories(dir.resolve("plain"))), "0".repeat(40)))
                .isInstanceOf(UpdateRefusedException.class)
                .hasMessage("the slave stands in no git checkout");
        TestGit bare = cloned("bare", "--bare");
        assertThatThrownBy(() -> update(bare, "0".repeat(40))).hasMessage("the slave stands in no git checkout");
        assertThat(Checkout.of(dir.resolve("plain")).recover()).isFalse();
    }

    @Test
    void a_changed_submodule_is_refused() throws Exception {
        TestGit module = TestGit.sample(dir.resolve("module"));
        origin.run("submodule", "--quiet", "add", module.dir().toUri().toString(), "sub");
        refused(origin.commit("with a module").head(), "the submodule sub differs");
    }

    @Test
    void a_remote_that_cannot_be_reached_is_told_without_its_address() throws Exception {
        clone.run("remote", "set-url", "origin", "http://user:secret@127.0.0.1:1/repository.git");
        refusedQuietly("Connection refused");
        clone.run("remote", "set-url", "origin", dir.resolve("nowhere").toUri().toString());
        refusedQuietly("cannot fetch origin/main: ");
        clone.run("remote", "set-url", "origin", dir.resolve("nowhere").toString());
        refusedQuietly("cannot fetch origin/main: ");
        clone.run("remote", "set-url", "origin", "");
        refusedQuietly("");
    }

    private void refusedQuietly(String told) {
        assertThatThrownBy(() -> Checkout.of(clone.dir()).fetch("0".repeat(40)))
                .isInstanceOf(UpdateRefusedException.class)
                .message()
                .contains(told)
                .doesNotContain("secret", "nowhere", "repository.git", "\n");
    }

    @Test
    void an_update_that_was_cut_off_before_the_branch_moved_is_undone() throws Exception {
        String commit = news();
        Checkout.of(clone.dir()).fetch(commit);
        clone.write(".git/d8-update", before + " " + commit + "\n")
                .write(".git/index.lock", "")
                .write("a.txt", "three\n")
                .write("new/deep/c.txt", "half of");
        Files.delete(clone.dir().resolve("src/deep/b.txt"));
        assertThat(Checkout.of(clone.dir()).recover()).isTrue();
        assertIsAt(before);
        assertThat(clone.dir().resolve("new/deep/c.txt")).doesNotExist();
        assertThat(Checkout.of(clone.dir()).recover()).isFalse();
        update(clone, commit);
        assertIsAt(commit);
    }

    @Test
    void an_update_that_was_cut_off_between_the_index_and_the_branch_is_undone() throws Exception {
        String commit = news();
        Checkout.of(clone.dir()).fetch(commit);
        clone.write(".git/d8-update", before + " " + commit + "\n");
        clone.run("read-tree", "-u", "-m", before, commit);
        assertThat(clone.saysDirty()).isTrue();
        assertThat(Checkout.of(clone.dir()).recover()).isTrue();
        assertIsAt(before);
    }

    @Test
    void an_update_that_was_cut_off_once_the_branch_had_moved_is_kept() throws Exception {
        String commit = news();
        update(clone, commit);
        clone.write(".git/d8-update", before + " " + commit + "\n").write("a.txt", "half of");
        assertThat(Checkout.of(clone.dir()).recover()).isTrue();
        assertIsAt(commit);
    }

    @Test
    void a_journal_that_is_half_written_or_out_of_date_changes_nothing() throws Exception {
        String commit = news();
        clone.write(".git/d8-update", before + " " + commit.substring(1)).write("a.txt", "mine\n");
        assertThat(Checkout.of(clone.dir()).recover()).isFalse();
        clone.write(".git/d8-update", "1".repeat(40) + " " + "2".repeat(40) + "\n");
        assertThat(Checkout.of(clone.dir()).recover()).isFalse();
        assertThat(clone.dir().resolve("a.txt")).hasContent("mine");
        assertThat(clone.dir().resolve(".git/d8-update")).doesNotExist();
    }

    @Test
    void an_update_that_fails_half_way_is_undone_at_once() throws Exception {
        String commit = news();
        Checkout checkout = Checkout.of(clone.dir());
        checkout.fetch(commit);
        // A ref that cannot be locked: by then the files are there.
        clone.write(".git/refs/heads/main.lock", "");
        assertThatThrownBy(() -> checkout.fastForward(commit)).isInstanceOf(UpdateRefusedException.class);
        Files.delete(clone.dir().resolve(".git/refs/heads/main.lock"));
        assertIsAt(before);
        assertThat(clone.dir().resolve("new/deep/c.txt")).doesNotExist();
        update(clone, commit);
        assertIsAt(commit);
    }
}
