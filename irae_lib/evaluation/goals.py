"""The five improvements the project set out to make, each counted: before and after, with n and interval.

The description this project started from names them (Grade 2 is "soon", Grade 3 is "urgent", cardiac and neurologic
are at least "urgent", organ systems, causality). A claim is counted over the cases whose label it is about, and an
unscored answer has not got it right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..cases import LabelledCase
from ..safety.rules.base import URGENCY_BY_GRADE, URGENT_SYSTEMS
from ..schemas import Assessment, Severity, Urgency, differing
from .statistics import Rate, rate


class Improvement(NamedTuple):
    """A claim, the labels it is about, and whether an answer fulfils it given the label."""

    claim: str
    about: Callable[[Assessment], bool]
    fulfilled: Callable[[Assessment, Assessment], bool]


def _urgency_of_grade(grade: Severity) -> Callable[[Assessment], bool]:
    # A Grade 2 myocarditis is urgent by the third claim; the first is about those whose label is its urgency.
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
    """How often each claim is fulfilled by a set of answers, None among them for an unscored one."""
    out = {}
    for one in IMPROVEMENTS:
        mine = [(case.expected, answer) for case, answer in zip(cases, said, strict=True) if one.about(case.expected)]
        hits = sum(answer is not None and one.fulfilled(label, answer) for label, answer in mine)
        out[one.claim] = rate(hits, len(mine))
    return out
