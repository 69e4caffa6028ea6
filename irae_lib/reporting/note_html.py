"""Render a case as HTML for a clinician: the note with marked findings, the model's and the final answer, every raise.

Status is never shown by color alone: negated findings are struck through, past or family findings are dotted. All text
is escaped, so nothing in a note can become markup. The functions return strings, for a notebook, a widget or a web
page.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from ..files import DATA
from ..model.answers import Answer
from ..safety.reviews import NOT_ASSESSED, Evidence, Review
from ..schemas import FIELD_NAMES, FIELDS, Assessment, Finding

STYLE = f"<style>\n{(DATA / 'page' / 'note.css').read_text(encoding='utf-8')}</style>"
LEGEND = (
    '<p><span class="current">current</span> · <span class="negated">negated</span> · '
    '<span class="other">past, family, planned or possible</span> · <span class="quote">quoted by the model</span></p>'
)


_PLACEHOLDERS = ("no", "none", "Unknown", "routine")  # field values that call nothing


def wrapped(*parts: str) -> str:
    """Join the parts of a view into one HTML string with its style."""
    return f'{STYLE}<div class="irae">{"".join(parts)}</div>'


def note_html(text: str, findings: Sequence[Finding] = (), evidence: Sequence[Evidence] = ()) -> str:
    """The note with findings marked by status and the model's quotes shaded; overlapping spans carry both marks."""
    out = []
    for piece, looks, title in marked(text, findings, evidence):
        safe = html.escape(piece)
        out.append(f'<span class="{" ".join(looks)}" title="{html.escape(title)}">{safe}</span>' if looks else safe)
    return f"<pre>{''.join(out)}</pre>"


def marked(
    text: str, findings: Sequence[Finding] = (), evidence: Sequence[Evidence] = ()
) -> Iterator[tuple[str, list[str], str]]:
    """The note split into pieces: text, marks (current, negated, other, quote), and the findings and quotes there."""
    spans = [(f.start, f.end, _look(f.status), f"{f.name}: {f.status}") for f in findings]
    spans += [(e.start, e.end, "quote", "quoted by the model") for e in evidence if e.start is not None]
    borders = {0, len(text)}.union(*(span[:2] for span in spans))
    for start, end in pairwise(sorted(borders)):
        here = [span for span in spans if span[0] <= start and end <= span[1]]
        looks = sorted({look for *_, look, _ in here})
        yield text[start:end], looks, "; ".join(dict.fromkeys(what for *_, what in here))


def _look(status: str) -> str:
    return status if status in ("current", "negated") else "other"


def fields_html(
    proposed: Assessment | None,
    final: Assessment,
    confidence: Mapping[str, float] | None = None,
    sure: str = "sure",
    assessed: bool = True,
) -> str:
    """The five fields as a table: the model's answer, its confidence (column heading `sure`), the final answer."""
    rows = []
    for name in FIELDS:
        said, now = _shown(proposed, name), _final(final, name, assessed)
        chance = f"{confidence[name]:.0%}" if confidence and name in confidence else "-"
        mark = ' class="raised"' if proposed is not None and now not in (said, NOT_ASSESSED) else ""
        rows.append(f"<tr><td>{FIELD_NAMES[name]}<td>{said}<td>{chance}<td{mark}>{now}</tr>")
    return f"<table><tr><th>field<th>model<th>{html.escape(sure)}<th>final</tr>{''.join(rows)}</table>"


def _final(final: Assessment, field: str, assessed: bool) -> str:
    """A field of the final answer; if the note was not assessed, "not assessed" with any value still called."""
    shown = _shown(final, field)
    if assessed:
        return shown
    return NOT_ASSESSED if field == "likelihood" or shown in _PLACEHOLDERS else f"{shown} ({NOT_ASSESSED} further)"


def _shown(one: Assessment | None, field: str) -> str:
    if one is None:
        return "-"
    value = one.scored()[field]
    if field == "irae_detected":
        return "yes" if value else "no"
    if field == "affected_systems":
        return html.escape(", ".join(system.value for system in one.affected_systems) or "none")
    return html.escape(value.value)


def corrections_html(result: Review) -> str:
    """Every raise with rule, reason, quote and source, then the advisories."""
    rows = []
    for c in result.corrections:
        change = f"{FIELD_NAMES.get(c.field, c.field)}: {c.before} \N{RIGHTWARDS ARROW} {c.after}"
        cells = (c.rule, change, c.reason, c.quote or "-", c.source)
        rows.append(f"<tr>{''.join(f'<td>{html.escape(cell)}' for cell in cells)}</tr>")
    table = (
        f"<table><tr><th>rule<th>raised<th>reason<th>quote<th>source</tr>{''.join(rows)}</table>"
        if rows
        else "<p>The safety layer raised nothing. It reads only words it knows: that is no finding of “no irAE”.</p>"
    )
    advice = "".join(f"<li>{html.escape(line)}</li>" for line in result.advisories)
    return table + (f"<ul>{advice}</ul>" if advice else "")


def not_assessed_html(result: Review) -> str:
    """The notice that the note was not assessed, with reasons; empty if it was."""
    if result.assessed:
        return ""
    why = html.escape(result.coverage.reasons)
    return f"<p class=missing><b>Not assessed. A person must read this note</b>: {why}.</p>"


def evidence_html(result: Review) -> str:
    """The model's quotes, and whether they occur in the note."""
    lines = [
        f"<li>{html.escape(one.quote)}{'' if one.found else ' <b class=missing>(not in the note)</b>'}</li>"
        for one in result.evidence
    ]
    return f"<ul>{''.join(lines)}</ul>" if lines else "<p>No quotes.</p>"


def case_html(
    text: str,
    result: Review,
    answer: Answer | None = None,
    *,
    confidence: Mapping[str, float] | None = None,
    sure: str = "sure, not calibrated",
    note_first: bool = False,
) -> str:
    """The complete view: fields and raises first, visible without scrolling, then the note and the raw answer.

    `confidence` replaces the answer's own, under the heading `sure`. `note_first` is for reviewers, who should read the
    note before they see any answer.
    """
    note = LEGEND + note_html(text, result.findings, result.evidence)
    above, below = (note, "") if note_first else ("", note)
    if answer is None:
        fields = fields_html(result.proposed, result.final, assessed=result.assessed)
        return wrapped(above, not_assessed_html(result), fields, corrections_html(result), below)
    unread = f"<p class=missing>The model's answer cannot be read: {html.escape(answer.unscored)}</p>"
    return wrapped(
        above,
        unread if answer.assessment is None else "",
        not_assessed_html(result),
        fields_html(result.proposed, result.final, confidence or answer.confidence, sure, result.assessed),
        corrections_html(result),
        below,
        evidence_html(result),
        f"<details><summary>the model's answer as it came</summary><pre>{html.escape(answer.text)}</pre></details>",
    )
