"""The CTCAE grade of a laboratory finding."""

from __future__ import annotations

from ...schemas import Finding
from .. import ctcae
from ..chart import Chart
from ..lexicon import ANALYTES


def graded(f: Finding, analyte: str = "", symptomatic: bool = False) -> ctcae.Graded | None:
    """The CTCAE v5.0 grade of a laboratory finding, with the note's own limits where it prints them."""
    analyte = analyte or f.name
    defaults = ANALYTES.get(analyte)
    value = f.low if f.high is not None and f.low is not None and _falls(analyte) else f.high
    return ctcae.grade(
        analyte,
        value,
        uln=f.uln or (defaults.uln if defaults else None),
        lln=f.lln or (defaults.lln if defaults else None),
        times_uln=f.times_uln if f.low is None or f.uln is None else None,
        baseline=f.baseline,
        symptomatic=symptomatic,
    )


def _falls(analyte: str) -> bool:
    return analyte in ("hemoglobin", "platelets", "anc", "wbc", "lymphocytes", "sodium", "calcium", "ef")


def worst(chart: Chart, *analytes: str) -> tuple[ctcae.Graded, Finding] | None:
    """The highest grade any current value of these analytes has, with the value."""
    found = [(result, f) for name in analytes for f in chart.all(name) if f.kind == "lab" and (result := graded(f))]
    return max(found, key=lambda pair: pair[0].grade) if found else None
