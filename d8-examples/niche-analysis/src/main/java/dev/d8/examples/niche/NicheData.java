package dev.d8.examples.niche;

import dev.d8.InvalidTaskException;

/**
 * What a {@code niche_analysis} task needs: {@code {"niche": "AI productivity tools"}}.
 *
 * @param niche the market to look at, in plain words; not blank
 */
public record NicheData(String niche) {

    /** Checks that the niche says something. */
    public NicheData {
        if (niche.isBlank()) {
            throw new InvalidTaskException("niche", "blank (expected: a few words, such as AI productivity tools)");
        }
    }
}
