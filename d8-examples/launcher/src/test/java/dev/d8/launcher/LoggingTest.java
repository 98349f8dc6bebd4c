package dev.d8.launcher;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import ch.qos.logback.classic.encoder.PatternLayoutEncoder;
import ch.qos.logback.classic.spi.LoggingEvent;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the log makes of text that a peer chose. */
class LoggingTest {

    private static final String OWN_LINE = "20[0-9-]+T[0-9:.]+Z WARN +Routes - .*";

    private static String logged(String message, @Nullable Throwable thrown) {
        LoggerContext context = new LoggerContext();
        Logger logger = context.getLogger("dev.d8.transport.netty.Routes");
        PatternLayoutEncoder encoder = Logging.encoder(context);
        return new String(
                encoder.encode(new LoggingEvent("", logger, Level.WARN, "%s", thrown, null) {
                    @Override
                    public String getFormattedMessage() {
                        return message;
                    }
                }),
                StandardCharsets.UTF_8);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "\r\n",
                "\n",
                "\u001b[2J",
                "\u009b2J",
                "\u009d0;title\u009c",
                "\0",
                "\b\b\b",
                "\u007f",
                "\u0085",
                "\u2028",
                "\u2029",
                "\u202e",
                "\u200b"
            })
    void a_message_is_one_line_without_anything_that_steers_a_terminal(String sent) {
        String line = logged("before" + sent + "2026-01-01T00:00:00.000Z WARN  Routes - forged", null);

        assertThat(line).endsWith("\n").containsOnlyOnce("\n").matches(OWN_LINE + "\n");
        assertThat(line.strip())
                .doesNotContainPattern("[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]")
                .contains("before ");
    }

    @Test
    void what_an_exception_says_cannot_be_taken_for_a_line_of_the_logs_own() {
        String forged = "2026-01-01T00:00:00.000Z WARN  Routes - forged";
        String text = logged(
                "failed",
                new IllegalStateException(
                        "a\n" + forged + "\u001b[2J\r" + forged,
                        new IllegalArgumentException("\n" + forged + "\n\n" + forged)));

        List<String> lines = text.lines().toList();
        assertThat(lines.get(0)).matches(OWN_LINE);
        assertThat(lines.subList(1, lines.size()))
                .hasSizeGreaterThan(4)
                .allMatch(line -> line.isEmpty() || line.startsWith("  "))
                .anyMatch(line -> line.contains("\tat " + LoggingTest.class.getName()))
                .noneMatch(line -> line.contains("\u001b") || line.contains("\r"));
        assertThat(text).contains("Caused by: java.lang.IllegalArgumentException");
    }

    @Test
    void what_nobody_wrote_stays_away() {
        assertThat(logged("all is well", null)).endsWith(" - all is well\n");
    }
}
