package dev.d8.launcher;

import dev.d8.ConfigurationException;
import dev.d8.master.Notifier;
import dev.d8.master.TelegramNotifier;
import dev.d8.master.WebhookNotifier;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BinaryOperator;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Who is told of slaves whose status changed, beside whoever reads the output. */
final class NoticeOptions {

    private static final String WEBHOOK = "--notify-webhook";
    private static final String TELEGRAM = "--notify-telegram";

    @Option(
            names = WEBHOOK,
            paramLabel = "URL",
            description = "post changes there, signed with " + TokenOptions.WEBHOOK_SECRET + " (environment or .env)")
    private @Nullable URI webhook;

    @Option(
            names = TELEGRAM,
            paramLabel = "CHAT_ID",
            description =
                    "send changes to this chat by the bot of " + TokenOptions.TELEGRAM_TOKEN + " (environment or .env)")
    private @Nullable String telegram;

    /**
     * Returns who is told.
     *
     * @param secrets gives out a secret for an option, by both their names
     * @throws ConfigurationException if an option cannot be used or lacks its secret
     */
    List<Notifier> notifiers(BinaryOperator<String> secrets) {
        List<Notifier> notifiers = new ArrayList<>();
        if (webhook != null) {
            notifiers.add(new WebhookNotifier(webhook, secrets.apply(WEBHOOK, TokenOptions.WEBHOOK_SECRET)));
        }
        if (telegram != null) {
            notifiers.add(new TelegramNotifier(
                    TelegramNotifier.API, secrets.apply(TELEGRAM, TokenOptions.TELEGRAM_TOKEN), telegram));
        }
        return notifiers;
    }
}
