"""The problem list of a patient: what is present, suspected or over, with its dates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .chart import Chart
from .resources import CodeableConcept, Condition, Encounter
from .times import Moment, first, moment

_OVER = frozenset(("inactive", "remission", "resolved"))
_SUSPECTED = frozenset(("unconfirmed", "provisional", "differential"))
_NOT_SO = frozenset(("refuted", "entered-in-error"))


class Problem(NamedTuple):
    """A condition; `visit` is the encounter in which it was recorded, "" for a problem list outside encounters."""

    name: str
    visit: str
    encounter: Encounter | None
    recorded: Moment | None
    began: Moment | None
    ended: Moment | None
    suspected: bool
    over: bool

    def words(self, end: Moment | None) -> str:
        """One line about it, as known at `end`."""
        since = f", since {self.began.words}" if self.began else ""
        if self.over and (self.ended is None or end is None or self.ended.by(end)):
            return f"history of {self.name}, resolved" + (f" {self.ended.words}" if self.ended else "")
        return f"{'suspected ' if self.suspected else ''}{self.name}{since}"


def problems(chart: Chart) -> Iterator[Problem]:
    """Every condition that is or was there; refuted ones are counted and left out."""
    for key, entry in chart.of(Condition):
        condition: Condition = entry.resource
        verified, clinical = _codes(condition.verificationStatus), _codes(condition.clinicalStatus)
        if refuted := verified & _NOT_SO:
            chart.dropped[min(refuted)] += 1
            continue
        if not condition.code.words:
            chart.dropped["condition without a name"] += 1
            continue
        began = moment(condition.onsetDateTime or (condition.onsetPeriod.start if condition.onsetPeriod else None))
        ended = first(condition.abatementDateTime, condition.abatementPeriod)
        recorded = moment(condition.recordedDate) or began
        visit, encounter = chart.encounter_of(key)
        suspected, over = bool(verified & _SUSPECTED), bool(clinical & _OVER or ended)
        yield Problem(condition.code.words, visit, encounter, recorded, began, ended, suspected, over)


def _codes(status: CodeableConcept | None) -> frozenset[str]:
    return status.codes if status else frozenset()


def problem_lines(problems: list[Problem], visit: str, start: Moment | None, end: Moment | None) -> str:
    """The diagnoses of a visit, then the problems recorded by its end; "" without any.

    A problem is listed as over only if it ended before the end of the visit.
    """
    here = [problem.words(end) for problem in problems if problem.visit == visit]
    known = [
        problem.words(end)
        for problem in problems
        if problem.visit != visit and (problem.recorded is None or end is None or problem.recorded.by(end))
    ]
    lines = []
    for heading, names in (("Diagnoses", here), ("Problem list", known)):
        if names:
            lines.append(f"{heading}: " + "; ".join(dict.fromkeys(names)) + ".")
    return "\n".join(lines)
