package dev.d8.launcher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.ConfigurationException;
import dev.d8.Grant;
import dev.d8.Scope;
import dev.d8.Token;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class TokenOptionsTest {

    private static final Grant TODAY = new Grant(Grant.UNNAMED, Token.of("today"), Scope.EXECUTE);
    private static final Grant PREVIOUS = new Grant("previous", Token.of("before"), Scope.EXECUTE);
    private static final Grant READ = new Grant("read", Token.of("reader"), Scope.READ);

    @TempDir
    private Path folder;

    private static TokenOptions options(Map<String, String> environment, String... args) {
        return CommandLine.populateCommand(new TokenOptions(environment), args);
    }

    private String file(String name, String text) throws IOException {
        Path file = Files.writeString(folder.resolve(name), text);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
        return file.toString();
    }

    @Test
    void each_variable_is_a_token_with_its_scope() {
        Map<String, String> all =
                Map.of("SLAVE_READ_TOKEN", "reader", "SLAVE_TOKEN_PREVIOUS", "before", "SLAVE_TOKEN", "today");
        assertThat(options(all).grants(false).get()).containsExactly(TODAY, PREVIOUS, READ);
        assertThat(options(all).token()).isEqualTo(TODAY.token());
        assertThat(options(Map.of("SLAVE_TOKEN", "")).token()).isEqualTo(Token.DEVELOPMENT);
    }

    @Test
    void an_env_file_is_looked_at_where_the_environment_has_no_token() throws Exception {
        String env = file("env", "SLAVE_TOKEN=today\nSLAVE_TOKEN_PREVIOUS=\"before\"\nSLAVE_READ_TOKEN=other\n");
        assertThat(options(Map.of("SLAVE_READ_TOKEN", "reader"), "--env-file", env)
                        .grants(false)
                        .get())
                .containsExactly(TODAY, PREVIOUS, READ);
        assertThat(options(Map.of("SLAVE_TOKEN", "today"), "--env-file", env)
                        .grants(false)
                        .get())
                .containsExactly(TODAY);
        assertThatThrownBy(options(Map.of(), "--env-file", file("empty", "SLAVE_READ_TOKEN=\n"))::token)
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("its SLAVE_READ_TOKEN cannot be read");
    }

    @Test
    void a_file_comes_last_and_a_master_shows_its_first_token() throws Exception {
        String file = file("token", "# ours\ntoday\nanother read dashboard\n");
        TokenOptions options = options(Map.of("SLAVE_READ_TOKEN", "reader"), "--token-file", file);
        assertThat(options.token()).isEqualTo(TODAY.token());
        assertThat(options.grants(false).get())
                .containsExactly(TODAY, new Grant("dashboard", Token.of("another"), Scope.READ), READ);
        assertThat(options(Map.of("SLAVE_TOKEN", "before"), "--token-file", file)
                        .token())
                .isEqualTo(PREVIOUS.token());
    }

    @Test
    void what_cannot_be_used_is_told_by_its_name_and_without_the_token() {
        assertThatThrownBy(options(Map.of("SLAVE_READ_TOKEN", "secret "))::token)
                .isInstanceOf(ConfigurationException.class)
                .hasMessageStartingWith("SLAVE_READ_TOKEN: token: has a space");
        assertThatThrownBy(options(Map.of("SLAVE_TOKEN", "secret", "SLAVE_TOKEN_PREVIOUS", "secret"))::token)
                .isInstanceOf(ConfigurationException.class)
                .hasMessageStartingWith("the tokens named \"token\" and \"previous\" are the same");
    }

    @Test
    void a_secret_of_notices_comes_from_the_environment_or_an_env_file() throws Exception {
        String env = file("env", "D8_WEBHOOK_SECRET=filed\nD8_TELEGRAM_TOKEN=\n");
        TokenOptions options = options(Map.of("SLAVE_TOKEN", "today"), "--env-file", env);
        assertThat(options.secret("--notify-webhook", "D8_WEBHOOK_SECRET")).isEqualTo("filed");
        assertThat(options(Map.of("D8_WEBHOOK_SECRET", "set"), "--env-file", env)
                        .secret("--notify-webhook", "D8_WEBHOOK_SECRET"))
                .isEqualTo("set");
        assertThatThrownBy(() -> options.secret("--notify-telegram", "D8_TELEGRAM_TOKEN"))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageContaining("its D8_TELEGRAM_TOKEN cannot be read");
        assertThatThrownBy(() -> options(Map.of(), "--env-file", file("empty", ""))
                        .secret("--notify-telegram", "D8_TELEGRAM_TOKEN"))
                .isInstanceOf(ConfigurationException.class)
                .hasMessage(
                        "--notify-telegram: D8_TELEGRAM_TOKEN is not set (expected: in the environment or in .env)");
    }
}
