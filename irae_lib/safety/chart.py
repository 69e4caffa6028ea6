"""Current findings of a note, for the rules: by name, and the worst value of an analyte.

A chart is built once per note and never changes. Rules see only the patient's current findings; negated, historical,
family, hypothetical and planned findings stay in the reader's list for human review.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from ..schemas import Finding
from .course import EARLIER
from .lexicon import ANALYTES, CYTOTOXIC

_ENDOGENOUS = frozenset(("hydrocortisone",))  # replaces missing cortisol; does not explain a low value


def _key(f: Finding) -> tuple:
    return (
        f.kind,
        f.name,
        f.value,
        f.unit,
        f.high,
        f.times_uln,
        f.uln,
        f.lln,
        f.baseline,
        f.flag,
        f.severity,
        f.certainty,
    )


class Chart:
    """Current findings of one note, indexed for the rules; `episode` adds those of its earlier days."""

    def __init__(self, findings: Sequence[Finding], episode: bool = False):
        self.findings = findings
        self._named: dict[str, list[Finding]] = {}
        self._background: dict[str, Finding] = {}
        for f in findings:
            if f.status == "current" or (episode and f.status == "historical" and f.when in EARLIER):
                self._named.setdefault(f.name, []).append(f)
                if f.kind == "drug":
                    self._named.setdefault(f.flag, []).append(f)
                elif f.kind == "grade":
                    self._named.setdefault("stated grade", []).append(f)
            elif f.status == "historical":
                self._background.setdefault(f.name, f)
        if not episode:
            self._latest()
        for name, found in self._named.items():
            if len(found) > 1:  # a repeated statement is one fact
                self._named[name] = list({_key(f): f for f in reversed(found)}.values())[::-1]
        self.names = self._named.keys()

    def _latest(self) -> None:
        """Keep, of an analyte's dated values, those from the newest three days."""
        for name, found in self._named.items():
            dated = [f for f in found if f.when.isdigit() and f.kind == "lab"]
            if dated:
                newest = max(Decimal(f.when) for f in dated)
                self._named[name] = [f for f in found if not f.when.isdigit() or newest - Decimal(f.when) <= 3]

    def any(self, *names: str) -> Finding | None:
        """The first current finding with one of the names (grades and bare values excluded)."""
        for name in names:
            for f in self._named.get(name, ()):
                if f.kind not in ("grade", "lab"):
                    return f
        return None

    def all(self, name: str) -> list[Finding]:
        """Every current finding of that name."""
        return self._named.get(name, [])

    def past(self, *names: str) -> Finding | None:
        """A finding that the note reports as history."""
        return next((self._background[name] for name in names if name in self._background), None)

    def severe(self, *names: str) -> Finding | None:
        """The first current finding of these names that the note calls severe."""
        return next((f for name in names for f in self._named.get(name, ()) if f.severity == "severe"), None)

    def highest(self, *names: str) -> Finding | None:
        """The current value with the largest number (`high`) under one of the names."""
        numbers = [f for name in names for f in self._named.get(name, ()) if f.high is not None]
        return max(numbers, key=lambda f: f.high) if numbers else None

    def lowest(self, *names: str) -> Finding | None:
        """The current value with the smallest number (`low`)."""
        numbers = [f for name in names for f in self._named.get(name, ()) if f.low is not None]
        return min(numbers, key=lambda f: f.low) if numbers else None

    def above(self, name: str) -> Finding | None:
        """A value above its upper limit, or called high without a number."""
        for f in self._named.get(name, ()):
            if f.kind != "lab":
                continue
            limit = f.uln or ANALYTES[name].uln
            if f.high is not None and limit:
                if f.high > limit:
                    return f
            elif f.times_uln is not None:
                if f.times_uln > 1:
                    return f
            elif f.flag == "high":
                return f
        return None

    def below(self, name: str, limit: Decimal | None = None) -> Finding | None:
        """A value below its lower limit (printed, given or default), or called low."""
        for f in self._named.get(name, ()):
            if f.kind not in ("lab", "vital"):
                continue
            bound = limit if limit is not None else f.lln or ANALYTES[name].lln
            if f.low is not None and bound is not None:
                if f.low < bound and f.sign != ">":
                    return f
            elif f.low is None and f.flag == "low" and limit is None:
                return f
        return None

    def troponin(self) -> Finding | None:
        """A raised troponin: above the limit, or called raised whatever the unit."""
        for name in ("troponin", "troponin_i", "troponin_t"):
            for f in self._named.get(name, ()):
                if f.flag == "high" or (f.times_uln is not None and f.times_uln > 1):
                    return f
        return None

    def steroid(self) -> Finding | None:
        """A systemic steroid in current use that could itself suppress cortisol."""
        return next((f for f in self._named.get("steroids", ()) if f.name not in _ENDOGENOUS), None)

    def cytotoxic(self) -> Finding | None:
        """A cytotoxic drug in current use."""
        return next((f for f in self._named.get("other_anticancer", ()) if f.name in CYTOTOXIC), None)

    def fever(self) -> Finding | None:
        """A temperature of 38.0 C or more, or fever in words."""
        temp = self.highest("temp")
        return temp if temp is not None and temp.high >= 38 else self.any("fever")

    def hypotensive(self) -> Finding | None:
        """A systolic pressure below 90 mmHg, or hypotension or shock in words."""
        return self.below("bp", Decimal(90)) or self.any("hypotension", "shock")
