"""Floors under grade and urgency: pure functions from a note and its current labels to what they demand.

First cut: the generic floors of the original project (grade to urgency, organ to urgency) and low cortisol or
named adrenal failure, the one emergency its prompt singles out. A rule never lowers and never sees a model,
only labels and the note.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from ..schemas import Assessment, Case, Severity, System, Urgency


class Floor(NamedTuple):
    """One demand of one rule: `field` must be at least `at_least`, because of `quote` at `start`-`end`."""

    rule: str
    field: str
    at_least: Urgency | Severity
    reason: str
    source: str
    quote: str = ""
    start: int | None = None
    end: int | None = None


Rule = Callable[[Case, Assessment], list[Floor]]

POLICY = "project policy: generic floors of the original safety layer"
_BY_GRADE = {
    Severity.GRADE_2: Urgency.SOON,
    Severity.GRADE_3: Urgency.URGENT,
    Severity.GRADE_4: Urgency.EMERGENCY,
}
_URGENT_ORGANS = (System.CARDIAC, System.NEUROLOGIC)


def grade_floor(case: Case, labels: Assessment) -> list[Floor]:
    """Grade 2 is at least soon, Grade 3 urgent, Grade 4 emergency."""
    floor = _BY_GRADE.get(labels.overall_severity)
    if floor is None:
        return []
    return [
        Floor("grade-floor", "urgency", floor, f"{labels.overall_severity.value} is at least {floor.value}", POLICY)
    ]


def organ_floor(case: Case, labels: Assessment) -> list[Floor]:
    """Cardiac and neurologic involvement is at least urgent, whatever the grade: both can turn within hours."""
    return [
        Floor("organ-floor", "urgency", Urgency.URGENT, f"{system.value} involvement is at least urgent", POLICY)
        for system in labels.affected_systems
        if system in _URGENT_ORGANS
    ]


# Action limit of ASCO 2021; the unit must be written, a bare number is never guessed.
_CORTISOL_LIMIT = {"ug/dl": Decimal("3"), "mcg/dl": Decimal("3"), "µg/dl": Decimal("3"), "nmol/l": Decimal("83")}
_CORTISOL = re.compile(r"cortisol\b[^.;\n\d<>]{0,25}?<?\s?(\d{1,4}(?:\.\d+)?)\s?(ug/dl|mcg/dl|µg/dl|nmol/l)", re.I)
_ADRENAL = re.compile(r"\b(?:adrenal (?:insufficiency|crisis)|hypophysitis)\b", re.I)
_NOT_NOW = re.compile(
    r"\b(?:no|not|denies|without|excluded|rule out|ruled out|history of|prior|mother|father|if)\b[^.;\n]*$", re.I
)
_ASCO = "ASCO 2021 (10.1200/JCO.21.01440), endocrine toxicity"


def adrenal_floor(case: Case, labels: Assessment) -> list[Floor]:
    """Cortisol below 3 ug/dL (83 nmol/L), or adrenal failure named as current, is at least urgent."""
    floors = []
    for match in _CORTISOL.finditer(case.text):
        if Decimal(match[1]) < _CORTISOL_LIMIT[match[2].lower()]:
            floors.append(_adrenal(match, "cortisol below 3 ug/dL (83 nmol/L): adrenal insufficiency until excluded"))
    for match in _ADRENAL.finditer(case.text):
        if not _NOT_NOW.search(case.text, max(0, match.start() - 60), match.start()):
            floors.append(_adrenal(match, "adrenal insufficiency or hypophysitis is named in the note"))
    return floors


def _adrenal(match: re.Match, reason: str) -> Floor:
    return Floor("adrenal-floor", "urgency", Urgency.URGENT, reason, _ASCO, match[0], match.start(), match.end())


RULES: tuple[Rule, ...] = (adrenal_floor, grade_floor, organ_floor)
