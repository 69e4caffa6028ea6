"""Bonds: the words that tie a finding to its cause in a sentence, and the findings they apply to.

"The colitis is due to X", "X explains the colitis", "so the colitis is X", "treated as X": bond words are classes of
`causes.json`, and so are the words for organs. A bond that the sentence denies does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .cause_note import denied
from .cause_table import table
from .cause_words import Sentence
from .lexicon import common_english
from .matching import Place
from .tokens import Token, within

_ACTIVE = re.compile(r"(?:attribut|ascrib)\w*$")  # "attribute the colitis to X": the finding follows
_SINGULAR = re.compile(r"\b(?:is|was|being|has been|can be)\b[\w ]{0,20}$")
_WORDS = 8  # most words between a bond and its target
_NAMES_ILLNESS = re.compile(r"(?:osis|iasis|oma|pathy|emia|trauma|poisoning|toxicity)s?$")
_FORM = re.compile(r"(?:ing|ed|es|s|ly|er|d)$")
_IS = re.compile(r"\b(?:is|are|was|were)\b")
_IS_SO = re.compile(r"\b(?:is|are|was|were)\s$")
_NOUN = re.compile(r"\b(?:picture|disease|involvement|damage|state|syndrome)\b")  # one noun for several organs
_PRONOUN = re.compile(r"\s*(?:this|these|that|it|they)\b")


class Target(NamedTuple):
    """The target of a bond: a finding, by its names or its groups, or all findings together."""

    start: int
    end: int
    names: frozenset[str]
    groups: frozenset[str]
    scope: str  # "" for a finding, "organ" for the finding of a note about one organ, "all" for every organ


class Bond(NamedTuple):
    """A place that ties targets to a cause."""

    place: Place
    targets: tuple[Target, ...]


def bonds(s: Sentence, tokens: Sequence[Token]) -> Iterator[Bond]:
    """The bonds of a sentence, each with its grammatical targets."""
    targets = _targets(s, tokens)
    for kind, find in (("EXPLAIN", _after), ("DUETO", _before), ("TREATEDAS", _before), ("SO", _so)):
        for place in s.of(kind):
            if kind == "EXPLAIN" and "DUETO" in place.classes:
                continue  # "put down to": the finding comes before it
            if not denied(s, place) and not _immune_illness(s, place, kind) and (found := find(s, place, targets)):
                yield Bond(place, found)


def _targets(s: Sentence, tokens: Sequence[Token]) -> list[Target]:
    """Everything a sentence can give a cause for: findings, words for an organ, words for the whole illness."""
    whole = {p.start for p in s.of("ALLORGANS")}
    found = []
    for _, token in within(tokens, s.start, s.end):
        if token.kind in ("finding", "lab") and " " not in token.names[0] and token.start not in whole:
            groups = (g for g, (_, names) in table().groups.items() if not names.isdisjoint(token.names))
            found.append(Target(token.start, token.end, frozenset(token.names), frozenset(groups), ""))
    for name, groups in table().targets.items():
        found += [Target(p.start, p.end, frozenset(), groups, "") for p in s.of(name)]
    for name, scope in (("WHOLE", "organ"), ("ALLORGANS", "all")):
        found += [Target(p.start, p.end, frozenset(), frozenset(), scope) for p in s.of(name)]
    return sorted(found, key=lambda t: t.start)


def _after(s: Sentence, place: Place, targets: list[Target]) -> tuple[Target, ...]:
    """ "X explains the colitis": the targets after the bond, up to a comma or a "but"."""
    return _named([t for t in targets if t.start >= place.end and _joined(s, place.end, t.start)])


def _before(s: Sentence, place: Place, targets: list[Target]) -> tuple[Target, ...]:
    """ "The colitis is due to X"; "attribute the colitis to X"."""
    bond = s.text[place.start - s.start : place.end - s.start]
    if _ACTIVE.search(bond):
        behind = _after(s, place, targets)
        return tuple(t for t in behind if " to " not in s.text[place.end - s.start : t.start - s.start])
    ahead = [t for t in targets if t.end <= place.start and _joined(s, t.end, place.start)]
    if "TREATEDAS" in place.classes and not s.text[: place.start - s.start].strip():
        return (Target(place.start, place.end, frozenset(), frozenset(), "organ"),)  # "...; treated as gout"
    if len(ahead) > 1 and _SINGULAR.search(s.text, 0, place.start - s.start):
        nearest = [t for t in ahead if t.end > ahead[-1].start]
        ahead = [t for t in ahead if _one_phrase(s, t, nearest[0])]
    return _named(ahead)


def _so(s: Sentence, place: Place, targets: list[Target]) -> tuple[Target, ...]:
    """ "So the colitis is amoebic", "so this is gout": the cause is an illness, neither a grade nor the finding."""
    so = place.start - s.start
    if ahead := _IS_SO.search(s.text, max(0, so - 5), so):  # "is therefore amoebic"
        named = [t for t in targets if t.end <= s.start + ahead.start() and _joined(s, t.end, s.start + ahead.start())]
        return _named(named[-1:]) if _illness(s, place.end - s.start) else ()
    link = _IS.search(s.text, place.end - s.start, place.end - s.start + 80)
    if link is None or not _joined(s, place.end, s.start + link.start()) or not _illness(s, link.end()):
        return ()
    if _PRONOUN.match(s.text, place.end - s.start):
        return (Target(place.start, place.end, frozenset(), frozenset(), "organ"),)
    return _named([t for t in targets if place.end <= t.start and t.end <= s.start + link.start()])


def _named(targets: list[Target]) -> tuple[Target, ...]:
    """The named findings if there are any, else the words for the whole."""
    named = tuple(t for t in targets if not t.scope)
    return named or tuple(targets)


def _one_phrase(s: Sentence, target: Target, nearest: Target) -> bool:
    """Whether two targets are in one phrase, "the inflammation of the bowel", with no "and" between them."""
    between = s.text[target.end - s.start : max(target.end, nearest.start) - s.start]
    joined = " and " in between and not _NOUN.search(s.text, nearest.end - s.start, nearest.end - s.start + 15)
    return not joined and len(between.split()) <= 3


def _joined(s: Sentence, first: int, last: int) -> bool:
    """Whether two offsets are a few words apart, without a mark or a "but" between them."""
    between = s.text[first - s.start : max(first, last) - s.start]
    if len(between) > 120 or any(mark in between for mark in ",():"):
        return False
    words = between.split()
    return len(words) <= _WORDS and not {"but", "not", "while", "though", "although", "except", "yet"} & set(words)


def _immune_illness(s: Sentence, place: Place, kind: str) -> bool:
    """Whether the cause itself is named as an illness that inhibitors cause: "due to pneumonitis"."""
    first, last = (place.at - 3, place.at - 1) if kind == "EXPLAIN" else (place.last + 1, place.last + 4)
    if kind == "SO" or (kind == "DUETO" and _ACTIVE.search(s.text[place.start - s.start : place.end - s.start])):
        return False
    named = [p for p in s.within(first, last, "ORGANITIS", "ORGANILL") if "TOXICITY" not in p.classes]
    return any(not s.near(p.at, 2, -1, "KINDWORD") for p in named)


def _illness(s: Sentence, first: int) -> bool:
    """Whether the name of an illness, rather than a grade, follows up to the next mark."""
    phrase = re.split(r"[,;:(]| and | but ", s.text[first:], maxsplit=1)[0]
    words = phrase.split()[:7]
    last = s.start + first + len(phrase)
    said = {name for p in _between(s, s.start + first, last) for name in p.classes}
    if said & {"SEVERITY", "NOT", "IMMUNE", "IODRUG"} - ({"SEVERITY"} if "KINDWORD" in said else set()):
        return False
    ordinary = {s.text[p.start - s.start : p.end - s.start] for p in s.of("ORDINARY", "ORGANILL", "ORGANITIS")}
    if said & {"KINDWORD", "THING"}:
        return True
    return any(_NAMES_ILLNESS.search(word) or is_name(word, ordinary, 3) for word in words)


def _between(s: Sentence, first: int, last: int) -> list[Place]:
    """The places between two offsets whose words help to identify an illness."""
    named = s.of("SEVERITY", "NOT", "IMMUNE", "IODRUG", "KINDWORD", "THING")
    return [p for p in named if first <= p.start < last]


def is_name(word: str, ordinary: set[str], least: int = 6) -> bool:
    """Whether a word is a rare name: long, and absent from common English."""
    rare = (
        len(word) >= least and word.isalpha() and word not in ordinary and _FORM.sub("", word) not in common_english()
    )
    return rare and word not in common_english() and not word.endswith(("itis", "scopy", "gram", "ology", "ologist"))
