"""Render a case as HTML for a clinician: the verdict, every raise, the five fields, and the note with marked findings.

Status is never shown by color alone: negated findings are struck through, past or family findings are dotted. All text
is escaped, so nothing in a note can become markup. The functions return strings, for a notebook, a widget or a web
page; `data/page/note.css` holds their light and dark colors.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from ..files import DATA
from ..model.answers import Answer
from ..safety.reviews import NOT_ASSESSED, Correction, Coverage, Evidence, Review
from ..schemas import FIELD_NAMES, Finding
from .verdict import final_labels, labels, raises, verdict

STYLE = f"<style>\n{(DATA / 'page' / 'note.css').read_text(encoding='utf-8')}</style>"
LEGEND = (
    '<p><span class="current">current</span> · <span class="negated">negated</span> · '
    '<span class="other">past, family, planned or possible</span> · <span class="basis">reason of a raise</span> · '
    '<span class="quote">quoted by the model</span></p>'
)


class Piece(NamedTuple):
    """A part of a note with its marks (current, negated, other, quote, basis), their meaning, and the corrections.

    `starts` are the numbers of the corrections whose quote begins here, `basis` of all whose quote holds the piece.
    """

    text: str
    looks: list[str]
    title: str
    starts: tuple[int, ...] = ()
    basis: tuple[int, ...] = ()


def wrapped(*parts: str) -> str:
    """Join the parts of a view into one HTML string with its style."""
    return f'{STYLE}<div class="irae">{"".join(parts)}</div>'


def verdict_html(result: Review, heading: str = "", *, second: bool = False) -> str:
    """The verdict as a box with a color and words; `heading` names whose it is, a `second` one is smaller."""
    level, title, detail = map(html.escape, verdict(result))
    looks = f"verdict {level}{' second' if second else ''}"
    whose = f"<small>{html.escape(heading)}</small>" if heading else ""
    return f'<div class="{looks}" role="status">{whose}<strong>{title}</strong><span>{detail}</span></div>'


def notice_html(text: str, *, busy: bool = False) -> str:
    """A box without a verdict, in the place of a second one; with a turning sign while something is `busy`."""
    looks = "verdict second notice" + " busy" * busy
    return f'<div class="{looks}" role="status"><span>{html.escape(text)}</span></div>'


def message_html(*sentences: str) -> str:
    """Sentences that a reader must not miss, each a line; empty without any."""
    return "".join(f"<p class=missing><b class=missing>{html.escape(line)}</b></p>" for line in sentences)


def note_html(
    text: str,
    findings: Sequence[Finding] = (),
    evidence: Sequence[Evidence] = (),
    corrections: Sequence[Correction] = (),
    *,
    anchors: bool = False,
    prefix: str = "",
) -> str:
    """The note with findings marked by status, the model's quotes shaded, the quotes of raises outlined.

    With `anchors` the quote of correction N has the id `{prefix}q-N` and links to `{prefix}c-N` of `corrections_html`.
    Overlapping spans carry all their marks.
    """
    out = []
    for piece in marked(text, findings, evidence, corrections):
        safe = html.escape(piece.text)
        if piece.looks:
            tag, link = "span", ""
            if anchors and piece.basis:
                tag, link = "a", f' href="#{prefix}c-{piece.basis[0]}"'
            safe = f'<{tag}{link} class="{" ".join(piece.looks)}" title="{html.escape(piece.title)}">{safe}</{tag}>'
        for number in reversed(piece.starts) if anchors else ():
            safe = f'<span id="{prefix}q-{number}">{safe}</span>'
        out.append(safe)
    return f"<pre>{''.join(out)}</pre>"


def marked(
    text: str,
    findings: Sequence[Finding] = (),
    evidence: Sequence[Evidence] = (),
    corrections: Sequence[Correction] = (),
) -> Iterator[Piece]:
    """Split a note into pieces, each with the marks of all spans that hold it."""
    spans = [(f.start, f.end, _look(f.status), f"{f.name}: {f.status}", None) for f in findings]
    spans += [(e.start, e.end, "quote", "quoted by the model", None) for e in evidence if e.start is not None]
    spans += [
        (c.start, c.end, "basis", f"{c.rule}: {c.reason}", number)
        for number, c in enumerate(corrections)
        if c.start is not None
    ]
    spans.sort(key=lambda span: span[0])
    borders, at, active = {0, len(text)}.union(*(span[:2] for span in spans)), 0, []
    for start, end in pairwise(sorted(borders)):
        active = [span for span in active if span[1] > start]
        while at < len(spans) and spans[at][0] <= start:
            active += [spans[at]] if spans[at][1] > start else []
            at += 1
        numbers = [(span[0], span[4]) for span in active if span[4] is not None]
        yield Piece(
            text[start:end],
            sorted({span[2] for span in active}),
            "; ".join(dict.fromkeys(span[3] for span in active)),
            tuple(n for begin, n in numbers if begin == start),
            tuple(n for _, n in numbers),
        )


def _look(status: str) -> str:
    return status if status in ("current", "negated") else "other"


def fields_html(columns: Mapping[str, Mapping[str, str]], raised: Collection[str] = ()) -> str:
    """The five fields as a table with a column for each answer; `raised` fields are marked in the last column.

    On a narrow screen the rows stack, and each value carries the name of its column.
    """
    rows = []
    for name, shown in FIELD_NAMES.items():
        cells = [
            f'<td data-label="{html.escape(heading)}"{_raised(name in raised and heading == list(columns)[-1])}>'
            f"{html.escape(values.get(name, '-'))}</td>"
            for heading, values in columns.items()
        ]
        rows.append(f"<tr><th scope=row>{shown}</th>{''.join(cells)}</tr>")
    heads = "".join(f"<th scope=col>{html.escape(heading)}</th>" for heading in columns)
    return f'<table class="fields"><tr><th scope=col>field</th>{heads}</tr>{"".join(rows)}</table>'


def _raised(yes: bool) -> str:
    return ' class="raised"' if yes else ""


def corrections_html(result: Review, *, anchors: bool = False, prefix: str = "") -> str:
    """Every raise with rule, reason, quote, changes and source, then the advisories.

    With `anchors` the quote of correction N links to the note (`#{prefix}q-N`), and the entry has the id `{prefix}c-N`.
    """
    rows = []
    for numbers, changes, first in raises(result):
        ids = [f' id="{prefix}c-{number}"' if anchors else "" for number in numbers]
        others = "".join(f"<span{other}></span>" for other in ids[1:] if other)
        quote = html.escape(first.quote)
        if anchors and first.start is not None:
            quote = f'<a href="#{prefix}q-{numbers[0]}">{quote}</a>'
        said = f"<br>“{quote}”" if quote else ""
        change = html.escape("; ".join(changes))
        rows.append(
            f"<li{ids[0]}>{others}<b>{html.escape(first.rule)}</b> {html.escape(first.reason)}{said}"
            f"<br>{change}<br><small>{html.escape(first.source)}</small></li>"
        )
    why = f'<ul class="why">{"".join(rows)}</ul>' if rows else "<p>No rule raised anything.</p>"
    rest = result.advisories[bool(result.coverage.gaps) :]  # the first one repeats the gaps, which the verdict names
    advice = "".join(f"<li>{html.escape(line)}</li>" for line in rest)
    return why + (f"<ul>{advice}</ul>" if advice else "")


def coverage_html(coverage: Coverage) -> str:
    """One line on how much of the note the rules understood; the verdict names the gaps."""
    read = f"{coverage.understood} of {coverage.loaded}"
    return f'<p class="soft">Coverage: the rules understood {read} clinical words of this note.</p>'


def evidence_html(result: Review) -> str:
    """The model's quotes, and whether they occur in the note."""
    lines = [
        f"<li>{html.escape(one.quote)}{'' if one.found else ' <b class=missing>(not in the note)</b>'}</li>"
        for one in result.evidence
    ]
    return f"<p>Quotes of the model:</p><ul>{''.join(lines)}</ul>" if lines else "<p>The model quotes nothing.</p>"


def unscored_html(answer: Answer | None) -> str:
    """The notice that the model's answer cannot be read, with the reason; empty if it can."""
    if answer is None or answer.assessment is not None:
        return ""
    return f"<p class=missing>The model's answer cannot be read: {html.escape(answer.unscored)}</p>"


def answer_html(result: Review, answer: Answer) -> str:
    """The model's quotes, checked against the note, and its answer as it came."""
    raw = f"<details><summary>the model's answer as it came</summary>{raw_html(answer.text)}</details>"
    return evidence_html(result) + raw


def raw_html(text: str) -> str:
    """A text as it is, with its line breaks."""
    return f"<pre>{html.escape(text)}</pre>"


def percentages(confidence: Mapping[str, float]) -> dict[str, str]:
    """The confidence of each field for a column of `fields_html`."""
    return {name: f"{share:.0%}" for name, share in confidence.items()}


def case_html(
    text: str,
    result: Review,
    answer: Answer | None = None,
    *,
    confidence: Mapping[str, float] | None = None,
    sure: str = "sure, not calibrated",
    note_first: bool = False,
    anchors: bool = False,
    prefix: str = "",
) -> str:
    """The complete view: verdict, raises and fields, visible without scrolling, then the note and the raw answer.

    `confidence` replaces the answer's own, under the heading `sure`; `{}` hides the column. `note_first` is for
    reviewers, who should read the note before they see any answer: the note left, or above on a narrow screen. `anchors` and `prefix`: see `note_html`.
    """
    link = {"anchors": anchors, "prefix": prefix}
    note = LEGEND + note_html(text, result.findings, result.evidence, result.corrections, **link)
    above, below = ("", note)
    if note_first:
        above, below = f'<div class="sides"><div class="source">{note}</div><div>', "</div></div>"
    final, columns, raised = final_labels(result), {}, set()
    if answer is not None:
        said, shares = labels(answer.assessment), answer.confidence if confidence is None else confidence
        columns = {"model": said} | ({sure: percentages(shares)} if shares else {})
        raised = {name for name, value in final.items() if value != said[name] and value != NOT_ASSESSED}
        raised = raised if answer.assessment else set()
    columns["final" if columns else "rules"] = final
    return wrapped(
        above,
        verdict_html(result),
        unscored_html(answer),
        corrections_html(result, **link),
        fields_html(columns, raised),
        coverage_html(result.coverage),
        answer_html(result, answer) if answer and note_first else "",
        below,
        answer_html(result, answer) if answer and not note_first else "",
    )
