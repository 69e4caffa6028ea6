"""Laboratory values with their CTCAE grade or their multiple of the upper limit of normal."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import NamedTuple

from ...schemas import Finding, System, Urgency
from .. import ctcae
from ..chart import Chart
from ..lexicon import ANALYTES
from .base import URGENCY_BY_GRADE, Floor, raise_to

_LOW_IS_WORSE = frozenset(("hemoglobin", "platelets", "anc", "wbc", "lymphocytes", "sodium", "calcium", "ef"))


class GradedValue(NamedTuple):
    """A laboratory value, its CTCAE v5.0 grade, the comparison that gave the grade, and the CTCAE row."""

    finding: Finding
    grade: int
    comparison: str
    source: str

    def floor(self, system: System, urgency: Urgency | None = None, *, name: str = "", note: str = "") -> Floor:
        """The floor at this grade, with the urgency of the grade unless another is given."""
        reason = f"{name or self.finding.name} {self.comparison}: Grade {self.grade}{note}"
        urgency = URGENCY_BY_GRADE[self.grade] if urgency is None else urgency
        return raise_to(self.grade, urgency, system, self.finding, reason, self.source)


def grade_value(finding: Finding, *, symptomatic: bool = False) -> GradedValue | None:
    """Grade a laboratory finding, using limits printed in the note if available; None without a CTCAE row."""
    defaults = ANALYTES.get(finding.name)
    low_counts = finding.name in _LOW_IS_WORSE and finding.low is not None and finding.high is not None
    result = ctcae.grade(
        finding.name,
        finding.low if low_counts else finding.high,
        uln=finding.uln or (defaults.uln if defaults else None),
        lln=finding.lln or (defaults.lln if defaults else None),
        times_uln=finding.times_uln if finding.low is None or finding.uln is None else None,
        baseline=finding.baseline,
        symptomatic=symptomatic,
    )
    return GradedValue(finding, result.grade, result.reason, result.source) if result else None


def worst_value(chart: Chart, *analytes: str, grades: Container[int] = (1, 2, 3, 4)) -> GradedValue | None:
    """The current value of these analytes with the highest grade; None if that grade is not among `grades`."""
    values = (value for finding in _labs(chart, analytes) if (value := grade_value(finding)))
    worst = max(values, key=lambda value: value.grade, default=None)
    return worst if worst and worst.grade in grades else None


def highest_times_uln(chart: Chart, *analytes: str) -> Finding | None:
    """The current value of these analytes that is the largest multiple of its upper limit of normal."""
    values = (finding for finding in _labs(chart, analytes) if finding.times_uln is not None)
    return max(values, key=lambda finding: finding.times_uln, default=None)


def _labs(chart: Chart, analytes: tuple[str, ...]) -> Iterator[Finding]:
    return (finding for name in analytes for finding in chart.all(name) if finding.kind == "lab")
