"""Error analysis for 07_look_closer and the report page: confusion, grade errors, confidence, minimal pairs.

Each function takes cases and graded answers and returns data or a figure; `save_pictures` saves figures for the
report page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..cases import LabelledCase
from ..evaluation.calibration import CalibrationReport, cooled, reliability, risk_coverage
from ..evaluation.report import Report
from ..evaluation.scoring import Graded, said_at, steps_off
from ..evaluation.statistics import confusion
from ..schemas import FIELDS, Severity, Urgency
from . import figures
from .tables import BEFORE_AFTER, arm_name

_SCALES = (("grade", "overall_severity", Severity), ("urgency", "urgency", Urgency))


def confusions(
    cases: Sequence[LabelledCase], graded: Sequence[Graded], stage: str = "safety"
) -> dict[str, tuple[list[str], list[list[int]]]]:
    """Confusion matrices of grade and urgency: levels, counts by label (rows) and answer (columns, unscored last)."""
    said, out = [said_at(one, stage) for one in graded], {}
    for name, field, scale in _SCALES:
        levels = [one.value.split(" - ")[0] for one in scale]
        label = [getattr(case.expected, field).level for case in cases]
        answers = [one and getattr(one, field).level for one in said]
        out[name] = levels, confusion(label, answers, len(levels))
    return out


def grades_off(
    cases: Sequence[LabelledCase], graded: Mapping[tuple[str, str], Sequence[Graded]]
) -> dict[str, Counter[int]]:
    """Held-out answers by their distance in CTCAE grades from the label, for base, tuned and tuned + safety."""
    out = {}
    for arm, stage in BEFORE_AFTER:
        said = [said_at(one, stage) for one in graded["test", arm]]
        steps = steps_off(cases, said, "overall_severity")
        out[arm_name(arm, stage)] = Counter(step for step in steps if step is not None)
    return out


def confidence_figure(graded: Sequence[Graded], judged: CalibrationReport, title: str):
    """Plot reliability before and after scaling, and the failure rate by share answered, on the held-out test."""
    fitted = judged.calibration
    said = [
        (one.answer.confidence[field], getattr(one.raw, field), field)
        for one in graded
        if one.answer.confidence
        for field in FIELDS
    ]
    hits = [hit for _, hit, _ in said]
    cool = [cooled(chance, fitted.temperatures[field]) for chance, _, field in said]
    bins = reliability([chance for chance, *_ in said], hits), reliability(cool, hits)
    risks = risk_coverage([(one.answer.certainty, one.raw.passed) for one in graded])
    kept, failed = judged.answered, judged.failed_of_answered
    return figures.calibration_figure(*bins, risks, (kept.rate, failed.rate) if failed.n else None, title)


def save_pictures(
    report: Report,
    cases: Sequence[LabelledCase],
    graded: Mapping[tuple[str, str], Sequence[Graded]],
    folder: Path,
) -> None:
    """Save the figures of this error analysis into `folder`, for the report page."""
    note, tuned = ", rehearsal" if report.rehearsal else "", graded["test", "full"]
    pictures = {
        "confusion": figures.confusion_figure(confusions(cases, tuned), f"Tuned + safety, held-out test{note}"),
        "steps": figures.step_figure(grades_off(cases, graded), f"CTCAE grade against the label{note}"),
        "calibration": confidence_figure(tuned, report.calibration, f"Confidence on the held-out test{note}"),
        "contrast": figures.accuracy_figure(report, "contrast", f"Minimal pairs{note}"),
    }
    for name, figure in pictures.items():
        figures.save_figure(figure, folder / f"{name}.png")
