"""What the demo page shows for one note: the rules' verdict first, the model's answer beside it.

Nothing is stored or logged but the kind of an error; every sentence is fixed, because an exception may hold note text.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from .. import Case, read, review
from ..evaluation.calibration import judged
from ..model.answers import Answer
from ..prompts import LONGEST_NOTE
from ..reporting import note_html as parts
from ..reporting.verdict import final_labels, labels, verdict
from ..safety.exposure import assumed
from ..safety.reviews import Review

LONGEST = 200_000  # characters; what the rules read and a browser shows within seconds
NOT_AGREED = "Tick the box first: synthetic or de-identified text only, and no decision about a patient."
EMPTY = "The note is empty. Paste a note, or choose an example."
TOO_LONG = f"The note is longer than {LONGEST:,} characters. Shorten it to the part you want read."
UNSURE = "The model is not sure of this answer: a person should read the note. The rules have read it as well."
MORE = "The model calls more than the rules. The higher answer counts until a person has read the note."
BROKEN = "The note could not be assessed. Nothing was stored. Try again, or try a shorter note."
NO_MODEL = "The model could not answer; this is the answer of the rules. Nothing was stored."
STAND_IN = "Stand-in model: ignore its answer, which means nothing clinically."
UNREADABLE = "The model's answer cannot be read."
READING = "The model is reading the note ..."
TOO_LONG_FOR_MODEL = f"The model reads notes of up to {LONGEST_NOTE:,} characters; the rules read all of this one."


class Shown(NamedTuple):
    """What the page shows: the view as HTML, and the audit trail as JSON, without note text."""

    view: str = ""
    audit: str = ""


def assess(engine, note: str, agreed: bool, exposed: bool = True) -> Iterator[Shown]:
    """What to show for a note, in order: the rules' answer at once, then the model's beside it.

    A refusal (no consent, no note, too long a note) comes alone. If the model fails, the rules' answer stays.
    `exposed` is the checkbox "on or after a checkpoint inhibitor".
    """
    if refusal := _refusal(note, agreed):
        yield Shown(parts.wrapped(parts.message_html(refusal)))
        return
    try:
        case = Case(text=note)
        known = assumed(read(case), case.text, exposed)
        rules = review(case, exposed=known)
        asked = len(note) <= LONGEST_NOTE
        first = _shown(engine, case, rules, notice=READING if asked else TOO_LONG_FOR_MODEL)
    except Exception as error:
        yield Shown(parts.wrapped(parts.message_html(_failed(error, BROKEN))))
        return
    yield first
    if not asked:
        return
    try:
        answer = engine.answer(case)
        result = review(case, answer.assessment, known)
        yield _shown(engine, case, rules, answer, result)
    except Exception as error:
        yield _shown(engine, case, rules, notice=_failed(error, NO_MODEL))


def _refusal(note: str, agreed: bool) -> str:
    if not agreed:
        return NOT_AGREED
    if not note.strip():
        return EMPTY
    return TOO_LONG if len(note) > LONGEST else ""


def _failed(error: Exception, sentence: str) -> str:
    """Log the kind of an error, whose message may hold note text, and return the sentence for the page."""
    print(f"assessment failed: {type(error).__name__}", file=sys.stderr)
    return sentence


def _shown(
    engine, case: Case, rules: Review, answer: Answer | None = None, result: Review | None = None, notice: str = ""
) -> Shown:
    """The rules' answer, with the model's (`answer`, and `result`: the rules over it) or a notice in its place."""
    sure, unsure = judged(engine.calibration, answer) if answer and not engine.stand_in else ({}, False)
    columns, link = {"rules": final_labels(rules)}, {"anchors": True}
    if answer:
        columns["stand-in model" if engine.stand_in else "model"] = labels(answer.assessment)
    if sure:
        kind = "calibrated" if engine.calibration else "not calibrated"
        columns[f"confidence, {kind}"] = parts.percentages(sure)
    readable = answer is not None and answer.assessment is not None
    second = _second(engine, result if readable else None, notice or UNREADABLE)
    higher = readable and not engine.stand_in and _calls_more(result, rules)
    view = parts.wrapped(
        parts.message_html(*[MORE] * higher, *[UNSURE] * unsure),
        f'<div class="verdicts">{parts.verdict_html(rules, "Rules")}{second}</div>',
        parts.unscored_html(answer),
        parts.corrections_html(rules, **link),
        parts.fields_html(columns),
        parts.coverage_html(rules.coverage),
        parts.LEGEND,
        parts.note_html(case.text, rules.findings, result.evidence if result else (), rules.corrections, **link),
        parts.answer_html(result, answer) if answer and result else "",
    )
    return Shown(view, _trail(engine, case, rules, answer))


def _second(engine, result: Review | None, notice: str) -> str:
    """The box beside the rules' verdict: the model's, under the rules; of a stand-in only that it means nothing."""
    if result is None:
        return parts.notice_html(notice, busy=notice == READING)
    if engine.stand_in:
        return parts.notice_html(STAND_IN)
    return parts.verdict_html(result, "Model, under the rules", second=True)


def _calls_more(result: Review, rules: Review) -> bool:
    """Whether the model, under the rules, calls an irAE, grade or urgency that the rules alone do not."""
    return any(
        getattr(result.final, field) > getattr(rules.final, field)
        for field in ("irae_detected", "overall_severity", "urgency")
    )


def _trail(engine, case: Case, rules: Review, answer: Answer | None) -> str:
    """What can be kept about an assessment: checksum, versions and labels, and nothing of the note."""
    trail: dict[str, Any] = {
        "note_sha256": hashlib.sha256(case.text.encode()).hexdigest(),
        **engine.versions,
        "assessed": rules.assessed,
        "verdict": verdict(rules).level,
        "rules": final_labels(rules),
        "corrections": [{"rule": c.rule, "field": c.field, "from": c.before, "to": c.after} for c in rules.corrections],
    }
    if answer:
        trail["model"] = labels(answer.assessment)
        trail |= {} if engine.stand_in else {"certainty": answer.certainty}
    return json.dumps(trail, indent=1)
