"""The report as one HTML page (`data/report_page.html`): for a reviewer without a notebook, with figures and numbers.

Everything on it comes from the report and the figures of the run; the page loads nothing and holds no note text.
nbconvert on 03 is not used: a notebook cannot convert itself while it runs, and in Colab its file is not on the disk.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from ..evaluation.release_gate import check
from ..evaluation.report import Report
from ..files import DATA, render
from . import tables
from .tables import counted

# Figures of a run by section, each with its caption.
_FIGURES = {
    "Held-out test": {"accuracy": "Share right by field."},
    "What a safety reviewer asks": {
        "flow": "Urgency of each case from base to tuned to final answer.",
        "confusion": "Label against final answer; the last column are unscored answers.",
        "steps": "Levels of grade above or below the label.",
    },
    "Confidence and abstention": {"calibration": "Reliability; risk over coverage."},
    "Minimal pairs": {"contrast": "Share right by field in minimal pairs."},
    "The eleven validated cases: a fitting check": {"grid": "The five fields, case by case."},
}


def report_page(report: Report, figures: Path) -> str:
    """The page of a report, complete in itself; figures that are not in the folder are left out."""
    gate = check(report)
    holding = sum(line.holds for line in gate)
    base, tuned, final = (getattr(report.results["test"][arm], stage) for arm, stage in tables.BEFORE_AFTER)
    sections = [
        {"title": title, "frame": frame, "text": text, "figures": _pictures(figures, _FIGURES.get(title, {}))}
        for title, frame, text in _sections(report, gate)
    ]
    return render(
        "report_page.html",
        report=report,
        passed=holding == len(gate),
        verdict=f"{holding} of {len(gate)} thresholds of the gate hold",
        base=base,
        tuned=tuned,
        final=final,
        counted=counted,
        sections=sections,
        checklist=_checklist(report),
    )


def _sections(report: Report, gate) -> list[tuple[str, Any, str]]:
    """Title, table and sentence of every section."""
    calibrated, recall = report.calibration, report.retention
    abstention = (
        f"answered above the threshold: {counted(calibrated.answered)}; of these fail "
        f"{counted(calibrated.failed_of_answered)}; of all {counted(calibrated.failed_of_all)}"
    )
    medicine = "Not asked in this run."
    if recall is not None:
        medicine = f"base {counted(recall.base)}, tuned {counted(recall.tuned)}, McNemar p = {recall.p_value}"
    return [
        ("What must hold before publishing", tables.gate_table(gate), ""),
        ("Held-out test", tables.results_table(report, "test"), ""),
        ("Held-out cases whose label is an irAE", tables.results_table(report, "test_irae"), ""),
        ("The five improvements", tables.improvements_table(report, "test"), ""),
        ("What a safety reviewer asks", tables.triage_table(report, "test"), ""),
        ("Confidence and abstention", tables.calibration_table(calibrated), abstention),
        ("Minimal pairs", tables.pairs_table(report), ""),
        ("Changed notes and injections", tables.behaviour_table(report), ""),
        ("General medicine", None, medicine),
        ("The eleven validated cases: a fitting check", tables.results_table(report, "validated"), ""),
    ]


def _pictures(folder: Path, captions: dict[str, str]) -> list[dict[str, str]]:
    paths = {name: Path(folder) / f"{name}.png" for name in captions}
    return [
        {"caption": captions[name], "data": base64.b64encode(path.read_bytes()).decode()}
        for name, path in paths.items()
        if path.is_file()
    ]


def _checklist(report: Report) -> dict[str, Any]:
    """The topics of TRIPOD-LLM with this project's answers, its numbers filled in."""
    data = json.loads((DATA / "tripod_llm.json").read_text(encoding="utf-8"))
    tuned = report.results["test"]["full"].raw
    interval = tuned.field_accuracy_interval
    numbers = {
        "base_model": report.base_model,
        "prompt": report.prompt,
        "profile": report.profile,
        "n_test": tuned.n,
        "n_contrast": report.results["contrast"]["full"].raw.n,
        "n_irae": report.results["test_irae"]["full"].raw.n,
        "unscored": tuned.unscored,
        "field_accuracy": tuned.field_accuracy,
        "low": interval.low if interval else "-",
        "high": interval.high if interval else "-",
    }
    items = [{key: text.format(**numbers) for key, text in row.items()} for row in data["items"]]
    return {"source": data["source"], "items": items}
