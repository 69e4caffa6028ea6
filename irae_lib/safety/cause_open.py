"""Proofs of a cause that no list names: a specific result of any test, and a sentence that ties a finding to it.

The illness may be unknown to the tables; only the grammar of a proof is fixed. "Larvae sit in the crypts on histology,
so the bowel inflammation is strongyloidiasis": a result, a bond ("so ... is"), and a target finding. `open_proofs`
finds bonds, then a result near each.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .cause_bonds import Bond, Target, bonds, is_name
from .cause_note import Note, Proof, contradicted, doubted, is_hedged, of_another
from .cause_table import table
from .cause_words import BONDS, OPEN, Mention, Sentence
from .chart import Chart
from .lexicon import common_english
from .matching import Place

_BEFORE, _AFTER = 2, 1  # clauses before and after a bond that may hold its result
_MOST, _LONGEST = 60, 1500  # bonds per note, characters per sentence; beyond these nothing is proven
_POINTS = re.compile(
    r"\b(?:this|that|these|those|it|them|the (?:virus|drug|organism|injury|tumour|tumor|toxin|parasite|lesion))\b"
)
_TUMOUR = re.compile(r"\b(?:malignan|tumou?r|metasta|neoplas|cancer|leuk)|(?:oma|omas|omatosis)\b")
_ILLNESSES = ("osis", "iasis", "emia", "oma", "pathy")
_LONG = re.compile(r"[a-z]{5,}")


class OpenProof(NamedTuple):
    """A proof and its target findings."""

    proof: Proof
    targets: tuple[Target, ...]

    def explains(self, system: str, finding: str, organs: int) -> bool:
        """Whether it explains this finding, in a note whose floors concern this number of organ systems."""
        for target in self.targets:
            if target.scope == "all" or (target.scope == "organ" and organs == 1) or finding in target.names:
                return True
            for group in target.groups:
                organ, names = table().groups[group]
                if system == organ and (finding in names or "*" in names):
                    return True
        return False


def open_proofs(note: Note, chart: Chart) -> list[OpenProof]:
    """The proofs of causes that the table does not name."""
    proofs = []
    tied = [i for i, s in enumerate(note.sentences) if s.of(*BONDS)]
    for i in tied if len(tied) <= _MOST else ():
        sentence = note.sentences[i]
        if len(sentence.text) > _LONGEST:
            continue
        ties = list(bonds(sentence, note.tokens))
        if not ties or not _firm(sentence) or note.dated_otherwise(i):
            continue
        for bond in ties:
            result = None if _of_someone(sentence, bond.place) else _result(note, i, bond.place)
            if result and not _contradicted(note, i, bond, chart) and not _left_open(note, i, bond):
                proofs.append(OpenProof(Proof(OPEN, result.start, result.token.end), bond.targets))
    return proofs


def _firm(s: Sentence) -> bool:
    """Whether the sentence states a fact about this patient, without naming the inhibitor as a cause."""
    if s.asks or s.of("HEDGE", "UNSURE", "UNDECIDED", "ANOTHER") or doubted(s):
        return False
    for place in s.of("IMMUNE", "IODRUG", "THERAPY"):
        denied = s.near(place.at, 5, place.last - place.at + 5, "NOT", "NEGATIVE", "EXCLUDED", "CONTINUED", "UNRELATED")
        if not denied and not place.classes & {"ORGANITIS"}:
            return False
    return True


# --- the result -----------------------------------------------------------------------------------------


def _of_someone(s: Sentence, place: Place) -> bool:
    """Whether another person is named before the bond."""
    return bool(s.within(0, place.at - 1, "PERSON"))


def _result(note: Note, i: int, bond: Place) -> Mention | None:
    """A specific result of this patient in the clauses around a bond."""
    order = sorted(range(max(0, i - _BEFORE), min(len(note.sentences), i + 1 + _AFTER)), key=lambda k: abs(k - i))
    for k in order:
        s = note.sentences[k]
        if k != i and (not _firm(s) or any(map(note.dated_otherwise, range(min(i, k), max(i, k) + 1)))):
            continue
        results = [m for m in s.said(OPEN, "result") if not s.near(m.at, 4, 8, "AUTOIMMUNE", "HEPBV", "TUMOURGENE")]
        results += [m for m in s.said(OPEN, "test", "source") if _names_a_thing(s, m)]
        results = [m for m in results if note.is_result(k, m) and not _finds_nothing(s, m)]
        results += [m for m in s.said(OPEN, "ended") if m.stated and _ended(s, m, note.sentences[i])]
        results = [m for m in results if k != i or m.token.end <= bond.start or _colon(s, bond.end, m.start)]
        if agreed := [m for m in results if _agrees(note, k, i, bond, m)]:
            return agreed[0]
    return None


def _finds_nothing(s: Sentence, m: Mention) -> bool:
    """Whether nothing was found, as in "MRI shows no nerve root touched"; finding no inflammation does not count."""
    if s.near(m.at, 6, m.last - m.at + 6, "CARRIER"):
        return True
    nothing = s.within(m.last + 1, m.last + 3, "NOT", "NEGATIVE")
    return any(not s.near(p.last, 0, 3, "ORDINARY", "IMMUNE", "ORGANITIS", "IODRUG", "THERAPY") for p in nothing)


def _agrees(note: Note, k: int, i: int, bond: Place, m: Mention) -> bool:
    """Whether a result and a bond concern one thing: it points back, shares a name or, in one sentence, fits its kind.

    A culture or a scan may be about something else: "E. coli in urine; the AKI is due to dehydration".
    """
    here, there = note.sentences[i], note.sentences[k]
    if "SO" in bond.classes:
        return True
    behind = bool(bond.classes & {"DUETO", "TREATEDAS"})
    cause = here.text[bond.end - here.start :] if behind else here.text[: bond.start - here.start]
    if _POINTS.search(cause) or (_TUMOUR.search(here.text) and _TUMOUR.search(there.text)):
        return True
    if k != i and not _names(here).isdisjoint(_names(there)):
        return True
    if any(s.closed for s in note.sentences[min(k, i) : max(k, i)]):
        return False
    if m.role == "ended" or there.within(m.at, m.last, "TISSUE", "GENECHANGE", "DRUGLEVEL", "MINERAL"):
        return True
    ends = any(word.endswith(_ILLNESSES) for word in _LONG.findall(cause))
    return ends or any((p.at > bond.last) == behind for p in here.of("KINDWORD", "THING"))


def _names(s: Sentence) -> set[str]:
    """Roots of the rare names: long words that are not common English, organ words or ordinary biopsy words."""
    known = [(p.start, p.end) for p in s.of("ORDINARY", "POSITIVE", *table().targets)]
    words = ((m.start() + s.start, m[0]) for m in _LONG.finditer(s.text))
    return {w[:5] for at, w in words if w not in common_english() and not any(a <= at < b for a, b in known)}


def _colon(s: Sentence, first: int, last: int) -> bool:
    """Whether a colon leads from a bond to its result: "pamidronate was the cause: ..."."""
    return ":" in s.text[first - s.start : max(first, last) - s.start]


def _ended(s: Sentence, m: Mention, bond: Sentence) -> bool:
    """Whether the finding ended when a drug other than the inhibitor was stopped, alone or repeatedly."""
    if of_another(s, m) or is_hedged(s, m, 8) or s.near(m.at, 4, m.last - m.at + 1, "IODRUG", "THERAPY"):
        return False
    return bool(s.of("ALONE", "RECHALLENGE", "CONTINUED") or bond.of("ALONE", "RECHALLENGE"))


def _names_a_thing(s: Sentence, m: Mention) -> bool:
    """Whether a test names something outside common English and the words for inflammation: an organism."""
    if s.near(m.at, 5, m.last - m.at + 5, "NEGATIVE", "DONE", "AUTOIMMUNE", "HEPBV", "TUMOURGENE") or s.near(
        m.at, 10, 10, "PENDING"
    ):
        return False
    before, after = s.text[: m.start - s.start].split()[-8:], s.text[m.token.end - s.start :].split()[:8]
    if m.role == "source":  # "burkholderia pseudomallei from the washings": the name comes before it
        before, after = before[-2:], []
    ordinary = {s.text[p.start - s.start : p.end - s.start] for p in s.of("ORDINARY")}
    return any(is_name(word.strip(",()"), ordinary) for word in (*before, *after))


# --- contradictions ------------------------------------------------------------------------------------


def _contradicted(note: Note, i: int, bond: Bond, chart: Chart) -> bool:
    """Whether, with these findings, it is a result that the contract never accepts as proof."""
    first, last = max(0, i - _BEFORE), i + 1
    around = [s for s in note.sentences[first:last]]
    groups = frozenset().union(*(t.groups for t in bond.targets))
    wide = any(t.scope for t in bond.targets)
    for s in around:
        if any(not s.near(p.at, 3, p.last - p.at + 3, "NOT", "NEGATIVE") for p in s.of("CMV", "AUTOIMMUNE")):
            return True
        if s.of("RESPVIRUS") and any(chart.any(name) for name in ("ground_glass", "infiltrates", "pneumonitis")):
            return True
        of_the_heart = wide or "heart" in groups or "whole heart" in groups
        if of_the_heart and s.of("CORONARY", "OCCLUSION", "INFARCT") and contradicted("coronary", chart):
            return True
    return False


def _left_open(note: Note, i: int, bond: Bond) -> bool:
    """Whether the note keeps an immune cause of the targets open, or the patient is worse since."""
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
