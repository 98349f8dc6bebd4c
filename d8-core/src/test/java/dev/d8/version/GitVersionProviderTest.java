package dev.d8.version;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.d8.VersionInfo;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

class GitVersionProviderTest {

    @TempDir
    Path dir;

    private final Logger logger = (Logger) LoggerFactory.getLogger(GitVersionProvider.class);
    private final ListAppender<ILoggingEvent> log = new ListAppender<>();

    @BeforeEach
    void listenToTheLog() {
        log.start();
        logger.addAppender(log);
    }

    @AfterEach
    void leaveTheLog() {
        logger.detachAppender(log);
    }

    @Test
    void a_clean_checkout_is_known_by_commit_and_branch() throws Exception {
        TestGit git = TestGit.sample(dir);

        assertAgrees(git, git.dir());
        assertThat(find(dir)).isEqualTo(new VersionInfo(git.head(), D8Release.NAME, "main", false));
        assertThat(warnings()).isEmpty();
    }

    @Test
    void a_branch_name_may_have_slashes() throws Exception {
        TestGit git = TestGit.sample(dir);
        git.run("checkout", "-q", "-b", "feature/x/y");

        assertThat(find(dir).branch()).isEqualTo("feature/x/y");
        assertAgrees(git, dir);
    }

    @Test
    void a_detached_head_is_called_head() throws Exception {
        TestGit git = TestGit.sample(dir);
        git.run("checkout", "-q", "--detach", "HEAD~1");

        assertThat(find(dir).branch()).isEqualTo("HEAD");
        assertAgrees(git, dir);
    }

    @Test
    void any_subdirectory_finds_the_repository() throws Exception {
        TestGit git = TestGit.sample(dir);

        assertAgrees(git, dir.resolve("src/deep"));
    }

    @Test
    void a_directory_is_found_through_a_symbolic_link() throws Exception {
        TestGit git = TestGit.sample(dir.resolve("repository"));
        Path link = Files.createSymbolicLink(dir.resolve("elsewhere"), git.dir().resolve("src"));

        assertAgrees(git, link);
    }

    @Test
    void packed_refs_and_objects_are_read() throws Exception {
        TestGit git = TestGit.sample(dir);
        git.run("gc", "-q", "--aggressive");
        assertThat(dir.resolve(".git/refs/heads/main")).doesNotExist();

        assertAgrees(git, dir);
        git.write("a.txt", "three\n").commit("third");
        assertAgrees(git, dir);
    }

    @Test
    void a_branch_that_others_end_with_is_not_mixed_up() throws Exception {
        TestGit git = TestGit.sample(dir);
        git.run("branch", "a-main", "HEAD~1");
        git.run("update-ref", "refs/remotes/refs/heads/main", "HEAD~1");
        git.run("pack-refs", "--all");

        assertAgrees(git, dir);
    }

    @Test
    void a_linked_work_tree_has_its_own_head_and_the_common_branches() throws Exception {
        TestGit git = TestGit.sample(dir.resolve("main"));
        git.run("branch", "older", "HEAD~1");
        git.run("pack-refs", "--all");
        git.run("worktree", "add", "-q", "../linked", "older");
        TestGit linked = new TestGit(dir.resolve("linked"));
        assertThat(linked.dir().resolve(".git")).isRegularFile();

        assertThat(find(linked.dir()).branch()).isEqualTo("older");
        assertThat(linked.head()).isNotEqualTo(git.head());
        assertAgrees(linked, linked.dir().resolve("src"));
        linked.write("a.txt", "changed\n");
        assertAgrees(linked, linked.dir());
        assertAgrees(git, git.dir());

        linked.run("checkout", "-q", "-f", "--detach", "main");
        assertThat(find(linked.dir()).branch()).isEqualTo("HEAD");
        assertAgrees(linked, linked.dir());
    }

    @Test
    void a_submodule_is_a_repository_and_its_changes_count_outside() throws Exception {
        TestGit library = TestGit.sample(dir.resolve("library"));
        TestGit outer = TestGit.sample(dir.resolve("outer"));
        outer.run("submodule", "add", "-q", library.dir().toString(), "lib");
        outer.commit("with a library");
        TestGit inner = new TestGit(outer.dir().resolve("lib"));
        assertThat(inner.dir().resolve(".git")).isRegularFile();

        assertAgrees(inner, inner.dir().resolve("src"));
        assertAgrees(outer, outer.dir());

        inner.write("untracked.txt", "new\n");
        assertThat(find(outer.dir()).dirty()).isFalse();
        assertAgrees(outer, outer.dir());
        inner.write("a.txt", "changed\n");
        assertThat(find(outer.dir()).dirty()).isTrue();
        assertAgrees(outer, outer.dir());
        inner.run("checkout", "-q", "-f", "HEAD~1");
        assertThat(find(outer.dir()).dirty()).isTrue();
        assertAgrees(outer, outer.dir());
        outer.run("clone", "-q", ".", "../without");
        TestGit without = new TestGit(dir.resolve("without"));
        assertThat(find(without.dir()).dirty()).isFalse();
        assertAgrees(without, without.dir());
    }

    @Test
    void objects_may_be_borrowed_from_another_repository() throws Exception {
        TestGit git = TestGit.sample(dir.resolve("origin"));
        git.run("clone", "-q", "--shared", ".", "../borrower");
        TestGit borrower = new TestGit(dir.resolve("borrower"));

        assertThat(find(borrower.dir()).dirty()).isFalse();
        assertAgrees(borrower, borrower.dir());
    }

    @Test
    void a_shallow_clone_is_known() throws Exception {
        TestGit git = TestGit.sample(dir.resolve("origin"));
        git.run("clone", "-q", "--depth", "1", git.dir().toUri().toString(), "../shallow");
        TestGit shallow = new TestGit(dir.resolve("shallow"));

        assertAgrees(shallow, shallow.dir());
    }

    @Test
    void a_bare_repository_has_a_head_and_no_changes() throws Exception {
        TestGit git = TestGit.sample(dir.resolve("origin"));
        git.run("clone", "-q", "--bare", ".", "../bare.git");

        assertThat(find(dir.resolve("bare.git"))).isEqualTo(find(git.dir()));
    }

    @Test
    void untracked_files_do_not_make_it_dirty() throws Exception {
        TestGit git = TestGit.sample(dir);
        git.write("new.txt", "x").write("src/new.txt", "y");

        assertThat(find(dir).dirty()).isFalse();
        assertAgrees(git, dir);
    }

    @Test
    void every_kind_of_change_makes_it_dirty() throws Exception {
        Path a = dir.resolve("a.txt");
        assertDirtyAfter(git -> git.write("a.txt", "longer than it was before\n"));
        assertDirtyAfter(git -> git.write("a.txt", "one and MORE\n"));
        assertDirtyAfter(git -> git.write("a.txt", ""));
        assertDirtyAfter(git -> Files.delete(a));
        assertDirtyAfter(git -> git.run(
                "add", git.write("new.txt", "x").dir().resolve("new.txt").toString()));
        assertDirtyAfter(git -> git.run("rm", "-q", "--cached", "a.txt"));
        assertDirtyAfter(git -> git.run("mv", "a.txt", "b.txt"));
        assertDirtyAfter(git -> git.run(
                "add", "-N", git.write("n.txt", "x").dir().resolve("n.txt").toString()));
        assertDirtyAfter(git -> dir.resolve("run.sh").toFile().setExecutable(false));
        assertDirtyAfter(git -> a.toFile().setExecutable(true));
        assertDirtyAfter(git -> git.run("update-index", "--chmod=+x", "a.txt"));
        assertDirtyAfter(git -> {
            Files.delete(dir.resolve("link"));
            Files.createSymbolicLink(dir.resolve("link"), Path.of("b.txt"));
        });
        assertDirtyAfter(git -> {
            Files.delete(dir.resolve("link"));
            git.write("link", "a.txt");
        });
        assertDirtyAfter(git -> {
            Files.delete(dir.resolve("src/deep/b.txt"));
            Files.delete(dir.resolve("src/deep"));
            git.write("src/deep", "a file now");
        });
        assertDirtyAfter(git -> Files.delete(dir.resolve(".git/index")));
    }

    @Test
    void touching_a_file_is_no_change() throws Exception {
        TestGit git = TestGit.sample(dir);
        Files.setLastModifiedTime(dir.resolve("a.txt"), FileTime.fromMillis(1_000_000_000_000L));

        // First, since git's own status would write the new time into the index.
        assertThat(find(dir).dirty()).isFalse();
        assertAgrees(git, dir);
    }

    @Test
    void a_change_in_the_instant_of_the_commit_is_seen() throws Exception {
        TestGit git = TestGit.sample(dir);
        FileTime same = FileTime.fromMillis(1_600_000_000_000L);
        Files.setLastModifiedTime(dir.resolve("a.txt"), same);
        git.run("update-index", "--refresh");
        git.write("a.txt", "one and MORE\n");
        Files.setLastModifiedTime(dir.resolve("a.txt"), same);
        Files.setLastModifiedTime(dir.resolve(".git/index"), same);

        assertThat(find(dir).dirty()).isTrue();
    }

    @Test
    void a_conflict_is_dirty() throws Exception {
        TestGit git = TestGit.sample(dir);
        git.run("checkout", "-q", "-b", "other", "HEAD~1");
        git.write("a.txt", "theirs\n").commit("theirs");
        git.run("checkout", "-q", "main");
        git.run("-c", "alias.m=!git merge -q other || true", "m");

        assertThat(find(dir).dirty()).isTrue();
        assertAgrees(git, dir);
    }

    @Test
    void skipped_and_assumed_files_do_not_count() throws Exception {
        TestGit git = TestGit.sample(dir);
        git.run("update-index", "--skip-worktree", "a.txt");
        git.run("update-index", "--assume-unchanged", "run.sh");
        Files.delete(dir.resolve("a.txt"));
        git.write("run.sh", "changed");

        assertThat(find(dir).dirty()).isFalse();
        assertAgrees(git, dir);
    }

    @Test
    void file_modes_do_not_count_where_the_configuration_says_so() throws Exception {
        TestGit git = TestGit.sample(dir);
        git.run("config", "core.fileMode", "false");
        assertThat(dir.resolve("a.txt").toFile().setExecutable(true)).isTrue();

        assertThat(find(dir).dirty()).isFalse();
        assertAgrees(git, dir);
    }

    @Test
    void before_the_first_commit_it_does_not_know() throws Exception {
        TestGit.init(dir);

        assertThat(VersionProvider.git(dir).find()).isEmpty();
        assertThat(warnings()).isEmpty();
    }

    @Test
    void without_a_repository_it_does_not_know() {
        assertThat(VersionProvider.git(dir).find()).isEmpty();
        assertThat(VersionProvider.git(dir.resolve("missing")).find()).isEmpty();
        assertThat(warnings()).isEmpty();
    }

    @Test
    void a_corrupt_head_is_not_known_and_logged_once() throws Exception {
        TestGit outer = TestGit.sample(dir);
        TestGit git = TestGit.sample(dir.resolve("inner"));
        Path head = git.dir().resolve(".git/HEAD");
        for (String garbage : List.of(
                "",
                "garbage",
                "\0\0\0\0",
                "ref: ",
                "ref: ../../x",
                "ref: refs/../../x",
                "ref: refs/heads/../../HEAD",
                git.head().substring(1))) {
            Files.writeString(head, garbage);
            log.list.clear();
            assertThat(VersionProvider.git(git.dir()).find()).as(garbage).isEmpty();
            assertThat(warnings()).as(garbage).hasSize(1);
        }
        Files.delete(head);
        assertThat(VersionProvider.git(git.dir()).find()).isEmpty();
        assertThat(find(outer.dir()).commit()).isEqualTo(outer.head());
    }

    @Test
    void a_corrupt_branch_or_a_broken_link_is_not_known_and_logged() throws Exception {
        TestGit git = TestGit.sample(dir.resolve("a"));
        Files.write(git.dir().resolve(".git/refs/heads/main"), new byte[41]);
        assertThat(VersionProvider.git(git.dir()).find()).isEmpty();
        assertThat(warnings()).hasSize(1);

        Files.writeString(git.dir().resolve(".git/refs/heads/main"), "ref: refs/heads/main\n");
        assertThat(VersionProvider.git(git.dir()).find()).isEmpty();
        assertThat(warnings()).hasSize(2);

        Path gone = Files.createDirectory(dir.resolve("b"));
        Files.writeString(gone.resolve(".git"), "gitdir: ../nowhere\n");
        assertThat(VersionProvider.git(gone).find()).isEmpty();
        assertThat(warnings()).hasSize(3);
    }

    @Test
    void a_corrupt_index_or_a_missing_commit_is_not_known_and_logged() throws Exception {
        String head = TestGit.sample(dir).head();
        Files.writeString(dir.resolve(".git/refs/heads/main"), "0123456789".repeat(4) + "\n");
        assertThat(VersionProvider.git(dir).find()).isEmpty();
        assertThat(warnings()).hasSize(1);

        Files.writeString(dir.resolve(".git/HEAD"), head + "\n");
        Files.writeString(dir.resolve(".git/index"), "garbage");
        assertThat(VersionProvider.git(dir).find()).isEmpty();
        assertThat(warnings()).hasSize(2);
    }

    @Test
    void asking_writes_nothing_into_the_work_tree_or_the_index() throws Exception {
        TestGit git = TestGit.sample(dir);
        find(dir); // The first use of JGit may measure the file system.
        Files.setLastModifiedTime(dir.resolve("a.txt"), FileTime.fromMillis(1_000_000_000_000L));
        var before = contents(git.dir());

        find(dir);

        assertThat(contents(dir)).isEqualTo(before);
    }

    private interface Change {
        void to(TestGit git) throws Exception;
    }

    private void assertDirtyAfter(Change change) throws Exception {
        try (var files = Files.walk(dir)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                if (!file.equals(dir)) {
                    Files.delete(file);
                }
            }
        }
        TestGit git = TestGit.sample(dir);
        assertThat(find(dir).dirty()).isFalse();
        change.to(git);
        assertThat(find(dir).dirty()).isTrue();
        assertAgrees(git, dir);
        assertThat(warnings()).isEmpty();
    }

    private static void assertAgrees(TestGit git, Path from) throws Exception {
        VersionInfo found = find(from);
        assertThat(found.commit()).isEqualTo(git.head());
        assertThat(found.branch()).isEqualTo(git.run("rev-parse", "--abbrev-ref", "HEAD"));
        assertThat(found.dirty()).isEqualTo(git.saysDirty());
    }

    private static VersionInfo find(Path from) {
        return VersionProvider.git(from).find().orElseThrow();
    }

    private List<String> warnings() {
        return log.list.stream()
                .filter(event -> event.getLevel() == Level.WARN)
                .map(ILoggingEvent::getFormattedMessage)
                .toList();
    }

    private static Map<String, String> contents(Path root) throws Exception {
        Map<String, String> found = new TreeMap<>();
        try (var files = Files.walk(root)) {
            for (Path file : files.toList()) {
                found.put(
                        root.relativize(file) + " " + Files.getLastModifiedTime(file),
                        Files.isRegularFile(file) ? Files.readString(file, StandardCharsets.ISO_8859_1) : "");
            }
        }
        return found;
    }
}
