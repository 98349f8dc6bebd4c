package dev.d8.launcher;

import dev.d8.ConfigurationException;
import dev.d8.Grant;
import dev.d8.Scope;
import dev.d8.Token;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The tokens of a file, one a line: {@code TOKEN [execute|read|admin] [NAME]}. Each call looks whether the file has changed and
 * takes what is in it now, if it can be used. Thread-safe.
 */
final class TokenFile implements Supplier<List<Grant>> {

    private static final Logger LOG = LoggerFactory.getLogger(TokenFile.class);

    private static final String EXPECTED = " (expected: TOKEN [execute|read|admin] [NAME])";

    /** What tells that a file is another one: the time of its change of rights too, where that can be had. */
    private static final String MARKS =
            FileSystems.getDefault().supportedFileAttributeViews().contains("unix")
                    ? "unix:ctime,ino,size"
                    : "lastModifiedTime,size";

    private record Loaded(Map<String, Object> marks, List<Grant> grants) {}

    private final Path file;
    private final boolean strongOnly;
    private final List<Grant> beside;
    private volatile Loaded loaded;

    /**
     * Reads a file.
     *
     * @param strongOnly whether weak tokens are refused, since other machines can reach the slave
     * @param beside what there is besides, in no file
     * @throws ConfigurationException if it cannot be used; the message says why, and nothing of a token
     */
    TokenFile(Path file, boolean strongOnly, List<Grant> beside) {
        this.file = file;
        this.strongOnly = strongOnly;
        this.beside = beside;
        Map<String, Object> marks = marks(); // Before the file is read: what changes meanwhile is read again.
        this.loaded = new Loaded(marks, read());
    }

    @Override
    public List<Grant> get() {
        Loaded now = loaded;
        Map<String, Object> marks = marks();
        return marks.equals(now.marks) ? now.grants : reload(marks);
    }

    private synchronized List<Grant> reload(Map<String, Object> marks) {
        if (!marks.equals(loaded.marks)) { // Another call may have been here first.
            List<Grant> before = loaded.grants;
            try {
                loaded = new Loaded(marks, read());
                LOG.info("--token-file: took the changed {}: {}", file, names(loaded.grants));
            } catch (ConfigurationException e) {
                loaded = new Loaded(marks, before);
                LOG.warn("keeps the tokens that it has, since the changed file cannot be used: {}", e.getMessage());
            }
        }
        return loaded.grants;
    }

    private static List<String> names(List<Grant> grants) {
        return grants.stream()
                .map(grant -> grant.name() + " (" + grant.scope().wireName() + ")")
                .toList();
    }

    private Map<String, Object> marks() {
        try {
            return Files.readAttributes(file, MARKS);
        } catch (IOException e) {
            return Map.of(); // Missing, for example, while it is replaced.
        }
    }

    private List<Grant> read() {
        List<Grant> grants = new ArrayList<>();
        int number = 0;
        for (String line : lines()) {
            number++;
            String text = line.strip();
            if (!text.isEmpty() && !text.startsWith("#")) {
                try {
                    grants.add(grant(text));
                } catch (ConfigurationException e) {
                    throw new ConfigurationException(
                            "--token-file: " + file + ", line " + number + ": " + e.getMessage(), e);
                }
            }
        }
        if (grants.isEmpty()) {
            throw new ConfigurationException("--token-file: " + file + ": there is no token in it" + EXPECTED);
        }
        grants.addAll(beside);
        try {
            rejectTwice(grants);
        } catch (ConfigurationException e) {
            throw new ConfigurationException("--token-file: " + file + ": " + e.getMessage(), e);
        }
        return List.copyOf(grants);
    }

    /** Of two grants of one token nobody could tell which counts. */
    static void rejectTwice(List<Grant> grants) {
        Map<Token, String> seen = new HashMap<>();
        for (Grant grant : grants) {
            String other = seen.put(grant.token(), grant.name());
            if (other != null) {
                throw new ConfigurationException("the tokens named \"" + other + "\" and \"" + grant.name()
                        + "\" are the same (expected: each token once)");
            }
        }
    }

    private List<String> lines() {
        try {
            Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(file);
            if (permissions.contains(PosixFilePermission.GROUP_READ)
                    || permissions.contains(PosixFilePermission.OTHERS_READ)) {
                throw new ConfigurationException("--token-file: others can read " + file + "; run: chmod 600 " + file);
            }
            return Files.readAllLines(file);
        } catch (UnsupportedOperationException e) {
            throw new ConfigurationException("--token-file: this file system does not tell who can read " + file, e);
        } catch (CharacterCodingException e) {
            throw new ConfigurationException("--token-file: " + file + " is no text", e);
        } catch (IOException e) {
            throw new ConfigurationException("--token-file: " + file + " cannot be read: " + e, e);
        }
    }

    /** What is wrong is told without the words: part of a token may be among them. */
    private Grant grant(String line) {
        String[] words = line.split("\\s+");
        if (words.length > 3) {
            throw new ConfigurationException("it has more than three words" + EXPECTED);
        }
        Token token = Token.of(words[0]);
        if (strongOnly && !token.strong()) {
            throw new ConfigurationException("a token of fewer than " + Token.MIN_LENGTH_BEYOND_LOOPBACK
                    + " characters, or the well-known one, though other machines can reach this slave"
                    + " (expected: such as openssl rand -hex 32 makes)");
        }
        return new Grant(
                words.length > 2 ? words[2] : Grant.UNNAMED,
                token,
                words.length > 1
                        ? scope(words[1])
                                .orElseThrow(() -> new ConfigurationException("its second word is no scope" + EXPECTED))
                        : Scope.EXECUTE);
    }

    private static Optional<Scope> scope(String word) {
        return Stream.of(Scope.values())
                .filter(scope -> scope.wireName().equals(word))
                .findFirst();
    }
}
