package dev.d8.executor.docker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class WorkingDirsTest {

    private static final URI LOCAL = URI.create("unix:///var/run/docker.sock");

    @TempDir
    Path temp;

    private Path root;
    private WorkingDirs dirs;

    @BeforeEach
    void makeRoot() throws IOException {
        temp = temp.toRealPath();
        root = Files.createDirectories(temp.resolve("root"));
        dirs = new WorkingDirs(List.of(root), List.of());
    }

    private void refused(WorkingDirs by, Path path, URI engine, String... words) {
        assertThatThrownBy(() -> by.admit(path.toString(), engine))
                .isInstanceOf(WorkingDirs.RefusedException.class)
                .hasMessageStartingWith("working_dir " + path + ": ")
                .hasMessageContainingAll(words);
    }

    private static WorkingDirs.Mount mount(Path source, Path target, boolean writable) throws IOException {
        return new WorkingDirs.Mount(source, target, writable, WorkingDirs.identity(source));
    }

    @Test
    void a_root_and_what_is_below_are_admitted() throws Exception {
        Path below = Files.createDirectories(root.resolve("a/b"));

        assertThat(dirs.admit(below.toString(), LOCAL)).isEqualTo(mount(below, below, false));
        assertThat(dirs.admit(root.toString(), LOCAL).source()).isEqualTo(root);
    }

    @Test
    void a_link_that_stays_inside_is_mounted_from_where_it_leads_to() throws Exception {
        Path target = Files.createDirectory(root.resolve("v2"));
        Path link = Files.createSymbolicLink(root.resolve("current"), target);

        assertThat(dirs.admit(link.toString(), LOCAL)).isEqualTo(mount(target, link, false));
    }

    @Test
    void a_link_that_leads_out_is_refused_whether_last_or_on_the_way() throws Exception {
        Path outside = Files.createDirectories(temp.resolve("outside/deep"));
        Path link = Files.createSymbolicLink(root.resolve("escape"), outside.getParent());

        refused(dirs, link, LOCAL, "leads to " + outside.getParent(), "docker.mounts");
        refused(dirs, link.resolve("deep"), LOCAL, "leads to " + outside);
    }

    @Test
    void dots_that_lead_out_are_refused() throws Exception {
        Files.createDirectory(temp.resolve("outside"));

        refused(dirs, root.resolve("../outside"), LOCAL, "is not below " + root);
    }

    @Test
    void a_name_that_only_starts_like_the_root_is_refused() throws Exception {
        refused(dirs, Files.createDirectory(temp.resolve("root2")), LOCAL, "is not below " + root);
    }

    @Test
    void what_is_no_directory_of_this_slave_is_refused() throws Exception {
        refused(dirs, root.resolve("missing"), LOCAL, "does not exist");
        refused(dirs, Files.writeString(root.resolve("file"), ""), LOCAL, "not a directory");
        refused(dirs, Path.of("relative"), LOCAL, "not an absolute path");
    }

    @Test
    void without_roots_nothing_is_open_and_the_cure_is_named() {
        assertThat(new WorkingDirs(List.of(), List.of()).objection(root.toString()))
                .get()
                .asString()
                .contains("working_dir", "no directory of this slave", "docker.mounts");
    }

    @Test
    void what_is_not_below_a_root_is_left_to_other_executors() {
        assertThat(dirs.objection(root.resolve("below").toString())).isEmpty();
        assertThat(dirs.objection(root.resolve("../outside").toString()))
                .get()
                .asString()
                .contains("not below " + root);
    }

    @Test
    void what_is_below_a_writable_root_may_be_changed() throws Exception {
        Path writable = Files.createDirectories(temp.resolve("scratch/job"));
        WorkingDirs both = new WorkingDirs(List.of(root), List.of(writable.getParent()));

        assertThat(both.admit(writable.toString(), LOCAL)).isEqualTo(mount(writable, writable, true));
        assertThat(both.admit(root.toString(), LOCAL).writable()).isFalse();
    }

    @Test
    void an_engine_elsewhere_has_not_this_slaves_directories() {
        refused(dirs, root, URI.create("tcp://192.0.2.1:2376"), "on another machine");
    }

    @Test
    void a_directory_that_holds_the_docker_socket_is_refused() throws Exception {
        Path socket =
                Files.writeString(Files.createDirectory(root.resolve("run")).resolve("docker.sock"), "");

        refused(dirs, root, URI.create("unix://" + socket), "Docker socket");
    }

    @Test
    void a_path_that_comes_to_mean_another_directory_is_another_mount() throws Exception {
        Path path = Files.createDirectory(root.resolve("job"));
        WorkingDirs.Mount before = dirs.admit(path.toString(), LOCAL);
        Files.move(path, root.resolve("old")); // Removed, its number might be used again.
        Files.createDirectory(path);

        assertThat(dirs.admit(path.toString(), LOCAL)).isNotEqualTo(before);
    }

    @Test
    void dots_are_mounted_where_they_lead_to() throws Exception {
        Path below = Files.createDirectories(root.resolve("a/b"));

        assertThat(dirs.admit(root + "/a/../a/./b", LOCAL)).isEqualTo(mount(below, below, false));
    }

    @Test
    void a_directory_with_mounts_below_it_is_refused_unless_it_may_be_written_anyway() throws Exception {
        Path dev = Path.of("/dev"); // Has /dev/shm or /dev/pts wherever there is a /proc.

        refused(new WorkingDirs(List.of(dev), List.of()), dev, LOCAL, "below it is a mount of its own");
        assertThat(new WorkingDirs(List.of(), List.of(dev)).admit("/dev", LOCAL).writable())
                .isTrue();
    }

    @Test
    void mounts_are_found_whatever_their_names() {
        String mountinfo =
                "25 1 0:22 / / rw - ext4 /dev/vda rw\n30 25 0:23 / /srv/a\\040b/c rw shared:1 - tmpfs tmpfs rw\n";

        assertThat(WorkingDirs.mountBelow(Path.of("/srv/a b"), mountinfo)).contains(Path.of("/srv/a b/c"));
        assertThat(WorkingDirs.mountBelow(Path.of("/srv/a b/c"), mountinfo)).isEmpty();
        assertThat(WorkingDirs.mountBelow(Path.of("/srv/a"), mountinfo)).isEmpty();
    }
}
