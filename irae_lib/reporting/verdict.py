"""The result of a review in plain words: how soon to act, what is suspected, and the raises that say so.

Needs no model library: the page, the panel and the terminal use the same words.
"""

from __future__ import annotations

from typing import NamedTuple

from ..safety.reviews import NOT_ASSESSED, Correction, Review
from ..schemas import FIELD_NAMES, FIELDS, Assessment, Urgency

NOT_JUDGED = "not judged by the rules"  # causality of the rules alone: no rule judges it
UNREAD = "unread"  # the level of a note that was not assessed, beside the four urgencies
ARROW = "\N{RIGHTWARDS ARROW}"
TITLES = {
    Urgency.EMERGENCY: "Emergency: act now",
    Urgency.URGENT: "Urgent: act today",
    Urgency.SOON: "Soon: act within three days",
    Urgency.ROUTINE: "Mild finding: routine",
}
_NOTHING = "No irAE found: routine"
UNREAD_TITLE = "Not assessed: a person must read this note"
_SILENCE = "The rules know a limited vocabulary: silence does not prove that there is no irAE."
_PLACEHOLDERS = ("no", "none", "Unknown", "routine")  # field values that call nothing


class Verdict(NamedTuple):
    """One line to act on: `level` (an urgency, or "unread"), `title` in plain words, `detail` in a sentence or two."""

    level: str
    title: str
    detail: str


class Raise(NamedTuple):
    """The corrections by one rule for one reason: their numbers in `Review.corrections`, and what they changed."""

    numbers: tuple[int, ...]
    changes: tuple[str, ...]
    first: Correction


def verdict(result: Review) -> Verdict:
    """The verdict of a review: its urgency in words, or that a person must read the note."""
    final = result.final
    calls = final.irae_detected or final.urgency > Urgency.ROUTINE
    if not result.assessed:
        further = f" Found so far: {_suspected(final)}, urgency {final.urgency.value}." if calls else ""
        return Verdict(UNREAD, UNREAD_TITLE, f"{_sentence(result.coverage.reasons)}{further}")
    detail = [f"{_sentence(_suspected(final))}" if calls else _SILENCE]
    if result.coverage.gaps:
        detail.append(f"Not read in full: {result.coverage.reasons}.")
    return Verdict(final.urgency.value, TITLES[final.urgency] if calls else _NOTHING, " ".join(detail))


def _suspected(final: Assessment) -> str:
    if not final.irae_detected:
        return "no irAE called; the urgency is that of the illness"
    organs = ", ".join(system.value for system in final.affected_systems) or "organ not named"
    return f"suspected irAE: {organs}, {final.overall_severity.value}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def raises(result: Review) -> tuple[Raise, ...]:
    """The corrections of a review, one entry for each rule, reason and quote."""
    groups: dict[tuple, list[int]] = {}
    for number, c in enumerate(result.corrections):
        groups.setdefault((c.rule, c.reason, c.source, c.quote, c.start), []).append(number)
    return tuple(
        Raise(tuple(numbers), tuple(_change(c, result.proposed is None) for c in members), members[0])
        for numbers in groups.values()
        for members in [[result.corrections[n] for n in numbers]]
    )


def _change(c: Correction, alone: bool) -> str:
    """A change in words; of the rules alone only the result, because nothing was proposed before."""
    words = {"true": "yes", "false": "no"}
    before, after = words.get(c.before, c.before), words.get(c.after, c.after)
    if alone and c.field == "affected_systems":  # what this rule added to those of the rules before it
        after = after.removeprefix(before).removeprefix(", ")
    return f"{FIELD_NAMES.get(c.field, c.field)}: {'' if alone else f'{before} {ARROW} '}{after}"


def labels(assessment: Assessment | None) -> dict[str, str]:
    """The five fields as shown to a reader, by name; "-" where there is no assessment."""
    if assessment is None:
        return dict.fromkeys(FIELDS, "-")
    fields = assessment.scored()
    return {name: str(value) for name, value in fields.items()} | {
        "irae_detected": "yes" if assessment.irae_detected else "no",
        "affected_systems": ", ".join(system.value for system in assessment.affected_systems) or "none",
    }


def final_labels(result: Review) -> dict[str, str]:
    """The five fields of the final answer as shown to a reader.

    In a note that was not assessed only what was called counts. The rules alone do not judge causality.
    """
    shown = labels(result.final)
    if result.proposed is None:
        shown["likelihood"] = NOT_JUDGED
    if result.assessed:
        return shown
    return {name: _unread(name, value) for name, value in shown.items()}


def _unread(name: str, value: str) -> str:
    return NOT_ASSESSED if name == "likelihood" or value in _PLACEHOLDERS else f"{value} ({NOT_ASSESSED} further)"
