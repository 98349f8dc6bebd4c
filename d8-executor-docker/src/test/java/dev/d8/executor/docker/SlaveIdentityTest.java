package dev.d8.executor.docker;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SlaveIdentityTest {

    @TempDir
    Path folder;

    private SlaveIdentity claim(Path where) {
        return SlaveIdentity.claim(Optional.empty(), where, "here");
    }

    @Test
    void it_is_the_same_in_the_next_life_and_another_for_a_neighbour() {
        Path where = folder.resolve("state/d8");
        String first;
        String second;
        try (SlaveIdentity one = claim(where);
                SlaveIdentity other = claim(where)) {
            first = one.id();
            second = other.id();
            assertThat(first).isNotEqualTo(second);
        }
        try (SlaveIdentity one = claim(where);
                SlaveIdentity other = claim(where)) {
            assertThat(one.id()).isEqualTo(first);
            assertThat(other.id()).isEqualTo(second);
        }
    }

    /** Another slave, in a process of its own. */
    static final class Neighbour {
        private Neighbour() {}

        public static void main(String[] args) {
            System.out.println(SlaveIdentity.claim(Optional.empty(), Path.of(args[0]), "here")
                    .id());
        }
    }

    @Test
    void a_neighbour_in_another_process_gets_none_of_those_that_are_held_here() throws Exception {
        try (SlaveIdentity one = claim(folder);
                SlaveIdentity other = claim(folder)) {
            Process neighbour = new ProcessBuilder(
                            Path.of(System.getProperty("java.home"), "bin", "java")
                                    .toString(),
                            "-XX:+UseSerialGC",
                            "-XX:TieredStopAtLevel=1",
                            "-cp",
                            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                            Neighbour.class.getName(),
                            folder.toString())
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            String id = new String(neighbour.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();

            assertThat(neighbour.waitFor()).isZero();
            assertThat(UUID.fromString(id)).hasToString(id);
            assertThat(id).isNotIn(one.id(), other.id());
        }
    }

    @Test
    void a_machine_that_shares_the_directory_has_marks_of_its_own() {
        String here;
        try (SlaveIdentity one = claim(folder)) {
            here = one.id();
        }
        try (SlaveIdentity there = SlaveIdentity.claim(Optional.empty(), folder, "there")) {
            assertThat(there.id()).isNotEqualTo(here);
        }
        assertThat(SlaveIdentity.machine()).matches("[A-Za-z0-9._-]+");
    }

    @Test
    void what_is_configured_is_taken_as_it_is() {
        try (SlaveIdentity one = SlaveIdentity.claim(Optional.of("attic"), folder, "here")) {
            assertThat(one.id()).isEqualTo("attic");
        }
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void a_file_of_rubbish_is_written_anew() throws Exception {
        Path file = Files.writeString(
                folder.resolve("docker-slave-here-0"), "rubbish of whatever length that somebody left here");
        try (SlaveIdentity one = claim(folder)) {
            assertThat(Files.readString(file)).isEqualTo(one.id() + "\n");
        }
    }

    @Test
    void where_nothing_can_be_kept_it_is_a_random_one() throws Exception {
        Path file = Files.writeString(folder.resolve("file"), "");
        try (SlaveIdentity one = claim(file.resolve("below"))) {
            assertThat(UUID.fromString(one.id())).isNotNull();
        }
    }
}
