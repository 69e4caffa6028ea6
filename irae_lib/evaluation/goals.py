"""Count the project's five target improvements, before and after, each with n and interval.

The original project description names them (Grade 2 is "soon", Grade 3 is "urgent", cardiac and neurologic are at least
"urgent", organ systems, causality). Each claim is counted over the cases whose label it applies to. An unscored answer
counts as wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..cases import LabelledCase
from ..safety.rules.base import URGENCY_BY_GRADE, URGENT_SYSTEMS
from ..schemas import Assessment, Severity, Urgency, differing
from .statistics import Rate, rate


class Improvement(NamedTuple):
    """A claim, the labels it applies to, and whether an answer satisfies it given the label."""

    claim: str
    about: Callable[[Assessment], bool]
    fulfilled: Callable[[Assessment, Assessment], bool]


def _urgency_of_grade(grade: Severity) -> Callable[[Assessment], bool]:
    # Grade 2 myocarditis is urgent by the third claim; this one applies to labels with the grade's own urgency.
    urgency = URGENCY_BY_GRADE[grade.level]
    return lambda label: label.irae_detected and label.overall_severity == grade and label.urgency == urgency


def _is_irae(label: Assessment) -> bool:
    return label.irae_detected


def _same(field: str) -> Callable[[Assessment, Assessment], bool]:
    return lambda label, said: field not in differing(label, said)


IMPROVEMENTS = (
    Improvement("Grade 2 is soon, not routine", _urgency_of_grade(Severity.GRADE_2), _same("urgency")),
    Improvement("Grade 3 is urgent, not soon", _urgency_of_grade(Severity.GRADE_3), _same("urgency")),
    Improvement(
        "cardiac or neurologic is urgent or more",
        lambda label: label.irae_detected and not URGENT_SYSTEMS.isdisjoint(label.affected_systems),
        lambda label, said: said.urgency >= Urgency.URGENT,
    ),
    Improvement("organ systems as labelled", _is_irae, _same("affected_systems")),
    Improvement("causality as labelled", _is_irae, _same("likelihood")),
)


def improvements(cases: Sequence[LabelledCase], said: Sequence[Assessment | None]) -> dict[str, Rate]:
    """How often a set of answers satisfies each claim; an unscored answer is None."""
    out = {}
    for one in IMPROVEMENTS:
        mine = [(case.expected, answer) for case, answer in zip(cases, said, strict=True) if one.about(case.expected)]
        hits = sum(answer is not None and one.fulfilled(label, answer) for label, answer in mine)
        out[one.claim] = rate(hits, len(mine))
    return out
