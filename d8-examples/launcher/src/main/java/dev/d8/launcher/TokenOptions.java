package dev.d8.launcher;

import dev.d8.ConfigurationException;
import dev.d8.Grant;
import dev.d8.Scope;
import dev.d8.Token;
import io.github.cdimascio.dotenv.Dotenv;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/**
 * Where the tokens come from: {@code SLAVE_TOKEN} in the environment, else in {@code .env}, else a file; never the command
 * line. Beside it there may be the variables of a token that is still good and of one that may only read.
 */
final class TokenOptions {

    private static final String TOKEN = "SLAVE_TOKEN";
    private static final String PREVIOUS = "SLAVE_TOKEN_PREVIOUS";
    private static final String READ = "SLAVE_READ_TOKEN";
    private static final List<String> NAMES = List.of(TOKEN, PREVIOUS, READ);

    /** Signs what a webhook gets. */
    static final String WEBHOOK_SECRET = "D8_WEBHOOK_SECRET";

    /** The token of a bot that writes into a chat. */
    static final String TELEGRAM_TOKEN = "D8_TELEGRAM_TOKEN";

    private static final List<String> SECRETS = List.of(WEBHOOK_SECRET, TELEGRAM_TOKEN);

    @Option(
            names = "--env-file",
            paramLabel = "FILE",
            description = "read SLAVE_TOKEN=... from this file (default: .env in the current folder, if there)")
    private @Nullable Path envFile;

    @Option(
            names = "--token-file",
            paramLabel = "FILE",
            description = {
                "read tokens from this file, which others must not be able to read;",
                "a line for each: TOKEN [execute|read|admin] [NAME]; a master shows the first"
            })
    private @Nullable Path tokenFile;

    private final Map<String, String> environment;
    private @Nullable Map<String, String> handedOver;

    TokenOptions() {
        this(System.getenv());
    }

    TokenOptions(Map<String, String> environment) {
        this.environment = environment;
    }

    /**
     * Returns the token that a master shows, or the well-known development token where none is set.
     *
     * @throws ConfigurationException if a file that was named is missing or may be read by others
     */
    Token token() {
        return grants(false).get().get(0).token();
    }

    /**
     * Returns whom a slave lets in; a file is read again when it changes.
     *
     * @param strongOnly whether weak tokens in a file are refused, since other machines can reach the slave
     * @throws ConfigurationException if a token or a file cannot be used
     */
    Supplier<List<Grant>> grants(boolean strongOnly) {
        Map<String, String> set = variables();
        List<Grant> beside = new ArrayList<>();
        add(beside, set, PREVIOUS, "previous", Scope.EXECUTE);
        add(beside, set, READ, "read", Scope.READ);
        if (tokenFile != null && !set.containsKey(TOKEN)) {
            return new TokenFile(tokenFile, strongOnly, beside);
        }
        List<Grant> all = new ArrayList<>();
        add(all, set, TOKEN, Grant.UNNAMED, Scope.EXECUTE);
        if (all.isEmpty()) {
            all.add(Grant.everything(Token.DEVELOPMENT));
        }
        all.addAll(beside);
        TokenFile.rejectTwice(all);
        return () -> all;
    }

    private static void add(List<Grant> to, Map<String, String> set, String variable, String name, Scope scope) {
        String value = set.get(variable);
        if (value != null) {
            try {
                to.add(new Grant(name, Token.of(value), scope));
            } catch (ConfigurationException e) {
                throw new ConfigurationException(variable + ": " + e.getMessage(), e);
            }
        }
    }

    /**
     * Returns one of {@link #WEBHOOK_SECRET} and {@link #TELEGRAM_TOKEN}, from where the tokens come from but the token file.
     *
     * @throws ConfigurationException if it is not set; the message names the option that needs it
     */
    String secret(String option, String name) {
        Map<String, String> set = fromEnvironment();
        String value = set.containsKey(name)
                ? set.get(name)
                : fromEnvFile(List.of(name)).get(name);
        if (value == null) {
            throw new ConfigurationException(
                    option + ": " + name + " is not set (expected: in the environment or in .env)");
        }
        return value;
    }

    /** Returns the files that may hold one, as far as there are such. */
    List<Path> files() {
        return Stream.of(envFile != null ? envFile : Path.of(".env"), tokenFile)
                .filter(file -> file != null && Files.exists(file))
                .map(file -> file.toAbsolutePath().normalize())
                .toList();
    }

    private Map<String, String> variables() {
        Map<String, String> set = fromEnvironment();
        if (!set.containsKey(TOKEN)) {
            fromEnvFile(NAMES).forEach(set::putIfAbsent);
        }
        return set;
    }

    private Map<String, String> fromEnvironment() {
        if (handedOver == null) {
            handedOver = fromLauncher(); // Which can be read only once.
        }
        Map<String, String> set = new HashMap<>();
        Stream.concat(NAMES.stream(), SECRETS.stream()).forEach(name -> put(set, name, environment.get(name)));
        set.putAll(handedOver);
        return set;
    }

    private static void put(Map<String, String> set, String name, @Nullable String value) {
        if (value != null && !value.isEmpty()) {
            set.put(name, value);
        }
    }

    /** The script hands them over on a file descriptor: the environment of a process is readable in /proc. */
    private static Map<String, String> fromLauncher() {
        Map<String, String> set = new HashMap<>();
        String descriptor = System.getProperty("d8.token.fd");
        if (descriptor != null) {
            try {
                for (String line : Files.readAllLines(Path.of("/dev/fd/" + descriptor))) {
                    int end = line.indexOf('=');
                    String name = line.substring(0, Math.max(0, end));
                    if (!NAMES.contains(name) && !SECRETS.contains(name)) {
                        throw new ConfigurationException(
                                "SLAVE_TOKEN: it or another secret has a line break (expected: visible ASCII characters only)");
                    }
                    put(set, name, line.substring(end + 1));
                }
            } catch (IOException e) {
                throw new ConfigurationException("SLAVE_TOKEN: the launcher script handed over no token: " + e, e);
            }
        }
        return set;
    }

    private Map<String, String> fromEnvFile(List<String> names) {
        Path file = envFile != null ? envFile : Path.of(".env");
        if (!Files.isRegularFile(file)) {
            if (envFile != null) {
                throw new ConfigurationException("--env-file: " + file + " does not exist");
            }
            return Map.of();
        }
        Map<String, String> set = new HashMap<>();
        Dotenv.configure()
                .directory(String.valueOf(file.toAbsolutePath().getParent()))
                .filename(String.valueOf(file.getFileName()))
                .ignoreIfMalformed() // Lines that are not ours may be as they like,
                .load()
                .entries(Dotenv.Filter.DECLARED_IN_ENV_FILE)
                .forEach(entry -> put(set, entry.getKey(), entry.getValue()));
        for (String name : names) {
            if (!set.containsKey(name)
                    && mentions(file, name)) { // but a token that cannot be read must not pass for none.
                throw new ConfigurationException(
                        file + ": its " + name + " cannot be read (expected: a line " + name + "=...)");
            }
        }
        return set;
    }

    private static boolean mentions(Path file, String name) {
        try {
            return Files.readAllLines(file).stream()
                    .anyMatch(line -> line.matches("\\s*(export\\s+)?" + name + "\\b.*"));
        } catch (IOException e) {
            throw new ConfigurationException("--env-file: " + file + " cannot be read: " + e, e);
        }
    }
}
