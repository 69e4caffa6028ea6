"""The report as one HTML page: for a reviewer who has no notebook, with every figure beside its numbers.

Everything on it comes from `report.json` and the figures of the run; the page loads nothing and holds no note text.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..evaluation.release_gate import check
from ..files import DATA
from . import tables

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff;max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0}h2{font-size:1.2rem;margin:2.2rem 0 .4rem;border-bottom:1px solid #ccc}
pre{overflow-x:auto;background:#f6f6f6;padding:.7rem;font-size:13px;line-height:1.4}
img{max-width:100%;height:auto}figure{margin:1rem 0}figcaption{font-size:.9rem;color:#444}
table{border-collapse:collapse;font-size:.92rem}
td,th{border:1px solid #ccc;padding:.35rem .5rem;vertical-align:top;text-align:left}
.box{padding:.6rem .9rem;border-left:6px solid #D55E00;background:#fff4ec}.yes{border-color:#009E73;background:#eefaf5}
"""


def report_page(report: Mapping[str, Any], figures: Path) -> str:
    """The page of a report of this version, complete in itself; figures that are not in the folder are left out."""
    gate = check(report)
    failed = [line for line in gate if not line.holds]
    verdict = f"{len(gate) - len(failed)} of {len(gate)} thresholds of the gate hold"
    sections = [
        ("What must hold before publishing", _pre(tables.gate_table(gate)), ()),
        ("Held-out test", _pre(tables.results_table(report, "test")), (("accuracy", "Share right by field."),)),
        ("Held-out cases whose label is an irAE", _pre(tables.results_table(report, "test_irae")), ()),
        ("The five improvements", _pre(tables.improvements_table(report, "test")), ()),
        (
            "What a safety reviewer asks",
            _pre(tables.triage_table(report, "test")),
            (
                ("flow", "Urgency of each case from base to tuned to final answer."),
                ("confusion", "Label against final answer; the last column are unscored answers."),
                ("steps", "Levels of grade above or below the label."),
            ),
        ),
        ("Confidence and abstention", _calibration(report), (("calibration", "Reliability; risk over coverage."),)),
        ("Minimal pairs", _pre(tables.pairs_table(report)), (("contrast", "Share right by field in minimal pairs."),)),
        ("Changed notes and injections", _pre(tables.behaviour_table(report)), ()),
        ("General medicine", _retention(report), ()),
        (
            "The eleven validated cases: a fitting check",
            _pre(tables.results_table(report, "validated")),
            (("grid", "The five fields, case by case."),),
        ),
        ("TRIPOD-LLM", _checklist(report), ()),
    ]
    body = ""
    for title, content, pictures in sections:
        drawn = "".join(_figure(figures, *one) for one in pictures)
        body += f"<section><h2>{html.escape(title)}</h2>{content}{drawn}</section>\n"
    rehearsal = (
        '<p class="box"><b>Rehearsal.</b> The base is a stand-in without clinical knowledge: these numbers show that '
        "the pipeline works and say nothing about patients.</p>"
        if report["rehearsal"]
        else ""
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>irAE validation report</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>Validation report</h1>{rehearsal}"
        f'<p class="box{"" if failed else " yes"}"><b>{html.escape(verdict)}.</b> {_headline(report)}</p>'
        f"<p>Base {html.escape(report['base_model'])}, prompt {html.escape(report['prompt'])}, adapter "
        f"<code>{html.escape(report['adapters']['full'][:16])}</code>, report schema {report['schema_version']}. "
        "Not a medical device. Intervals are 95 %.</p>"
        f"{body}</body></html>\n"
    )


def _headline(report: Mapping[str, Any]) -> str:
    base, tuned, final = (report["results"]["test"][system][stage] for system, stage in tables.BEFORE_AFTER)
    grave = final["triage"]["severe_under_grade_3_up"]
    return html.escape(
        f"On {tuned['n']} held-out notes the base has {base['field_accuracy']:.3f} of the fields right, the tuned "
        f"model {tuned['field_accuracy']:.3f}, and {final['field_accuracy']:.3f} after the safety layer, which also "
        "raises mimics. After it Grade 3 or 4 is two urgency levels too low in "
        f"{tables.counted(grave)}; urgency is too high in {tables.counted(final['triage']['over'])}."
    )


def _pre(text: str) -> str:
    return f"<pre>{html.escape(text)}</pre>"


def _figure(folder: Path, name: str, caption: str) -> str:
    path = Path(folder) / f"{name}.png"
    if not path.is_file():
        return ""
    data = base64.b64encode(path.read_bytes()).decode()
    text = html.escape(caption)
    return f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'


def _calibration(report: Mapping[str, Any]) -> str:
    one = report["calibration"]
    rows = [
        [name, f"{field['temperature']:.2f}", *(field[key] for key in ("ece_before", "ece", "brier_before", "brier"))]
        for name, field in one["fields"].items()
    ]
    header = ["field", "temperature", "ECE as given", "ECE cooled", "Brier as given", "Brier cooled"]
    return _pre(tables.table(rows, header)) + _pre(
        f"answered above the threshold: {tables.counted(one['answered'])}; of these fail "
        f"{tables.counted(one['failed_of_answered'])}; of all {tables.counted(one['failed_of_all'])}"
    )


def _retention(report: Mapping[str, Any]) -> str:
    kept = report["retention"]
    if not kept:
        return "<p>Not asked in this run.</p>"
    return _pre(
        f"base {tables.counted(kept['base'])}, tuned {tables.counted(kept['tuned'])}, McNemar p = {kept['p_value']}"
    )


def _checklist(report: Mapping[str, Any]) -> str:
    data = json.loads((DATA / "tripod_llm.json").read_text(encoding="utf-8"))
    tuned = report["results"]["test"]["full"]["raw"]
    interval = tuned["field_accuracy_interval"] or {"low": "-", "high": "-"}
    known = {
        "base_model": report["base_model"],
        "prompt": report["prompt"],
        "profile": report["profile"],
        "n_test": tuned["n"],
        "n_contrast": report["results"]["contrast"]["full"]["raw"]["n"],
        "n_irae": report["results"]["test_irae"]["full"]["raw"]["n"],
        "unscored": tuned["unscored"],
        "field_accuracy": tuned["field_accuracy"],
        **interval,
    }
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(row[key].format(**known))}</td>" for key in ("item", "asks", "answer"))
        for row in data["items"]
    )
    return f"<p>{html.escape(data['source'])}</p><table><tr><th>item<th>asks<th>answer</tr>{rows}</table>"
