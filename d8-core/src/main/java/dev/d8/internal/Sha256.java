package dev.d8.internal;

import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** SHA-256, begun anew for each use. Thread-safe. */
public final class Sha256 {

    /** Cloned for each, since to look for the algorithm takes longer than to use it. */
    private static final MessageDigest UNUSED = find();

    private Sha256() {}

    /** Returns the hash of bytes, 32 of them. */
    public static byte[] of(byte[] bytes) {
        return begin().digest(bytes);
    }

    /** Begins the hash of what comes in pieces. */
    public static MessageDigest begin() {
        try {
            return (MessageDigest) UNUSED.clone();
        } catch (CloneNotSupportedException e) {
            throw new IllegalStateException(e); // The JDK's own can be cloned.
        }
    }

    private static MessageDigest find() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
