package dev.d8.launcher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.d8.ConfigurationException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

class AuditFileTest {

    @TempDir
    private Path folder;

    private final ListAppender<ILoggingEvent> logged = new ListAppender<>();

    @BeforeEach
    void listen() {
        logged.start();
        log().addAppender(logged);
    }

    @AfterEach
    void leave() {
        log().detachAppender(logged);
    }

    private static Logger log() {
        return (Logger) LoggerFactory.getLogger(AuditFile.class);
    }

    private List<String> files() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void lines_are_added_to_a_file_that_only_its_owner_reads() throws Exception {
        Path file = folder.resolve("audit");
        new AuditFile(file, 1000).accept("one {} %d");
        new AuditFile(file, 1000).accept("two");
        assertThat(file).content().isEqualTo("one {} %d\ntwo\n");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                .isEqualTo("rw-------");
        assertThat(logged.list).isEmpty();
    }

    @Test
    void a_full_file_is_kept_and_of_those_the_last_nine() throws Exception {
        AuditFile audit = new AuditFile(folder.resolve("audit"), 100);
        for (int i = 0; i < 130; i++) {
            audit.accept("%09d".formatted(i));
        }
        assertThat(files())
                .containsExactlyElementsOf(Stream.concat(
                                Stream.of("audit"), IntStream.rangeClosed(1, 9).mapToObj(i -> "audit." + i))
                        .toList());
        assertThat(folder.resolve("audit")).content().endsWith("000000129\n");
        assertThat(folder.resolve("audit.9"))
                .content()
                .startsWith("000000030\n")
                .hasLineCount(10);
        for (String name : files()) {
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(folder.resolve(name))))
                    .isEqualTo("rw-------");
        }
        assertThat(logged.list).isEmpty();
    }

    @Test
    void a_full_disk_loses_lines_and_is_told_once() {
        AuditFile audit = new AuditFile(Path.of("/dev/full"), 1000);
        for (int i = 0; i < 1000; i++) {
            audit.accept("lost");
        }
        assertThat(logged.list)
                .singleElement()
                .satisfies(line -> assertThat(line.getFormattedMessage()).contains("/dev/full", "told once"));
    }

    @Test
    void a_file_that_cannot_be_had_is_told_at_the_start() throws Exception {
        assertThatThrownBy(() -> new AuditFile(folder.resolve("no/audit"), 1000))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageStartingWith("--audit-log: ")
                .hasMessageContaining("cannot be written");
        assertThatThrownBy(() -> new AuditFile(folder, 1000))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("cannot be written");
        assertThatThrownBy(() -> new AuditFile(folder.resolve("%d"), 1000))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("expected: a path without %");
        Path open = Files.writeString(folder.resolve("open"), "");
        Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rw-r--r--"));
        assertThatThrownBy(() -> new AuditFile(open, 1000))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("others can read")
                .hasMessageContaining("chmod 600");
    }
}
