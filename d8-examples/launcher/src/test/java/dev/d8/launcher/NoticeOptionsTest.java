package dev.d8.launcher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.d8.ConfigurationException;
import dev.d8.master.Notifier;
import java.util.List;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;

class NoticeOptionsTest {

    private static List<Notifier> notifiers(String... args) {
        return CommandLine.populateCommand(new NoticeOptions(), args)
                .notifiers((option, name) -> name.equals("D8_TELEGRAM_TOKEN")
                        ? "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
                        : "0123456789abcdef0123456789abcdef");
    }

    @Test
    void whoever_is_named_is_told_and_nobody_else() {
        assertThat(notifiers()).isEmpty();
        assertThat(notifiers(
                        "--notify-webhook", "https://example.org:8443/hook", "--notify-telegram", "-1001234567890"))
                .extracting(Notifier::name)
                .containsExactly("https://example.org:8443", "Telegram chat -1001234567890");
        assertThat(notifiers("--notify-telegram", "@ours"))
                .extracting(Notifier::name)
                .containsExactly("Telegram chat @ours");
    }

    @Test
    void an_address_that_cannot_be_used_is_told() {
        assertThatThrownBy(() -> notifiers("--notify-webhook", "example.org/hook"))
                .isInstanceOf(ConfigurationException.class)
                .hasMessageStartingWith("webhook: it does not start with https://");
    }
}
