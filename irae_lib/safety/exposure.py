"""Exposure to checkpoint inhibitors, from the note and from other sources, and the rules that apply.

Every mention of an inhibitor counts with its status. If there is none, the note may still show cancer care (a cancer,
an oncology clinic, chemotherapy, "immunotherapy"): then all rules apply, with an advisory. In any other note a
laboratory value or symptom is not an irAE, and only the urgency of a dangerous illness remains.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

from ..schemas import Finding
from .alternatives import any_of, any_word
from .drug_status import SECOND_DOSE
from .not_given import LISTED, exposure_data, not_given
from .quantities import WORD_VALUE
from .text import normalise, readable

_ADVICE = {
    "cancer care": "No checkpoint inhibitor is documented: ask for exposure, also past; floors assume one.",
    "undocumented": "No checkpoint inhibitor and no cancer care is documented: no irAE is graded, urgency follows the "
    "illness. If one was ever given, review this note with exposed=True.",
    "planned": "A checkpoint inhibitor is only planned: no irAE is graded, urgency follows the illness.",
    "never": "No checkpoint inhibitor so far: no irAE is graded, urgency follows the illness.",
}
_LATE = "The last dose is more than 12 months ago: late irAEs occur, other causes are more likely."
_CONFLICT = "The note and the exposure given with it disagree: clarify; floors assume a checkpoint inhibitor."
_CLASS = "checkpoint inhibitor"  # the name of a mention without a specific drug
_GIVEN = ("current", "historical")


class Exposure(NamedTuple):
    """Exposure to checkpoint inhibitors.

    `kind` is exposed, planned, never, cancer care (no inhibitor named, but a cancer is treated) or undocumented;
    `finding` is the deciding mention; `late` means that the last dose is over a year ago; `conflict` means that the
    note and the exposure given with it contradict each other.
    """

    kind: str
    finding: Finding | None = None
    late: bool = False
    conflict: bool = False

    @property
    def all_rules(self) -> bool:
        """True where rules may raise grade and organ systems, not only urgency."""
        return self.kind in ("exposed", "cancer care")

    @property
    def stated(self) -> bool:
        """True where the note or the caller states whether a checkpoint inhibitor was given."""
        return self.kind not in ("cancer care", "undocumented")

    def advice(self, fired: bool, advised: bool) -> list[str]:
        """The exposure advisories for a note in which rules `fired` floors or only `advised`."""
        lines = [_ADVICE[self.kind]] if self.kind in _ADVICE and (fired or advised) else []
        lines += [_LATE] if self.late and fired else []
        return lines + ([_CONFLICT] if self.conflict else [])


def exposure(findings: Sequence[Finding], text: str = "", known: bool | None = None) -> Exposure:
    """The exposure that decides which rules apply.

    Args:
        findings: the findings read from the note.
        text: the note, searched for cancer care where no inhibitor and no cancer drug is named.
        known: True or False where exposure is known from elsewhere. True overrides a note that says never or
            planned, and a note that documents an inhibitor overrides False: in a conflict all rules apply.
    """
    read = _stated(findings, normalise(readable(text)))
    if known is None:
        return read or _cancer_care(findings, text)
    contradicts = read is not None and (read.kind == "exposed") != known
    if known:
        return read if read and read.kind == "exposed" else Exposure("exposed", conflict=contradicts)
    return read._replace(conflict=True) if contradicts else read or Exposure("never")


def assumed(findings: Sequence[Finding], text: str, ticked: bool) -> bool | None:
    """Exposure according to the box "on or after a checkpoint inhibitor", which is ticked by default.

    A ticked box means True, except where the note itself says never or planned: a default is not knowledge.
    """
    read = _stated(findings, normalise(readable(text)))
    return True if ticked and (read is None or read.kind == "exposed") else None


def _stated(findings: Sequence[Finding], norm: str) -> Exposure | None:
    """Exposure according to the mentions of inhibitors; None where they do not decide."""
    mentions = _mentions(findings, norm)
    given = [f for f, status in mentions if status in _GIVEN and f.name != _CLASS]
    decided = {status: f for f, status in reversed(mentions) if status in ("planned", "negated")}
    if not given and not decided:
        vague = exposure_data()["class_words"]
        given = [f for f, status in mentions if status in _GIVEN and f.quote.lower() not in vague]
    if kind := not_given(norm, given, [f for f in findings if f.kind == "drug"]):
        return Exposure(kind, given[0])
    if given:
        ages = [_months(f.when) for f in given]
        over = all(age is not None and age > 12 for age in ages)
        return Exposure("exposed", given[0], over and all(f.status == "historical" for f in given))
    for status, kind in (("planned", "planned"), ("negated", "never")):
        if status in decided:
            return Exposure(kind, decided[status])
    if not mentions:
        alone = _patterns().alone
        return next((Exposure("never", f) for f in findings if _is_cancer_drug(f) and alone.match(norm, f.end)), None)
    return None


def _mentions(findings: Sequence[Finding], norm: str) -> list[tuple[Finding, str]]:
    """Every mention of an inhibitor with its status; nearby words may say that it was never or not yet given.

    In "ipilimumab + nivolumab" the status of the first also holds for the second.
    """
    patterns, found = _patterns(), []
    never = any(f.kind == "ici" and f.name == _CLASS and f.status == "negated" for f in findings)
    for f in findings:
        if f.kind != "ici":
            continue
        status, clause = f.status, norm[max(0, f.start - 60) : f.start]
        if status in _GIVEN and norm:
            if found and LISTED.fullmatch(norm, found[-1][0].end, f.start):
                status = found[-1][1]
            elif patterns.planned.search(clause) or _is_ahead(norm, f, clause):
                status = "planned"
            elif never and patterns.withheld.match(norm, f.end):
                status = "negated"  # "pembrolizumab was not given with C1. Has never had immunotherapy."
            elif (
                patterns.never_before.search(clause) and not patterns.rechallenge.match(norm, f.end)
            ) or patterns.never_after.match(norm, f.end):
                status = "negated"
        found.append((f, status))
    return found


def _is_ahead(norm: str, f: Finding, clause: str) -> bool:
    """Whether the first dose is still to come: "begins pembrolizumab next Tuesday", "... to be added from C2"."""
    patterns = _patterns()
    if patterns.added.match(norm, f.end):
        return True
    after = norm[f.end : f.end + 45]
    first = patterns.starts.search(clause) is not None and f.status == "current"
    return first and patterns.future.match(after) is not None and not SECOND_DOSE.search(clause[-40:] + after)


def _is_cancer_drug(f: Finding) -> bool:
    return f.kind == "drug" and f.flag == "other_anticancer" and f.status in (*_GIVEN, "planned")


def _cancer_care(findings: Sequence[Finding], text: str) -> Exposure:
    """Whether a note without a named inhibitor shows cancer treatment."""
    shared = exposure_data()["not_only_cancer"]
    for f in findings:
        if f.kind == "ici" and f.status in _GIVEN or _is_cancer_drug(f) and f.name not in shared:
            return Exposure("cancer care", f)
    return Exposure("cancer care" if _names_cancer(text) else "undocumented")


def _names_cancer(text: str) -> bool:
    """Whether the text names the patient's cancer or its care without denying it."""
    norm, patterns = normalise(readable(text)), _patterns()
    for match in patterns.cancer.finditer(norm):
        reach = max(0, match.start() - 60)
        clause = max(reach, *(norm.rfind(mark, reach, match.start()) + 1 for mark in ".;\n"))
        if not patterns.not_before.search(norm, clause, match.start()) and not patterns.not_after.match(
            norm, match.end()
        ):
            return True
    return False


class _Patterns(NamedTuple):
    """The compiled patterns of `exposure.json`: a mention of cancer, and nearby words that change its meaning."""

    cancer: re.Pattern[str]
    not_before: re.Pattern[str]
    not_after: re.Pattern[str]
    never_before: re.Pattern[str]
    never_after: re.Pattern[str]
    planned: re.Pattern[str]
    withheld: re.Pattern[str]
    starts: re.Pattern[str]
    future: re.Pattern[str]
    added: re.Pattern[str]
    alone: re.Pattern[str]
    rechallenge: re.Pattern[str]


@functools.cache
def _patterns() -> _Patterns:
    data = exposure_data()
    prefix = "".join(f"(?<!{re.escape(part)})" for part in data["not_prefix"])
    stems, words = any_of(data["cancer_stems"]), any_of(data["cancer_words"])
    return _Patterns(
        cancer=re.compile(rf"{prefix}(?:{stems})[^\W\d_]*|\b(?:{words})\b"),
        not_before=any_word(data["not_before"]),
        not_after=re.compile(rf"[\s,:-]*(?:{any_of(data['not_after'])})\b"),
        never_before=re.compile(rf"\b(?:{any_of(data['never_before'])})\s+$"),
        never_after=re.compile(
            rf"[\s:,(-]+(?:(?:{any_of(data['never_after'])})\b(?!\s+(?:{any_of(data['dose_only'])})\b)|never had(?=\s*[.,;)\n]))"
        ),
        planned=re.compile(rf"\b(?:{any_of(data['planned_before'])})\s+$"),
        withheld=re.compile(rf"\s+(?:{any_of(data['withheld_after'])})\b"),
        starts=re.compile(rf"\b(?:{any_of(data['starts_before'])})\s+(?:(?:on|with|the|his|her|first)\s+){{0,2}}$"),
        future=re.compile(
            rf"(?:(?!\b(?:given|was|had|received|ago|last)\b)[^.,;\n]){{0,25}}?\b(?:{any_of(data['future_after'])})\b"
        ),
        added=re.compile(rf"\s+(?:{any_of(data['added_after'])})\b"),
        alone=re.compile(rf"\s+(?:{any_of(data['alone_after'])})\b"),
        rechallenge=re.compile(rf"\s+(?:{any_of(data['rechallenge'])})\b"),
    )


def _months(interval: str) -> float | None:
    if not interval:
        return None
    number, unit = interval.split()
    count = float(WORD_VALUE.get(number, number))
    return count * {"days": 1 / 30, "weeks": 12 / 52, "months": 1, "years": 12}[unit]
