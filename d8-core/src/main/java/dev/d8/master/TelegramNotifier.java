package dev.d8.master;

import dev.d8.ConfigurationException;
import dev.d8.InvalidTaskException;
import dev.d8.internal.Json;
import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.time.InstantSource;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Sends notices as plain text to a chat, by a Telegram bot. Thread-safe.
 *
 * <p>Telegram has 10 s to answer. A message whose answer was lost is sent again, and may be there twice: Telegram knows no
 * ids of ours.
 */
public final class TelegramNotifier implements Notifier {

    /** Where Telegram's bots are served. */
    public static final URI API = URI.create("https://api.telegram.org");

    /** Telegram's limit, in UTF-16 units. */
    private static final int LONGEST_TEXT = 4096;

    private final String token;
    private final String chat;
    private final URI url;
    private final NoticeHttp http;

    /**
     * Creates one.
     *
     * @param api {@link #API}, or a server of one's own for bots
     * @param token what BotFather gave out for the bot
     * @param chat the chat's id, such as -1001234567890, or a channel's @name
     * @throws ConfigurationException if one of them cannot be used; the message does not hold the token
     */
    public TelegramNotifier(URI api, String token, String chat) {
        this(api, token, chat, NoticeHttp.TIMEOUT);
    }

    TelegramNotifier(URI api, String token, String chat, Duration timeout) {
        if (!token.matches("[0-9]+:[A-Za-z0-9_-]+")) {
            throw new ConfigurationException(
                    "Telegram token: malformed (expected: NUMBER:LETTERS, as BotFather gives it)");
        }
        if (!chat.matches("-?[0-9]{1,19}|@[A-Za-z0-9_]+")) {
            throw new ConfigurationException("Telegram chat: \"" + chat
                    + "\" (expected: a chat's id such as -1001234567890, or a channel's @name)");
        }
        this.token = token;
        this.chat = chat;
        String base = NoticeHttp.checked("Telegram API", api).toString().replaceFirst("/$", "");
        this.url = URI.create(base + "/bot" + token + "/sendMessage");
        this.http = new NoticeHttp(timeout, InstantSource.system());
    }

    @Override
    public String name() {
        return "Telegram chat " + chat;
    }

    @Override
    public Outcome deliver(Notice notice) throws InterruptedException {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("chat_id", chat);
        fields.put("text", notice.text(LONGEST_TEXT));
        // Telegram would fetch what looks like an address in a reason.
        fields.put("link_preview_options", Map.of("is_disabled", true));
        return http.post(HttpRequest.newBuilder(url), Json.line(fields), this::read);
    }

    private Outcome read(HttpResponse<String> response) {
        Map<String, @Nullable Object> answer;
        try {
            answer = Json.parseMap("answer", response.body());
        } catch (InvalidTaskException e) {
            answer = Map.of();
        }
        int status = response.statusCode();
        if (status / 100 == 2 && !Boolean.TRUE.equals(answer.get("ok"))) {
            return new Failed("what answers is not Telegram", Duration.ZERO);
        }
        Duration pause = answer.get("parameters") instanceof Map<?, ?> parameters
                        && parameters.get("retry_after") instanceof Integer seconds
                ? Duration.ofSeconds(Math.max(0, seconds))
                : Duration.ZERO;
        // Of 429 the description says how long to wait, which is another one each time.
        String reason = "it answers " + status
                + (status != 429 && answer.get("description") instanceof String said
                        ? ": " + said.replace(token, "…")
                        : "");
        return http.outcome(response, reason, pause);
    }
}
