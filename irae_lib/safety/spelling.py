"""Correct typing slips: an unknown word that is one edit away from exactly one known word is read as that word.

"inflamation" is "inflammation", "siezure" is "seizure". Words of common English and of `near_words.json` ("dysphasia",
"ileum") are never changed, nor is a word with two candidates of different meanings.
"""

from __future__ import annotations

import functools
import json
import re

from ..files import DATA, built_once
from .concept_table import concept_table, vocabulary, written_words
from .inflection import spellings
from .lexicon import common_english, meanings

_SHORTEST = 6  # letters; shorter words have too many neighbours
WORD = re.compile(rf"(?<![\w'./-])[A-Za-z]{{{_SHORTEST},24}}(?![\w'/@]|-\w)")
_ENDINGS = ("s", "es", "d", "ed", "ing", "ly", "er", "al", "ic", "n", "like")


def corrected(match: re.Match[str]) -> str | None:
    """The intended word, for `View.replace`; None if the word stays as it is."""
    written = match.group()
    if written.isupper():
        return None  # a name or an abbreviation
    if written[0].isupper() and _inside_sentence(match):
        return None  # a name: "Mr Weeks", "Dr Legge"
    word = meant(written.lower())
    return word.capitalize() if word and written[0].isupper() else word


def _inside_sentence(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - 2) : match.start()].strip(" \t")
    return bool(before) and before[-1] not in ".:;!?\n-*•(|>"


@functools.lru_cache(maxsize=50_000)
def meant(word: str) -> str | None:
    """The one known word that is an insertion, deletion, substitution or swap of two letters away, or None."""
    if word in _known() or _is_form(word):
        return None
    near = {other for key in (word, *_shorter(word)) for other in _index().get(key, ())}
    found = sorted(other for other in near if _is_one_edit(word, other))
    if not found or (len(found) > 1 and len({_sense(other) for other in found}) > 1):
        return None
    return found[0]


def _is_form(word: str) -> bool:
    """Whether it is a form, or the other national spelling, of a known word."""
    known = _known()
    if any(word.endswith(end) and (word[: -len(end)] in known or f"{word[: -len(end)]}e" in known) for end in _ENDINGS):
        return True
    return any(spelled in known for spelled in spellings(word)) or (word.endswith("ies") and f"{word[:-3]}y" in known)


def _shorter(word: str) -> list[str]:
    """The word without each of its letters in turn, except the first, where slips are rare."""
    return [word[:i] + word[i + 1 :] for i in range(1, len(word))]


def _is_one_edit(word: str, other: str) -> bool:
    if word == other or word[0] != other[0] or abs(len(word) - len(other)) > 1:
        return False
    if len(word) != len(other):
        short, long = sorted((word, other), key=len)
        return short in _shorter(long)
    places = [i for i, (a, b) in enumerate(zip(word, other, strict=True)) if a != b]
    if len(places) == 1:
        return True
    first, last = places[0], places[-1]
    return len(places) == 2 and last == first + 1 and word[first] == other[last] and word[last] == other[first]


def _sense(word: str) -> object:
    """The meaning of a word: its classes and findings; a word found only in phrases is its own meaning."""
    begun = concept_table().ways.words.get(word)
    names = (begun.alone if begun else frozenset()) | {meaning[:2] for meaning in meanings().get(word, ())}
    return names or word


@built_once
def _index() -> dict[str, list[str]]:
    """Each possible correction, indexed by itself and by its deletions."""
    index: dict[str, list[str]] = {}
    for word in _vocabulary():
        if len(word) >= _SHORTEST:
            for key in (word, *_shorter(word)):
                index.setdefault(key, []).append(word)
    return index


@functools.cache
def _vocabulary() -> frozenset[str]:
    """The words of findings, tests, drugs, cues and concepts."""
    return written_words() | {word for phrase in meanings() for word in re.findall(r"[a-z]+", phrase)}


@built_once
def _known() -> frozenset[str]:
    """Words that are never changed: the reader's vocabulary, common English and the near words."""
    near = json.loads((DATA / "clinical" / "near_words.json").read_text(encoding="utf-8"))
    return _vocabulary() | vocabulary() | common_english() | {word for row in near["words"] for word in row.split()}
