package dev.d8.examples.niche;

import java.util.List;

/**
 * What a {@code niche_analysis} task answers; get it with {@code result.outputAs(NicheReport.class)}.
 *
 * @param niche the niche as it was asked about
 * @param slug the niche as part of an address: {@code ai-productivity-tools}
 * @param keywords phrases to look for, the most specific first
 * @param score how narrow the niche is, 0 to 100: 20 for each telling word, up to four, and 20 times the share of
 *     telling words among all words; a measure of the wording alone, not of any market
 * @param summary one sentence for people
 */
public record NicheReport(String niche, String slug, List<String> keywords, double score, String summary) {

    /** Copies the list. */
    public NicheReport {
        keywords = List.copyOf(keywords);
    }
}
