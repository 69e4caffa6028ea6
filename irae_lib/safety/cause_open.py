"""Proofs of a cause that no list names: a specific result of any test, and a sentence that ties a finding to it.

The illness may be one that nobody foresaw; the grammar of a proof is not. "Larvae sit in the crypts on histology, so
the bowel inflammation is strongyloidiasis": a result, a bond ("so ... is"), and the finding that it is about. The
classes of words are those of `causes.json`; `open_proofs` finds bonds, then a result beside each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .cause_note import Note, Proof, is_hedged, of_another
from .cause_table import table
from .cause_words import Mention, Sentence
from .chart import Chart
from .matching import Place
from .tokens import Token, within

OPEN = "open"  # the name of such a cause among the ways
_BEFORE, _AFTER = 2, 1  # clauses before and after a bond in which its result may stand
_ACTIVE = re.compile(r"(?:attribut|ascrib)\w*$")  # "attribute the colitis to X": the finding follows
_SINGULAR = re.compile(r"\b(?:is|was|being|has been|can be)\b[\w ]{0,20}$")
_WORDS = 8  # words between a bond and what it is about
_NAMES_ILLNESS = re.compile(r"(?:osis|iasis|oma|pathy|emia|trauma|poisoning|toxicity)s?$")
_PRONOUN = re.compile(r"\s*(?:this|these|that|it|they)\b")


class Target(NamedTuple):
    """What a bond is about: a finding, by its names or its groups, or all findings together."""

    start: int
    end: int
    names: frozenset[str]
    groups: frozenset[str]
    scope: str  # "" for a finding, "organ" for that of a note of one organ, "all" for every organ


class Bond(NamedTuple):
    """A place that ties targets to a cause."""

    place: Place
    targets: tuple[Target, ...]


class OpenProof(NamedTuple):
    """A proof and the findings it explains."""

    proof: Proof
    targets: tuple[Target, ...]

    def explains(self, system: str, finding: str, organs: int) -> bool:
        """Does it explain this finding, in a note whose floors are about so many organ systems?"""
        for target in self.targets:
            if target.scope == "all" or (target.scope == "organ" and organs == 1) or finding in target.names:
                return True
            if any(system == table().groups[g][0] and finding in table().groups[g][1] for g in target.groups):
                return True
        return False


def open_proofs(note: Note, chart: Chart) -> list[OpenProof]:
    """The proofs of causes that no row of the table names."""
    proofs = []
    for i, sentence in enumerate(note.sentences):
        if not sentence.of("EXPLAIN", "DUETO", "SO", "TREATEDAS"):
            continue
        bonds = list(_bonds(sentence, note.tokens))
        result = _result(note, i) if bonds and _firm(sentence) else None
        if result is None:
            continue
        for bond in bonds:
            if not _contradicted(note, i, bond, chart) and not _left_open(note, i, bond):
                proofs.append(OpenProof(Proof(OPEN, result.start, result.token.end), bond.targets))
    return proofs


# --- the result -----------------------------------------------------------------------------------------


def _result(note: Note, i: int) -> Mention | None:
    """A specific result of this patient in the clauses around a bond."""
    order = sorted(range(max(0, i - _BEFORE), min(len(note.sentences), i + 1 + _AFTER)), key=lambda k: abs(k - i))
    for k in order:
        s = note.sentences[k]
        if k != i and not _firm(s):
            continue
        results = [m for m in s.said(OPEN, "result") if note.is_result(k, m) and not s.near(m.at, 4, 8, "AUTOIMMUNE")]
        results += [m for m in s.said(OPEN, "ended") if m.stated and _ended(note, k, m)]
        if results:
            return results[0]
    return None


def _ended(note: Note, k: int, m: Mention) -> bool:
    """Did it end when a drug, not the inhibitor, was stopped: that alone, or again and again?"""
    s = note.sentences[k]
    if of_another(s, m) or is_hedged(s, m, 8) or s.near(m.at, 4, m.last - m.at + 1, "IODRUG", "THERAPY"):
        return False
    return bool(s.of("ALONE", "RECHALLENGE"))


# --- the bond -------------------------------------------------------------------------------------------


def _firm(s: Sentence) -> bool:
    """Is it said as a fact, of this patient, and without the inhibitor as a cause?"""
    if s.asks or s.of("HEDGE", "UNSURE", "UNDECIDED", "ANOTHER"):
        return False
    for place in s.of("IMMUNE", "IODRUG", "THERAPY"):
        denied = s.near(place.at, 5, place.last - place.at + 5, "NOT", "EXCLUDED", "CONTINUED", "UNRELATED")
        if not denied and not place.classes & {"ORGANITIS"}:
            return False
    return True


def _bonds(s: Sentence, tokens: Sequence[Token]) -> Iterator[Bond]:
    """The bonds of a sentence, each with the targets that the grammar gives it."""
    targets = _targets(s, tokens)
    for kind, find in (("EXPLAIN", _after), ("DUETO", _before), ("TREATEDAS", _before), ("SO", _so)):
        for place in s.of(kind):
            denied = s.near(place.at, 3, -1, "NOT")
            if not denied and not _immune_illness(s, place, kind) and (found := find(s, place, targets)):
                yield Bond(place, found)


def _targets(s: Sentence, tokens: Sequence[Token]) -> list[Target]:
    """What a sentence may say a cause of: its findings, words for an organ, and words for all of it."""
    found = []
    for _, token in within(tokens, s.start, s.end):
        if token.kind in ("finding", "lab") and token.names and " " not in token.names[0]:
            groups = (g for g, (_, names) in table().groups.items() if not names.isdisjoint(token.names))
            found.append(Target(token.start, token.end, frozenset(token.names), frozenset(groups), ""))
    for name, groups in table().targets.items():
        found += [Target(p.start, p.end, frozenset(), groups, "") for p in s.of(name)]
    for name, scope in (("WHOLE", "organ"), ("ALLORGANS", "all")):
        found += [Target(p.start, p.end, frozenset(), frozenset(), scope) for p in s.of(name)]
    return sorted(found, key=lambda t: t.start)


def _after(s: Sentence, place: Place, targets: list[Target]) -> tuple[Target, ...]:
    """ "X explains the colitis": the targets behind the bond, up to a comma or a "but"."""
    return _named([t for t in targets if t.start >= place.end and _joined(s, place.end, t.start)])


def _before(s: Sentence, place: Place, targets: list[Target]) -> tuple[Target, ...]:
    """ "The colitis is due to X"; "attribute the colitis to X"."""
    bond = s.text[place.start - s.start : place.end - s.start]
    if _ACTIVE.search(bond):
        behind = _after(s, place, targets)
        return tuple(t for t in behind if " to " not in s.text[place.end - s.start : t.start - s.start])
    ahead = [t for t in targets if t.end <= place.start and _joined(s, t.end, place.start)]
    if len(ahead) > 1 and _SINGULAR.search(s.text, 0, place.start - s.start):
        nearest = [t for t in ahead if t.end > ahead[-1].start]
        ahead = [t for t in ahead if _one_phrase(s, t, nearest[0])]
    return _named(ahead)


def _so(s: Sentence, place: Place, targets: list[Target]) -> tuple[Target, ...]:
    """ "So the colitis is amoebic", "so this is gout": the cause is an illness, not a grade or a name of the finding."""
    links = [p for p in s.of("LINK") if p.at > place.at and p.at - place.last <= _WORDS and _joined(s, place.end, p.start)]
    if not links or not _illness(s, links[0]):
        return ()
    link = links[0]
    if _PRONOUN.match(s.text, place.end - s.start):
        return (Target(place.start, link.end, frozenset(), frozenset(), "organ"),)
    return _named([t for t in targets if place.end <= t.start and t.end <= link.start])


def _named(targets: list[Target]) -> tuple[Target, ...]:
    """The findings where some are named, else the words for the whole."""
    named = tuple(t for t in targets if not t.scope)
    return named or tuple(targets)


def _one_phrase(s: Sentence, target: Target, nearest: Target) -> bool:
    """Do two targets stand in one phrase, "the inflammation of the bowel", with no "and" between?"""
    between = s.text[target.end - s.start : max(target.end, nearest.start) - s.start]
    return " and " not in between and len(between.split()) <= 3


def _joined(s: Sentence, first: int, last: int) -> bool:
    """Are these offsets few words apart, without a mark or a "but" between?"""
    between = s.text[first - s.start : max(first, last) - s.start]
    if len(between) > 120 or any(mark in between for mark in ",():"):
        return False
    words = between.split()
    return len(words) <= _WORDS and not {"but", "not", "while", "though", "although", "except", "yet"} & set(words)


def _immune_illness(s: Sentence, place: Place, kind: str) -> bool:
    """Is the cause itself named as what an inhibitor causes: "due to pneumonitis"?"""
    first, last = (place.at - 3, place.at - 1) if kind == "EXPLAIN" else (place.last + 1, place.last + 4)
    if kind == "SO" or (kind == "DUETO" and _ACTIVE.search(s.text[place.start - s.start : place.end - s.start])):
        return False
    return any(not s.near(p.at, 2, -1, "KINDWORD") for p in s.within(first, last, "ORGANITIS", "ORGANILL"))


def _illness(s: Sentence, link: Place) -> bool:
    """Does an illness follow the link?"""
    if s.near(link.last, -1, 4, "SEVERITY") or s.near(link.last, -1, 5, "NOT"):
        return s.near(link.last, -1, 4, "KINDWORD", "THING")
    if s.near(link.last, -1, 6, "KINDWORD", "THING"):
        return True
    words = re.split(r"[,;:(]", s.text[link.end - s.start :], maxsplit=1)[0].split()[:6]
    return any(_NAMES_ILLNESS.search(word) for word in words)


# --- what forbids it ------------------------------------------------------------------------------------


def _contradicted(note: Note, i: int, bond: Bond, chart: Chart) -> bool:
    """Is it one of the results that the contract never takes as a proof, beside these findings?"""
    first, last = max(0, i - _BEFORE), i + 1
    around = [s for s in note.sentences[first:last]]
    groups = frozenset().union(*(t.groups for t in bond.targets))
    wide = any(t.scope for t in bond.targets)
    for s in around:
        if any(not s.near(p.at, 3, p.last - p.at + 3, "NOT", "NEGATIVE") for p in s.of("CMV", "AUTOIMMUNE", "CARRIER")):
            return True
        if s.of("RESPVIRUS") and any(chart.any(name) for name in ("ground_glass", "infiltrates", "pneumonitis")):
            return True
        if s.of("CORONARY", "OCCLUSION", "INFARCT") and (wide or "heart" in groups or "whole heart" in groups):
            others = table().causes["coronary"]["unless"]
            if any(chart.any(name) or (name == "ck" and chart.above(name)) for name in others):
                return True
    return False


def _left_open(note: Note, i: int, bond: Bond) -> bool:
    """Does the note keep an immune cause of the targets open, or is the patient worse since?"""
    groups = frozenset().union(*(t.groups for t in bond.targets)) or frozenset(table().groups)
    if any(s.of("UNDECIDED") for s in note.sentences):
        return True
    s = note.sentences[i]
    if any(p.at > bond.place.at and not s.near(p.at, 3, -1, "NOT") for p in s.of("NOBETTER", "STILL", "BUT")):
        return True
    following = note.sentences[i + 1 : i + 2]
    if any(s.near(0, 0, 2, "BUT") for s in following) or any(s.of("NOBETTER") for s in note.sentences[i + 1 :]):
        return True
    return note.keeps_open(groups, settled=i)
