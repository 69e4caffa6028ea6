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


def report_page(report: Report, figures: Path) -> str:
    """The page of a report, complete in itself; figures that are not in the folder are left out."""
    pictures = {path.stem: base64.b64encode(path.read_bytes()).decode() for path in Path(figures).glob("*.png")}
    values = {"report": report, "gate": check(report), "tables": tables, "checklist": _checklist(report)}
    return render("report_page.html", pictures=pictures, **values)


def _checklist(report: Report) -> dict[str, Any]:
    """The topics of TRIPOD-LLM with this project's answers, its numbers filled in."""
    data = json.loads((DATA / "tripod_llm.json").read_text(encoding="utf-8"))
    tuned = report.results["test"]["full"].raw
    numbers = {
        "base_model": report.base_model,
        "prompt": report.prompt,
        "profile": report.profile,
        "n_test": tuned.n,
        "n_contrast": report.results["contrast"]["full"].raw.n,
        "n_irae": report.results["test_irae"]["full"].raw.n,
        "unscored": tuned.unscored,
        "field_accuracy": tuned.field_accuracy,
        "interval": tables.spread(tuned.field_accuracy_interval, ""),
    }
    items = [{key: text.format(**numbers) for key, text in row.items()} for row in data["items"]]
    return {"source": data["source"], "items": items}
