package dev.d8.executor.venv;

import dev.d8.executor.python.engine.PythonInterpreter;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * The packages that a task needs, in an order of their own.
 *
 * @param lines as pip spells them, sorted and each once
 */
record Requirements(List<String> lines) {

    private static final int MOST = 500;
    private static final int LONGEST = 1000;

    Requirements {
        lines = lines.stream().map(String::strip).distinct().sorted().toList();
    }

    /** Says what is wrong with a task's list, if anything is. Options are the slave owner's to set, not a task's. */
    static Optional<String> objection(List<String> lines) {
        if (lines.size() > MOST) {
            return Optional.of("requirements: " + lines.size() + " of them (expected: at most " + MOST + ")");
        }
        for (int i = 0; i < lines.size(); i++) {
            String line = lines.get(i).strip();
            String what = "requirements[" + i + "]: ";
            if (line.isEmpty() || line.length() > LONGEST) {
                return Optional.of(what + "empty or longer than " + LONGEST + " characters");
            }
            if (line.startsWith("-")) {
                return Optional.of(what + "\"" + line + "\" is an option of pip's, which only the slave's owner sets:"
                        + " venv.pip_arguments");
            }
            if (line.chars().anyMatch(c -> c < ' ' || c == 0x7f)) {
                return Optional.of(what + "contains a control character");
            }
        }
        return Optional.empty();
    }

    /** Returns the name of an environment that has them: the same for the same packages, interpreter and machine. */
    String key(PythonInterpreter python) {
        String all = String.join("\n", lines) + "\0" + python.executable() + "\0" + python.fullVersion() + "\0"
                + System.getProperty("os.name").toLowerCase(Locale.ROOT) + "\0" + System.getProperty("os.arch");
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(all.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest, 0, 16);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
