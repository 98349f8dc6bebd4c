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

    @Test
    void a_root_and_what_is_below_are_admitted() throws Exception {
        Path below = Files.createDirectories(root.resolve("a/b"));

        assertThat(dirs.admit(below.toString(), LOCAL)).isEqualTo(new WorkingDirs.Mount(below, below, false));
        assertThat(dirs.admit(root.toString(), LOCAL).source()).isEqualTo(root);
    }

    @Test
    void a_link_that_stays_inside_is_mounted_from_where_it_leads_to() throws Exception {
        Path target = Files.createDirectory(root.resolve("v2"));
        Path link = Files.createSymbolicLink(root.resolve("current"), target);

        assertThat(dirs.admit(link.toString(), LOCAL)).isEqualTo(new WorkingDirs.Mount(target, link, false));
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

        assertThat(both.admit(writable.toString(), LOCAL)).isEqualTo(new WorkingDirs.Mount(writable, writable, true));
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
}
