package dev.d8.launcher;

import dev.d8.ConfigurationException;
import dev.d8.Token;
import io.github.cdimascio.dotenv.Dotenv;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Where the token comes from: {@code SLAVE_TOKEN}, else {@code .env}, else a file; never the command line. */
final class TokenOptions {

    private static final String NAME = "SLAVE_TOKEN";

    @Option(
            names = "--env-file",
            paramLabel = "FILE",
            description = "read SLAVE_TOKEN=... from this file (default: .env in the current folder, if there)")
    private @Nullable Path envFile;

    @Option(
            names = "--token-file",
            paramLabel = "FILE",
            description = "read the token from this file, which others must not be able to read")
    private @Nullable Path tokenFile;

    /**
     * Returns the token, or the well-known development token where none is set.
     *
     * @throws ConfigurationException if a file that was named is missing or may be read by others
     */
    Token token() {
        return fromLauncher()
                .or(() -> Optional.ofNullable(System.getenv(NAME)).filter(value -> !value.isEmpty()))
                .or(this::fromEnvFile)
                .or(this::fromTokenFile)
                .map(Token::of)
                .orElse(Token.DEVELOPMENT);
    }

    /** Returns the files that may hold it, as far as there are such. */
    List<Path> files() {
        return Stream.of(envFile != null ? envFile : Path.of(".env"), tokenFile)
                .filter(file -> file != null && Files.exists(file))
                .map(file -> file.toAbsolutePath().normalize())
                .toList();
    }

    /** The script hands the token over on a file descriptor: the environment of a process is readable in /proc. */
    private static Optional<String> fromLauncher() {
        String descriptor = System.getProperty("d8.token.fd");
        if (descriptor == null) {
            return Optional.empty();
        }
        try {
            return Optional.of(
                            Files.readString(Path.of("/dev/fd/" + descriptor)).strip())
                    .filter(value -> !value.isEmpty());
        } catch (IOException e) {
            throw new ConfigurationException("SLAVE_TOKEN: the launcher script handed over no token: " + e, e);
        }
    }

    private Optional<String> fromEnvFile() {
        Path file = envFile != null ? envFile : Path.of(".env");
        if (!Files.isRegularFile(file)) {
            if (envFile != null) {
                throw new ConfigurationException("--env-file: " + file + " does not exist");
            }
            return Optional.empty();
        }
        Optional<String> found = Optional.ofNullable(Dotenv.configure()
                        .directory(String.valueOf(file.toAbsolutePath().getParent()))
                        .filename(String.valueOf(file.getFileName()))
                        .ignoreIfMalformed() // Lines that are not ours may be as they like,
                        .load()
                        .get(NAME))
                .filter(value -> !value.isEmpty());
        if (found.isEmpty() && mentionsToken(file)) { // but a token that cannot be read must not pass for none.
            throw new ConfigurationException(
                    file + ": its " + NAME + " cannot be read (expected: a line SLAVE_TOKEN=...)");
        }
        return found;
    }

    private static boolean mentionsToken(Path file) {
        try {
            return Files.readAllLines(file).stream()
                    .anyMatch(line -> line.matches("\\s*(export\\s+)?" + NAME + "\\b.*"));
        } catch (IOException e) {
            throw new ConfigurationException("--env-file: " + file + " cannot be read: " + e, e);
        }
    }

    private Optional<String> fromTokenFile() {
        if (tokenFile == null) {
            return Optional.empty();
        }
        try {
            Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(tokenFile);
            if (permissions.contains(PosixFilePermission.GROUP_READ)
                    || permissions.contains(PosixFilePermission.OTHERS_READ)) {
                throw new ConfigurationException(
                        "--token-file: others can read " + tokenFile + "; run: chmod 600 " + tokenFile);
            }
            return Optional.of(Files.readString(tokenFile).strip());
        } catch (UnsupportedOperationException e) {
            throw new ConfigurationException(
                    "--token-file: this file system does not tell who can read " + tokenFile, e);
        } catch (IOException e) {
            throw new ConfigurationException("--token-file: " + tokenFile + " cannot be read: " + e, e);
        }
    }
}
