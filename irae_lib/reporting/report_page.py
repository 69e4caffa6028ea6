"""The report as one HTML page: for a reviewer without a notebook, with every figure beside its numbers.

Everything on it comes from the report and the figures of the run; the page loads nothing and holds no note text.
nbconvert on 03 is not used: a notebook cannot convert itself while it runs, and in Colab its file is not on the disk.
"""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path

import pandas as pd

from ..evaluation.release_gate import check
from ..evaluation.report import Report
from ..files import DATA
from . import tables

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0}h2{font-size:1.2rem;margin:2.2rem 0 .4rem;border-bottom:1px solid #ccc}
img{max-width:100%;height:auto}figure{margin:1rem 0}figcaption{font-size:.9rem;color:#444}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}
td,th{border:1px solid #ccc;padding:.35rem .5rem;vertical-align:top;text-align:left}
table.dataframe td{text-align:right}table.dataframe th{font-weight:600}
.box{padding:.6rem .9rem;border-left:6px solid #D55E00;background:#fff4ec}.yes{border-color:#009E73;background:#eefaf5}
"""


def report_page(report: Report, figures: Path) -> str:
    """The page of a report, complete in itself; figures that are not in the folder are left out."""
    gate = check(report)
    failed = [line for line in gate if not line.holds]
    verdict = f"{len(gate) - len(failed)} of {len(gate)} thresholds of the gate hold"
    body = ""
    for title, content, pictures in _sections(report, tables.gate_table(gate)):
        drawn = "".join(_figure(figures, name, caption) for name, caption in pictures)
        body += f"<section><h2>{html.escape(title)}</h2>{content}{drawn}</section>\n"
    rehearsal = (
        '<p class="box"><b>Rehearsal.</b> The base is a stand-in without clinical knowledge: these numbers show that '
        "the pipeline works and say nothing about patients.</p>"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>irAE validation report</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>Validation report</h1>{rehearsal if report.rehearsal else ''}"
        f'<p class="box{"" if failed else " yes"}"><b>{html.escape(verdict)}.</b> {_headline(report)}</p>'
        f"<p>Base {html.escape(report.base_model)}, prompt {html.escape(report.prompt)}, adapter "
        f"<code>{html.escape(report.adapters['full'][:16])}</code>, report schema {report.schema_version}. "
        "Not a medical device. Intervals are 95 %.</p>"
        f"{body}</body></html>\n"
    )


def _sections(report: Report, gate: pd.DataFrame) -> list[tuple[str, str, tuple[tuple[str, str], ...]]]:
    """Title, content and (figure, caption) pairs of every section."""
    safety = (
        ("flow", "Urgency of each case from base to tuned to final answer."),
        ("confusion", "Label against final answer; the last column are unscored answers."),
        ("steps", "Levels of grade above or below the label."),
    )
    validated = _frame(tables.results_table(report, "validated"))
    return [
        ("What must hold before publishing", _frame(gate), ()),
        (
            "Held-out test",
            _frame(tables.results_table(report, "test")),
            (("accuracy", "Share right by field."),),
        ),
        ("Held-out cases whose label is an irAE", _frame(tables.results_table(report, "test_irae")), ()),
        ("The five improvements", _frame(tables.improvements_table(report, "test")), ()),
        ("What a safety reviewer asks", _frame(tables.triage_table(report, "test")), safety),
        (
            "Confidence and abstention",
            _calibration(report),
            (("calibration", "Reliability; risk over coverage."),),
        ),
        (
            "Minimal pairs",
            _frame(tables.pairs_table(report)),
            (("contrast", "Share right by field in minimal pairs."),),
        ),
        ("Changed notes and injections", _frame(tables.behaviour_table(report)), ()),
        ("General medicine", _retention(report), ()),
        (
            "The eleven validated cases: a fitting check",
            validated,
            (("grid", "The five fields, case by case."),),
        ),
        ("TRIPOD-LLM", _checklist(report), ()),
    ]


def _headline(report: Report) -> str:
    base, tuned, final = (getattr(report.results["test"][arm], stage) for arm, stage in tables.BEFORE_AFTER)
    grave, over = final.triage.severe_under_grade_3_up, final.triage.over
    return html.escape(
        f"On {tuned.n} held-out notes the base has {base.field_accuracy:.3f} of the fields right, the tuned model "
        f"{tuned.field_accuracy:.3f}, and {final.field_accuracy:.3f} after the safety layer, which also raises mimics. "
        f"After it Grade 3 or 4 is two urgency levels too low in {tables.counted(grave)}; "
        f"urgency is too high in {tables.counted(over)}."
    )


def _frame(frame: pd.DataFrame) -> str:
    return f'<div class="wide">{frame.to_html(border=0)}</div>'


def _figure(folder: Path, name: str, caption: str) -> str:
    path = Path(folder) / f"{name}.png"
    if not path.is_file():
        return ""
    data = base64.b64encode(path.read_bytes()).decode()
    text = html.escape(caption)
    return f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'


def _calibration(report: Report) -> str:
    calibrated = report.calibration
    sentence = (
        f"answered above the threshold: {tables.counted(calibrated.answered)}; of these fail "
        f"{tables.counted(calibrated.failed_of_answered)}; of all {tables.counted(calibrated.failed_of_all)}"
    )
    return _frame(tables.calibration_table(calibrated)) + f"<p>{html.escape(sentence)}</p>"


def _retention(report: Report) -> str:
    kept = report.retention
    if kept is None:
        return "<p>Not asked in this run.</p>"
    sentence = f"base {tables.counted(kept.base)}, tuned {tables.counted(kept.tuned)}, McNemar p = {kept.p_value}"
    return f"<p>{html.escape(sentence)}</p>"


def _checklist(report: Report) -> str:
    data = json.loads((DATA / "tripod_llm.json").read_text(encoding="utf-8"))
    tuned = report.results["test"]["full"].raw
    interval = tuned.field_accuracy_interval
    known = {
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
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(row[key].format(**known))}</td>" for key in ("item", "asks", "answer"))
        for row in data["items"]
    )
    return f"<p>{html.escape(data['source'])}</p><table><tr><th>item<th>asks<th>answer</tr>{rows}</table>"
