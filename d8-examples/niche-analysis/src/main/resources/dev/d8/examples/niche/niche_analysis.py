"""Looks at the wording of a market niche: reads it from stdin, prints a report as one JSON object.

Nothing here knows a market. The score says how narrow the wording is, by the formula in score().
"""
import json
import re
import sys
import unicodedata

FILLERS = frozenset(
    "a an and are as at best by for from in into is it new of on or our the their to top with your".split()
)
IDEAS = ("", "best", "how to choose", "alternatives to", "for beginners")
MAX_TELLING = 4


def words_of(text):
    return re.findall(r"\w+", text.casefold())


def slug_of(text):
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").casefold()
    return "-".join(re.findall(r"[a-z0-9]+", plain))


def keywords_of(telling):
    """The whole phrase with ideas around it, then its pairs, then its words; each once."""
    phrase = " ".join(telling)
    ideas = [f"{phrase} {idea}" if idea.startswith("for ") else f"{idea} {phrase}".strip() for idea in IDEAS]
    pairs = [" ".join(pair) for pair in zip(telling, telling[1:])]
    return list(dict.fromkeys(ideas + pairs + telling)) if telling else []


def score(words, telling):
    """20 for each telling word, up to four, and 20 times the share of telling words among all words."""
    if not words:
        return 0.0
    return round(20 * min(len(telling), MAX_TELLING) + 20 * len(telling) / len(words), 1)


def main():
    niche = sys.stdin.buffer.read().decode("utf-8")
    words = words_of(niche)
    telling = list(dict.fromkeys(word for word in words if word not in FILLERS))
    points = score(words, telling)
    report = {
        "niche": niche,
        "slug": slug_of(niche),
        "keywords": keywords_of(telling),
        "score": points,
        "summary": f"{len(telling)} telling of {len(words)} words: narrowness {points} of 100.",
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
