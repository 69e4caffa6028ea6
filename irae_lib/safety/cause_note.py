"""The sentences of one note, and the checks that decide whether they prove a cause other than the inhibitor."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from .cause_table import table
from .cause_words import Mention, Sentence
from .chart import Chart
from .matching import Place
from .tokens import Token

_MOST = 60  # most places of one class that are compared
_REACH = 2  # most sentences that "this explains it" can point back
_MONTH = re.compile(
    r"\b(?:(?:in|of|\d{1,2}(?:st|nd|rd|th)?) )?"
    r"(jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)(?:uary|ruary|ch|il|e|y|ust|tember|ober|ember)?\b"
)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_DENIED = re.compile(
    r"\b(?:no|not|never|nothing|neither|nor|cannot|hardly|without)\b[^,:;()]{0,12}$|n't\b[^,:;()]{0,8}$"
)  # before a bond
_IS_THE = re.compile(r"\b(?:was|were|is|are)(?: all| just| only| simply| purely)? (?:the|his|her|their) $")


def contradicted(cause: str, chart: Chart) -> bool:
    """Whether the note holds a finding that rules the cause out: a raised CK next to a culprit lesion."""
    unless = table().causes[cause].get("unless", ())
    return any(chart.any(name) or (name == "ck" and chart.above(name)) for name in unless)


class Proof(NamedTuple):
    """A proven cause: its row of `causes.json`, its name there, and the span of the result in the view."""

    cause: str
    start: int
    end: int


class Note:
    """The sentences of one note, indexed for finding proofs."""

    def __init__(self, found: list[Sentence], tokens: Sequence[Token]):
        self.sentences, self.tokens = found, tokens
        self.drugs = [t for t in tokens if t.kind == "drug"]
        self.drug_ends = [t.end for t in self.drugs]
        self.years = [set(_YEAR.findall(s.text)) for s in found]
        self.months = [{m[1][:3] for m in _MONTH.finditer(s.text)} for s in found]
        self.dated = Counter(mark for marks in (*self.years, *self.months) for mark in marks)  # sentence counts
        self.latest = max((year for years in self.years for year in years), default="")

    def proof(self, cause: str) -> Proof | None:
        """The result that proves the cause, if every condition of the contract is met."""
        row = table().causes[cause]
        results = [
            m
            for i, s in enumerate(self.sentences)
            for m in s.said(cause, "result")
            if self.is_result(i, m) and (not row.get("stopped") or self._ended_alone(i, m))
        ]
        if not results or (not row.get("carrier") and self._carried(cause)):
            return None
        if not self._attributed(cause) or self._open(cause):
            return None
        if any(s.said(cause, "result", "name", "agent") and doubted(s) for s in self.sentences):
            return None
        return Proof(cause, results[0].start, results[0].token.end)

    def is_result(self, i: int, m: Mention) -> bool:
        """Whether a mention is an available result of this patient and this episode."""
        s = self.sentences[i]
        standing = table().causes.get(m.cause, {}).get("standing")
        if not (m.current or (standing and m.token.status == "historical")) or of_another(s, m) or is_hedged(s, m, 4):
            return False
        if standing:
            return True
        return not s.near(m.at, 8, 8 + m.last - m.at, "EARLIER") and not self.dated_otherwise(i)

    def dated_otherwise(self, i: int) -> bool:
        """Whether the sentence carries a year or month that differs from the rest of the note."""
        elsewhere = {mark for mark in self.years[i] | self.months[i] if self.dated[mark] > 1}
        if self.years[i] and (not self.years[i] & elsewhere or max(self.years[i]) < self.latest):
            return True
        return bool(self.months[i]) and not self.months[i] & elsewhere

    def _carried(self, cause: str) -> bool:
        return any(s.of("CARRIER") and s.said(cause, "result", "name", "agent") for s in self.sentences)

    def _ended_alone(self, i: int, m: Mention) -> bool:
        """Whether the finding ended after a drug other than an inhibitor was stopped, with no other treatment."""
        here = self.sentences[i : i + 1 + _REACH]
        if self.sentences[i].near(m.at, 2, m.last - m.at, "IODRUG"):
            return False
        return any(s.of("WELL") for s in here) and any(s.of("ALONE") for s in here)

    def _attributed(self, cause: str) -> bool:
        """Whether the note attributes the finding to this cause, or says that it settles under its treatment."""
        groups = frozenset(table().causes[cause]["explains"])
        for i, s in enumerate(self.sentences):
            mentions = [m for m in s.said(cause, "result", "name", "agent") if m.stated and not of_another(s, m)]
            for m in mentions:
                if not is_hedged(s, m, 10) and (_names_it(s, m) or _rejects(s, groups)):
                    return True
            later = self.sentences[i + 1 : i + 1 + _REACH]
            if mentions and any(_points_back(sentence, groups) for sentence in later):
                return True
            if any(m.role != "name" and any(map(_settles, (s, *later))) for m in mentions):
                return True
        return False

    # --- evidence that keeps an immune cause open

    def _open(self, cause: str) -> bool:
        """Whether the note keeps an immune cause open, or treats for one."""
        row = table().causes[cause]
        return self.keeps_open(frozenset(row["explains"]), frozenset(row["agents"]), row.get("with_steroid", ()))

    def keeps_open(
        self,
        groups: frozenset[str],
        agents: frozenset[str] = frozenset(),
        allowed: Sequence[str] = (),
        settled: int = -1,
    ) -> bool:
        """Whether the note keeps an immune cause of these groups open, or treats for one.

        Args:
            groups: the groups of findings; agents: classes of drugs that are the cause; allowed: steroids in its
                treatment.
            settled: the sentence that explains a finding; an illness only named before it ("colitis") is that finding.
        """
        spared = max((i for i, s in enumerate(self.sentences) if s.of("NEVERGIVEN")), default=-1)
        rejected = max((i for i, s in enumerate(self.sentences) if _rejects(s, groups)), default=-1)
        return any(
            _shows_immune(s)
            or (i > rejected and _left_open(s))
            or _no_better(s, agents)
            or (i > rejected and _suspects(s, groups, ("suspicion",)))
            or (i > max(rejected, settled) and _suspects(s, groups, ("named",)))
            or (i >= spared or not s.of("PROMISED"))
            and any(self._begun(s, place, allowed) for place in s.of("IMMUNOSUPPRESSION"))
            for i, s in enumerate(self.sentences)
        )

    def _begun(self, s: Sentence, place: Place, allowed: Sequence[str]) -> bool:
        """Whether immunosuppression is given in this episode."""
        if s.near(place.at, 5, place.last - place.at + 4, "NOTGIVEN") or s.near(place.at, 9, 0, "MEANT"):
            return False
        if s.text[place.start - s.start : place.end - s.start] in allowed:
            return False
        at = bisect_right(self.drug_ends, place.start)
        drug = self.drugs[at] if at < len(self.drugs) and self.drugs[at].start <= place.start else None
        return drug is None or drug.status in ("current", "planned")


def of_another(s: Sentence, m: Mention) -> bool:
    """Whether another person is named before the mention, or another patient in the sentence."""
    if s.of("ANOTHER"):
        return True
    return bool(s.within(0, m.at - 1, "PERSON")) and not s.near(m.at, 4, -1, "PATIENT")


def is_hedged(s: Sentence, m: Mention, reach: int) -> bool:
    """Whether a mention is only suspected, asked about or pending."""
    if s.near(m.at, reach, m.last - m.at + reach, "HEDGE", "UNSURE", "PENDING") or s.asks:
        return True
    return "?" in s.text[max(0, m.start - s.start - 2) : m.start - s.start]


def denied(s: Sentence, place: Place) -> bool:
    """Whether the bond is denied: "not due to", "does not explain"."""
    return _DENIED.search(s.text, max(0, place.start - s.start - 25), place.start - s.start) is not None


def doubted(s: Sentence) -> bool:
    """Whether the sentence doubts or denies a cause other than the inhibitor: "may be due to", "is not the cause"."""
    for place in s.of("EXPLAIN", "DUETO"):
        doubt = denied(s, place) or s.near(place.at, 3, -1, "HEDGE", "UNSURE")
        if doubt and not s.near(place.last, -1, 5, "IMMUNE", "IODRUG", "ORGANITIS", "THERAPY"):
            return True
    return False


def _names_it(s: Sentence, m: Mention) -> bool:
    """Whether X is named as the cause: "due to X", "X explains", "diagnosis: X", "this is X", or X opens a sentence."""
    if m.role == "name" and table().causes[m.cause].get("asserts"):
        return True
    explains = s.of("EXPLAIN")
    if explains or s.near(m.at, 8, 0, "DUETO") or (m.role == "name" and s.of("DUETO")):
        return True
    if m.role != "name":
        return m.role == "agent" and _IS_THE.search(s.text, 0, max(0, m.start - s.start)) is not None
    before = s.text[max(0, m.start - s.start - 3) : m.start - s.start]
    return m.at <= 2 or "=" in before or s.near(m.at, 8, -1, "ASSERT") or s.near(m.at, 2, -1, "LINK")


def _rejects(s: Sentence, groups: frozenset[str]) -> bool:
    """Whether the sentence rejects an immune cause, in general or for an organ of these groups."""
    return any(_concerns(s, m, groups) for m in s.said("note", "rejection"))


def _suspects(s: Sentence, groups: frozenset[str], roles: Sequence[str]) -> bool:
    """Whether the sentence names or suspects an immune illness, in general or for an organ of these groups."""
    return any(
        m.token.status in ("current", "hypothetical") and _concerns(s, m, groups) for m in s.said("note", *roles)
    )


def _concerns(s: Sentence, m: Mention, groups: frozenset[str]) -> bool:
    """Whether the mention of an immune cause concerns one of these groups, or names no organ."""
    words = re.findall(r"[a-z]+", s.text[m.start - s.start : m.token.end - s.start + 30])
    organs = [table().organs[word] for word in words if word in table().organs]
    return not organs or any(groups & organ for organ in organs)


def _left_open(s: Sentence) -> bool:
    """Whether the sentence says that both causes are true or cannot be distinguished."""
    return any(not s.near(place.at, 2, -1, "NOT") for place in s.of("OPEN")) or any(
        m.token.status != "negated" and not s.near(m.last, -1, 2, "NOT", "CONTINUED") for m in s.said("note", "overlap")
    )


def _shows_immune(s: Sentence) -> bool:
    """Whether the sentence reports immune histology."""
    return any(m.current and not s.near(m.at, 4, -1, "NOT", "NEGATIVE") for m in s.said("note", "histology"))


def _points_back(s: Sentence, groups: frozenset[str]) -> bool:
    """Whether a later sentence refers to the named cause: "this explains it", "all explained", "not immune"."""
    if _rejects(s, groups):
        return True
    explains = s.of("EXPLAIN", "DUETO")
    return bool(explains and s.of("POINT")) and not s.of("HEDGE", "UNSURE", "PENDING", "NOT")


def _settles(s: Sentence) -> bool:
    """Whether the patient improves without immunosuppression: "settling on vancomycin"."""
    if s.of("NOBETTER", "HEDGE", "UNSURE", "PENDING", "IMMUNOSUPPRESSION") or s.asks:
        return False
    well = [place.at for place in s.of("WELL")[:_MOST] if not s.near(place.at, 2, -1, "NOT")]
    return any(s.near(at, 7, 7, "TREAT") for at in well)


def _no_better(s: Sentence, agents: frozenset[str]) -> bool:
    """Whether the patient is no better under treatment of the cause. A drug that is the cause is not treatment."""
    treated = [place.at for place in s.of("TREAT") if agents.isdisjoint(place.classes)]
    worse = [place.at for place in s.of("NOBETTER") if not s.near(place.at, 2, -1, "NOT")]
    if any(abs(at - other) <= 7 for at in treated[:_MOST] for other in worse[:_MOST]):
        return True
    return bool(treated) and any(s.near(place.at, -1, 2, "#") for place in s.of("STILL"))
