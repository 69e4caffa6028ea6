"""Proofs of a cause that no list names: a specific result of any test, and a sentence that ties a finding to it.

The illness may be one that nobody foresaw; the grammar of a proof is not. "Larvae sit in the crypts on histology, so
the bowel inflammation is strongyloidiasis": a result, a bond ("so ... is"), and the finding that it is about. The
classes of words are those of `causes.json`; `open_proofs` finds bonds, then a result beside each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .cause_note import Note, Proof, denied, doubted, is_hedged, of_another
from .cause_table import table
from .cause_words import Mention, Sentence
from .chart import Chart
from .lexicon import common_english
from .matching import Place
from .tokens import Token, within

OPEN = "open"  # the name of such a cause among the ways
_BEFORE, _AFTER = 2, 1  # clauses before and after a bond in which its result may stand
_ACTIVE = re.compile(r"(?:attribut|ascrib)\w*$")  # "attribute the colitis to X": the finding follows
_SINGULAR = re.compile(r"\b(?:is|was|being|has been|can be)\b[\w ]{0,20}$")
_WORDS = 8  # words between a bond and what it is about
_NAMES_ILLNESS = re.compile(r"(?:osis|iasis|oma|pathy|emia|trauma|poisoning|toxicity)s?$")
_FORM = re.compile(r"(?:ing|ed|es|s|ly|er|d)$")
_POINTS = re.compile(r"\b(?:this|that|these|those|it|them|the (?:virus|drug|organism|injury|tumour|tumor|toxin|parasite|lesion))\b")
_TUMOUR = re.compile(r"\b(?:malignan|tumou?r|metasta|neoplas|cancer|leuk)|(?:oma|omas|omatosis)\b")
_LONG = re.compile(r"[a-z]{5,}")
_IS = re.compile(r"\b(?:is|are|was|were)\b")
_IS_SO = re.compile(r"\b(?:is|are|was|were)\s$")
_NOUN = re.compile(r"\b(?:picture|disease|involvement|damage|state|syndrome)\b")  # one noun for several organs
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
            for group in target.groups:
                organ, names = table().groups[group]
                if system == organ and (finding in names or "*" in names):
                    return True
        return False


def open_proofs(note: Note, chart: Chart) -> list[OpenProof]:
    """The proofs of causes that no row of the table names."""
    proofs = []
    for i, sentence in enumerate(note.sentences):
        if not sentence.of("EXPLAIN", "DUETO", "SO", "TREATEDAS"):
            continue
        bonds = list(_bonds(sentence, note.tokens))
        if not bonds or not _firm(sentence) or note.dated_otherwise(i):
            continue
        for bond in bonds:
            result = None if _of_someone(sentence, bond.place) else _result(note, i, bond.place)
            if result and not _contradicted(note, i, bond, chart) and not _left_open(note, i, bond):
                proofs.append(OpenProof(Proof(OPEN, result.start, result.token.end), bond.targets))
    return proofs


# --- the result -----------------------------------------------------------------------------------------


def _of_someone(s: Sentence, place: Place) -> bool:
    """Is another person named before the bond?"""
    return bool(s.within(0, place.at - 1, "PERSON"))


def _result(note: Note, i: int, bond: Place) -> Mention | None:
    """A specific result of this patient in the clauses around a bond."""
    order = sorted(range(max(0, i - _BEFORE), min(len(note.sentences), i + 1 + _AFTER)), key=lambda k: abs(k - i))
    for k in order:
        s = note.sentences[k]
        if k != i and (not _firm(s) or any(map(note.dated_otherwise, range(min(i, k), max(i, k) + 1)))):
            continue
        results = [m for m in s.said(OPEN, "result") if not s.near(m.at, 4, 8, "AUTOIMMUNE", "HEPBV", "TUMOURGENE")]
        results += [m for m in s.said(OPEN, "test") if _names_a_thing(s, m)]
        results = [m for m in results if note.is_result(k, m) and not _finds_nothing(s, m)]
        results += [m for m in s.said(OPEN, "ended") if m.stated and _ended(note, k, m)]
        results = [m for m in results if k != i or m.token.end <= bond.start or _colon(s, bond.end, m.start)]
        if results and (k == i or _agrees(note, k, i, bond)):
            return results[0]
    return None


def _finds_nothing(s: Sentence, m: Mention) -> bool:
    """ "MRI shows no nerve root touched"; to find no inflammation is another matter."""
    if s.near(m.at, 6, m.last - m.at + 6, "CARRIER"):
        return True
    nothing = s.within(m.last + 1, m.last + 3, "NOT", "NEGATIVE")
    return any(not s.near(p.last, 0, 3, "ORDINARY", "IMMUNE", "ORGANITIS", "IODRUG", "THERAPY") for p in nothing)


def _agrees(note: Note, k: int, i: int, bond: Place) -> bool:
    """Are a result and a bond about one thing? In one sentence they are; else the bond points back or has its name."""
    here, there = note.sentences[i], note.sentences[k]
    if "SO" in bond.classes or not any(s.closed for s in note.sentences[min(k, i) : max(k, i)]):
        return True
    at = (bond.start - here.start, bond.end - here.start)
    cause = here.text[at[1] :] if bond.classes & {"DUETO", "TREATEDAS"} else here.text[: at[0]]
    if _POINTS.search(cause) or (_TUMOUR.search(here.text) and _TUMOUR.search(there.text)):
        return True
    return not _names(here).isdisjoint(_names(there))


def _names(s: Sentence) -> set[str]:
    """The roots of its names: long words that are neither common English, nor an organ, nor said of any biopsy."""
    known = [(p.start, p.end) for p in s.of("ORDINARY", "POSITIVE", *table().targets)]
    words = ((m.start() + s.start, m[0]) for m in _LONG.finditer(s.text))
    return {w[:5] for at, w in words if w not in common_english() and not any(a <= at < b for a, b in known)}


def _colon(s: Sentence, first: int, last: int) -> bool:
    """Does a colon lead from a bond to its result: "pamidronate was the cause: ..."?"""
    return ":" in s.text[first - s.start : max(first, last) - s.start]


def _ended(note: Note, k: int, m: Mention) -> bool:
    """Did it end when a drug, not the inhibitor, was stopped: that alone, or again and again?"""
    s = note.sentences[k]
    if of_another(s, m) or is_hedged(s, m, 8) or s.near(m.at, 4, m.last - m.at + 1, "IODRUG", "THERAPY"):
        return False
    return bool(s.of("ALONE", "RECHALLENGE", "CONTINUED"))


def _names_a_thing(s: Sentence, m: Mention) -> bool:
    """Does a test tell of something that neither common English nor inflammation has a word for: an organism, a tumour?"""
    if s.near(m.at, 5, m.last - m.at + 5, "NEGATIVE", "DONE", "AUTOIMMUNE", "HEPBV", "TUMOURGENE") or s.near(m.at, 10, 10, "PENDING"):
        return False
    before, after = s.text[: m.start - s.start].split()[-8:], s.text[m.token.end - s.start :].split()[:8]
    ordinary = {s.text[p.start - s.start : p.end - s.start] for p in s.of("ORDINARY")}
    return any(_is_name(word.strip(",()"), ordinary) for word in (*before, *after))


def _is_name(word: str, ordinary: set[str], least: int = 6) -> bool:
    """Is it a name that only a few notes hold?"""
    rare = len(word) >= least and word.isalpha() and word not in ordinary and not _FORM.sub("", word) in common_english()
    return rare and word not in common_english() and not word.endswith(("itis", "scopy", "gram", "ology", "ologist"))


# --- the bond -------------------------------------------------------------------------------------------


def _firm(s: Sentence) -> bool:
    """Is it said as a fact, of this patient, and without the inhibitor as a cause?"""
    if s.asks or s.of("HEDGE", "UNSURE", "UNDECIDED", "ANOTHER") or doubted(s):
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
            if kind == "EXPLAIN" and "DUETO" in place.classes:
                continue  # "put down to": the finding stands before it
            if not denied(s, place) and not _immune_illness(s, place, kind) and (found := find(s, place, targets)):
                yield Bond(place, found)


def _targets(s: Sentence, tokens: Sequence[Token]) -> list[Target]:
    """What a sentence may say a cause of: its findings, words for an organ, and words for all of it."""
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
    """ "X explains the colitis": the targets behind the bond, up to a comma or a "but"."""
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
    """ "So the colitis is amoebic", "so this is gout": the cause is an illness, not a grade or a name of the finding."""
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
    """The findings where some are named, else the words for the whole."""
    named = tuple(t for t in targets if not t.scope)
    return named or tuple(targets)


def _one_phrase(s: Sentence, target: Target, nearest: Target) -> bool:
    """Do two targets stand in one phrase, "the inflammation of the bowel", with no "and" between?"""
    between = s.text[target.end - s.start : max(target.end, nearest.start) - s.start]
    joined = " and " in between and not _NOUN.search(s.text, nearest.end - s.start, nearest.end - s.start + 15)
    return not joined and len(between.split()) <= 3


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
    named = [p for p in s.within(first, last, "ORGANITIS", "ORGANILL") if "TOXICITY" not in p.classes]
    return any(not s.near(p.at, 2, -1, "KINDWORD") for p in named)


def _illness(s: Sentence, first: int) -> bool:
    """Does the name of an illness follow, up to a mark, and no grade?"""
    phrase = re.split(r"[,;:(]| and | but ", s.text[first:], maxsplit=1)[0]
    words = phrase.split()[:7]
    last = s.start + first + len(phrase)
    said = {name for p in _between(s, s.start + first, last) for name in p.classes}
    if said & {"SEVERITY", "NOT", "IMMUNE", "IODRUG"} - ({"SEVERITY"} if "KINDWORD" in said else set()):
        return False
    ordinary = {s.text[p.start - s.start : p.end - s.start] for p in s.of("ORDINARY", "ORGANILL", "ORGANITIS")}
    if said & {"KINDWORD", "THING"}:
        return True
    return any(_NAMES_ILLNESS.search(word) or _is_name(word, ordinary, 3) for word in words)


def _between(s: Sentence, first: int, last: int) -> list[Place]:
    """The places of words that bear on what an illness is, between two offsets."""
    named = s.of("SEVERITY", "NOT", "IMMUNE", "IODRUG", "KINDWORD", "THING")
    return [p for p in named if first <= p.start < last]


# --- what forbids it ------------------------------------------------------------------------------------


def _contradicted(note: Note, i: int, bond: Bond, chart: Chart) -> bool:
    """Is it one of the results that the contract never takes as a proof, beside these findings?"""
    first, last = max(0, i - _BEFORE), i + 1
    around = [s for s in note.sentences[first:last]]
    groups = frozenset().union(*(t.groups for t in bond.targets))
    wide = any(t.scope for t in bond.targets)
    for s in around:
        if any(not s.near(p.at, 3, p.last - p.at + 3, "NOT", "NEGATIVE") for p in s.of("CMV", "AUTOIMMUNE")):
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
    if any(s.of("UNDECIDED") for s in note.sentences[max(0, i - _BEFORE) :]):
        return True
    s = note.sentences[i]
    worse = [p for p in s.of("NOBETTER", "STILL", "BUT") if p.at > bond.place.at and not s.of("RECHALLENGE")]
    if any(not s.near(p.at, 3, -1, "NOT", "IMMUNE", "IODRUG", "THERAPY") for p in worse):
        return True
    following = note.sentences[i + 1 :]
    if any(s.near(0, 0, 2, "BUT") for s in following[:1]) or any(s.of("NOBETTER") for s in following):
        return True
    return note.keeps_open(groups, settled=i)
