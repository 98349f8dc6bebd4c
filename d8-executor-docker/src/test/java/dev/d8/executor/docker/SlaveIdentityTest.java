package dev.d8.executor.docker;

import static org.assertj.core.api.Assertions.assertThat;

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
        return SlaveIdentity.claim(Optional.empty(), where);
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

    @Test
    void what_is_configured_is_taken_as_it_is() {
        try (SlaveIdentity one = SlaveIdentity.claim(Optional.of("attic"), folder)) {
            assertThat(one.id()).isEqualTo("attic");
        }
        assertThat(folder).isEmptyDirectory();
    }

    @Test
    void a_file_of_rubbish_is_written_anew() throws Exception {
        Path file = Files.writeString(
                folder.resolve("docker-slave-0"), "rubbish of whatever length that somebody left here");
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
