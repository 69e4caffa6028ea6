"""One case as a clinician looks at it, in HTML: the note with what was read marked in it, both answers, every raise.

Status is never shown by colour alone: what is negated is struck through, what is past or somebody else's is dotted.
All text is escaped; nothing in a note can become markup. Strings in, strings out: a notebook, a widget or a web page
shows them.
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


_PLACEHOLDERS = ("no", "none", "Unknown", "routine")  # fields in which nothing was called


def wrapped(*parts: str) -> str:
    """Parts of a view as one piece with its style."""
    return f'{STYLE}<div class="irae">{"".join(parts)}</div>'


def note_html(text: str, findings: Sequence[Finding] = (), evidence: Sequence[Evidence] = ()) -> str:
    """The note with findings marked by status and the model's quotes underlaid, where they overlap both."""
    out = []
    for piece, looks, title in marked(text, findings, evidence):
        safe = html.escape(piece)
        out.append(f'<span class="{" ".join(looks)}" title="{html.escape(title)}">{safe}</span>' if looks else safe)
    return f"<pre>{''.join(out)}</pre>"


def marked(
    text: str, findings: Sequence[Finding] = (), evidence: Sequence[Evidence] = ()
) -> Iterator[tuple[str, list[str], str]]:
    """The note cut into pieces: text, how it is marked (current, negated, other, quote), and what was read there."""
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
    """The five fields: what the model said, how sure it was (`sure` heads that column), the final answer."""
    rows = []
    for name in FIELDS:
        said, now = _shown(proposed, name), _final(final, name, assessed)
        chance = f"{confidence[name]:.0%}" if confidence and name in confidence else "-"
        mark = ' class="raised"' if proposed is not None and now not in (said, NOT_ASSESSED) else ""
        rows.append(f"<tr><td>{FIELD_NAMES[name]}<td>{said}<td>{chance}<td{mark}>{now}</tr>")
    return f"<table><tr><th>field<th>model<th>{html.escape(sure)}<th>final</tr>{''.join(rows)}</table>"


def _final(final: Assessment, field: str, assessed: bool) -> str:
    """A field of the final answer; of a note not assessed, "not assessed" and what was called all the same."""
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
    """Every raise with rule, reason, quote and source; then what the rules say without raising."""
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
    """That the note was not assessed, with the reasons; empty where it was."""
    if result.assessed:
        return ""
    why = html.escape(result.coverage.reasons)
    return f"<p class=missing><b>Not assessed. A person must read this note</b>: {why}.</p>"


def evidence_html(result: Review) -> str:
    """The model's quotes, and whether they stand in the note."""
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
    """The whole view: fields and raises first, so that the trail is seen without scrolling, then note and raw answer.

    `confidence` replaces the answer's own, with its heading `sure`. `note_first` is for reviewers, who should have read
    the note before they see what others made of it.
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
