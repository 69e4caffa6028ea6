"""Render the report as one HTML page with figures and numbers (`data/report_page.html`), for reviewers.

All content comes from the report and the figures of the run; the page loads nothing and contains no note text. The page
is dated, the report is not: the same run gives the same report.
nbconvert on 03 is not used: a notebook cannot convert itself while it runs, and in Colab its file is not on disk.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

from .. import __version__
from ..evaluation.release_gate import check
from ..evaluation.report import Report
from ..files import DATA, render
from . import tables


def report_page(report: Report, figures: Path) -> str:
    """The self-contained page of a report, dated now and named after the folder of `figures`, the run.

    Figures missing from the folder are omitted.
    """
    pictures = {path.stem: base64.b64encode(path.read_bytes()).decode() for path in Path(figures).glob("*.png")}
    checklist = json.loads((DATA / "tripod_llm.json").read_text(encoding="utf-8"))
    values = {"report": report, "gate": check(report), "tables": tables, "checklist": checklist}
    values |= {
        "run": Path(figures).resolve().parent.name,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
    }
    return render("report_page.html", pictures=pictures, **values)
