package dev.d8.launcher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import dev.d8.ConfigurationException;
import dev.d8.Grant;
import dev.d8.Scope;
import dev.d8.Token;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.slf4j.LoggerFactory;

class TokenFileTest {

    private static final String ONE = "one-0123456789abcdef0123456789abcdef";
    private static final String TWO = "two-0123456789abcdef0123456789abcdef";

    @TempDir
    private Path folder;

    private final ListAppender<ILoggingEvent> logged = new ListAppender<>();

    @BeforeEach
    void listen() {
        logged.start();
        log().addAppender(logged);
        log().setLevel(Level.INFO);
    }

    @AfterEach
    void leave() {
        log().detachAppender(logged);
        log().setLevel(null);
        assertThat(logged.list)
                .extracting(ILoggingEvent::getFormattedMessage)
                .noneMatch(line -> line.contains(ONE) || line.contains(TWO));
    }

    private static Logger log() {
        return (Logger) LoggerFactory.getLogger(TokenFile.class);
    }

    private Path file() {
        return folder.resolve("token");
    }

    /** Renames a new file into its place, as whoever has read docs/operations.md does. */
    private void write(String text, String permissions) throws IOException {
        Path next = Files.writeString(folder.resolve("next"), text);
        Files.setPosixFilePermissions(next, PosixFilePermissions.fromString(permissions));
        Files.move(next, file(), StandardCopyOption.ATOMIC_MOVE);
    }

    private TokenFile read(String text) throws IOException {
        write(text, "rw-------");
        return new TokenFile(file(), false, List.of());
    }

    private static Grant grant(String name, String token, Scope scope) {
        return new Grant(name, Token.of(token), scope);
    }

    @Test
    void a_single_line_with_a_token_is_good_for_everything() throws Exception {
        assertThat(read(ONE + "\n").get()).containsExactly(Grant.everything(Token.of(ONE)));
        assertThat(read(ONE).get()).containsExactly(Grant.everything(Token.of(ONE)));
    }

    @Test
    void each_line_has_a_token_and_perhaps_a_scope_and_a_name() throws Exception {
        assertThat(read("# whose\n\n  " + ONE + "\texecute  ci \r\n#" + TWO + "\n" + TWO + " read\n")
                        .get())
                .containsExactly(grant("ci", ONE, Scope.EXECUTE), grant(Grant.UNNAMED, TWO, Scope.READ));
    }

    @Test
    void the_scope_admin_is_there_only_where_it_is_named() throws Exception {
        List<Grant> grants = read(ONE + "\n" + TWO + " admin boss\n").get();
        assertThat(grants).containsExactly(Grant.everything(Token.of(ONE)), grant("boss", TWO, Scope.ADMIN));
        assertThat(grants.get(0).scope().covers(Scope.EXECUTE)).isTrue();
        assertThat(grants.get(0).scope().covers(Scope.ADMIN)).isFalse();
        assertThat(grants.get(1).scope().covers(Scope.EXECUTE)).isTrue();
    }

    @ParameterizedTest
    @CsvSource({
        "'\n# nothing\n', there is no token in it",
        "'a\nb write', 'line 2: its second word is no scope'",
        "'a READ', 'line 1: its second word is no scope'",
        "'a execute b c', 'line 1: it has more than three words'",
        "'\u00e9', 'line 1: token: has a space, a control or a non-ASCII character'",
        "'a read caf\u00e9', 'line 1: token: the name'",
        "'a execute x\na read y', 'the tokens named \"x\" and \"y\" are the same'"
    })
    void what_cannot_be_used_is_told_with_its_line(String text, String told) throws Exception {
        write(text, "rw-------");
        assertThatThrownBy(() -> new TokenFile(file(), false, List.of()))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("--token-file: " + file())
                .hasMessageContaining(told);
    }

    @Test
    void what_is_in_the_file_now_counts() throws Exception {
        TokenFile tokens = read(ONE);
        write(TWO + "\n" + ONE + " execute before\n", "rw-------");
        assertThat(tokens.get()).containsExactly(Grant.everything(Token.of(TWO)), grant("before", ONE, Scope.EXECUTE));
        write(TWO, "rw-------");
        assertThat(tokens.get()).containsExactly(Grant.everything(Token.of(TWO)));
        assertThat(tokens.get()).isSameAs(tokens.get());
        assertThat(logged.list)
                .extracting(ILoggingEvent::getFormattedMessage)
                .hasSize(2)
                .first()
                .asString()
                .contains("took the changed " + file(), "token (execute), before (execute)");
    }

    @Test
    void what_is_beside_the_file_stays() throws Exception {
        Grant beside = grant("read", TWO, Scope.READ);
        write(ONE, "rw-------");
        TokenFile tokens = new TokenFile(file(), false, List.of(beside));
        assertThat(tokens.get()).containsExactly(Grant.everything(Token.of(ONE)), beside);
        write(TWO, "rw-------"); // The same as the one beside it.
        assertThat(tokens.get()).containsExactly(Grant.everything(Token.of(ONE)), beside);
        assertThat(logged.list)
                .singleElement()
                .satisfies(line -> assertThat(line.getFormattedMessage()).contains("are the same"));
    }

    @Test
    void a_file_that_cannot_be_used_leaves_what_was_before_and_is_told_of_once_a_change() throws Exception {
        TokenFile tokens = read(ONE);
        List<Grant> before = tokens.get();
        write("", "rw-------");
        assertThat(tokens.get()).isEqualTo(before).isEqualTo(tokens.get());
        write(TWO, "rw-r-----");
        assertThat(tokens.get()).isEqualTo(before).isEqualTo(tokens.get());
        Files.delete(file());
        assertThat(tokens.get()).isEqualTo(before).isEqualTo(tokens.get());
        assertThat(logged.list)
                .extracting(ILoggingEvent::getFormattedMessage)
                .satisfiesExactly(
                        empty -> assertThat(empty).contains("keeps the tokens that it has", "no token in it"),
                        open -> assertThat(open).contains("others can read", "chmod 600"),
                        missing -> assertThat(missing).contains("cannot be read", "NoSuchFile"));
        write(TWO, "rw-r-----");
        Files.setPosixFilePermissions(file(), PosixFilePermissions.fromString("rw-------"));
        assertThat(tokens.get()).containsExactly(Grant.everything(Token.of(TWO)));
    }

    @Test
    void weak_tokens_are_refused_where_others_can_reach_the_slave_at_the_start_and_later() throws Exception {
        write("weak", "rw-------");
        assertThatThrownBy(() -> new TokenFile(file(), true, List.of()))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("line 1: a token of fewer than 32 characters");
        write(ONE, "rw-------");
        TokenFile tokens = new TokenFile(file(), true, List.of());
        for (String weak : List.of("weak read", Token.DEVELOPMENT.reveal())) {
            write(TWO + "\n" + weak, "rw-------");
            assertThat(tokens.get()).containsExactly(Grant.everything(Token.of(ONE)));
        }
        assertThat(logged.list)
                .hasSize(2)
                .allSatisfy(line ->
                        assertThat(line.getFormattedMessage()).contains("line 2: a token of fewer than 32 characters"));
    }
}
