"""Inflected forms and spellings of an English word, so that a word list can name each word once."""

from __future__ import annotations

import re

_VOWEL = "aeiou"
_DOUBLING = re.compile(r"[^aeiou][aeiou][bdgmnprt]$")  # stop, stopping
_SPELLINGS = (  # British to American
    (re.compile(r"oe(?=a|[a-z]{2})"), "e"),
    (re.compile(r"ae(?=[a-z]{2})"), "e"),
    (re.compile(r"our\b|our(?=s\b|ed\b|ing\b|less\b)"), "or"),
    (re.compile(r"is(?=e\b|es\b|ed\b|ing\b|ation)"), "iz"),
    (re.compile(r"yse(?=\b|d\b|s\b)"), "yze"),
    (re.compile(r"(?<=[aeiou])ll(?=ed\b|ing\b|er\b)"), "l"),
    (re.compile(r"tre\b"), "ter"),
)

_VARIES = re.compile(r"oe|ae|our|is|yse|ll|tre")  # letters that every one of these spellings contains


def forms(word: str) -> set[str]:
    """The word with its plural and verb endings; forms that do not exist are harmless.

    >>> sorted(forms("swell"))
    ['swell', 'swelled', 'swelling', 'swells']
    >>> "tries" in forms("try") and "itching" in forms("itch") and "stopped" in forms("stop")
    True
    """
    found = {word, f"{word}es" if word.endswith(("s", "x", "z", "ch", "sh")) else f"{word}s"}
    if not word.isalpha() or len(word) < 3:
        return found
    if word.endswith("y") and word[-2] not in _VOWEL:
        found |= {f"{word[:-1]}ies", f"{word[:-1]}ied", f"{word}ing"}
    elif word.endswith("e"):
        found |= {f"{word}d", f"{word[:-1]}ing"}
    elif not word.endswith(("ed", "ing")):
        stem = word + word[-1] if _DOUBLING.search(word) else word
        found |= {f"{stem}ed", f"{stem}ing", f"{word}ed", f"{word}ing"} if stem != word else {f"{word}ed", f"{word}ing"}
    return found


def spellings(word: str) -> set[str]:
    """The word in British and American spelling.

    >>> sorted(spellings("diarrhoea"))
    ['diarrhea', 'diarrhoea']
    """
    found = {word}
    if _VARIES.search(word) is None:
        return found  # most words
    for pattern, other in _SPELLINGS:
        found |= {pattern.sub(other, known) for known in found}
    return found
