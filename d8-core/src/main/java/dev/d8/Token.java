package dev.d8;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;

/** A shared secret that lets its holder run code. Never printed: {@link #toString} hides it. Immutable. */
public final class Token {

    /** The fewest characters of a token that may guard an address beyond loopback: 32. */
    public static final int MIN_LENGTH_BEYOND_LOOPBACK = 32;

    /** What stands in where nobody set a token. Everybody knows it, so it is accepted on loopback only. */
    public static final Token DEVELOPMENT = new Token("d8-development-token-not-a-secret");

    private final byte[] value;

    private Token(String value) {
        this.value = value.getBytes(StandardCharsets.UTF_8);
    }

    /**
     * Returns a token.
     *
     * @throws ConfigurationException if it is empty or has characters that a header cannot carry
     */
    public static Token of(String value) {
        if (value.isEmpty()) {
            throw new ConfigurationException("token: empty (expected: SLAVE_TOKEN or a token file with a value)");
        }
        if (value.chars().anyMatch(c -> c <= ' ' || c > '~')) {
            throw new ConfigurationException(
                    "token: has a space, a control or a non-ASCII character (expected: visible ASCII only)");
        }
        return new Token(value);
    }

    /** Returns whether {@code candidate} is this token, in a time that does not tell how much of it is right. */
    public boolean matches(String candidate) {
        // The time depends on the length of the first only, so not even the token's length shows in it.
        return MessageDigest.isEqual(candidate.getBytes(StandardCharsets.UTF_8), value);
    }

    /** Returns the token itself, for the one place that writes it into a header. */
    public String reveal() {
        return new String(value, StandardCharsets.UTF_8);
    }

    /** Returns whether this is good enough for an address that other machines can reach. */
    public boolean strong() {
        return value.length >= MIN_LENGTH_BEYOND_LOOPBACK && !equals(DEVELOPMENT);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Token that && MessageDigest.isEqual(value, that.value);
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(value);
    }

    @Override
    public String toString() {
        return "Token[hidden]";
    }
}
