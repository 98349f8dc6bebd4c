package dev.d8.version;

import dev.d8.ConfigurationException;

/** What may stand for a commit: a git hash, or whatever name a deployment gives its code. */
final class CommitName {

    private static final int MAX_LENGTH = 64;

    private CommitName() {}

    static String check(String commit) {
        if (!isValid(commit)) {
            // Not quoted: the characters at fault would spoil a terminal or a log.
            throw new ConfigurationException("commit: length " + commit.length() + " (expected: 1 to " + MAX_LENGTH
                    + " characters, no white space or control characters)");
        }
        return commit;
    }

    static boolean isValid(String commit) {
        return !commit.isEmpty()
                && commit.length() <= MAX_LENGTH
                && commit.chars()
                        .noneMatch(c ->
                                Character.isWhitespace(c) || Character.isSpaceChar(c) || Character.isISOControl(c));
    }
}
