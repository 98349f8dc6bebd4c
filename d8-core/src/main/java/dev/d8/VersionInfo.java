package dev.d8;

import java.util.Objects;

/**
 * Which code a master or a slave runs.
 *
 * @param commit the full hash of its git commit, or {@link #UNKNOWN}
 * @param version the release, {@code 1.0.0} in the original
 * @param branch the branch, or {@link #UNKNOWN}; {@code HEAD} where the head is detached
 * @param dirty whether tracked files had uncommitted changes when the process started
 */
public record VersionInfo(String commit, String version, String branch, boolean dirty) {

    /** What stands for a value that nobody knows. */
    public static final String UNKNOWN = "unknown";

    /** Checks that nothing is missing. */
    public VersionInfo {
        Objects.requireNonNull(commit, "commit");
        Objects.requireNonNull(version, "version");
        Objects.requireNonNull(branch, "branch");
    }

    /** Returns whether both run the same commit; two unknown commits count as the same. */
    public boolean sameCommit(VersionInfo other) {
        return commit.equalsIgnoreCase(other.commit);
    }

    /** Returns the commit's first twelve characters. */
    public String shortCommit() {
        return commit.length() > 12 ? commit.substring(0, 12) : commit;
    }
}
