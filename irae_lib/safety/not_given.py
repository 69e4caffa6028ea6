"""Drugs that are named but were never given: "offered in March, declined", "not yet started", "allocation: placebo".

A name alone is not a dose. An inhibitor counts as never or not yet given where the note says so and no mention reports
a dose, a cycle or a time under treatment. The words are data (`exposure.json`).
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from typing import Any

from ..files import DATA
from ..schemas import Finding
from .phrasing import sentence_around

_BEFORE, _AFTER = 220, 90  # characters between the name and the words that say it was not given
_MARKS = (". ", ";", "\n", "?", "!")
_BEGINS = re.compile(
    r"(?:^|[.;:,\n!?–(-]|\b(?:and|but|so|then|doses?|infusions?|treatment|it|this|that|which|has|have|was|is)\b)\W*$"
)
LISTED = re.compile(r"[\s+/,&-]*(?:and|plus|with)?\s*")  # between two drugs of one list


def not_given(norm: str, mentions: Sequence[Finding], others: Sequence[Finding]) -> str:
    """ "never" or "planned" where the note says that its inhibitors were not given; "" otherwise.

    Args:
        norm: the normalised note.
        mentions: the inhibitors that would count as given.
        others: other drugs that the words could refer to.
    """
    words = _words()
    blinded = len({f.name for f in mentions}) == 1 and words["placebo"].search(norm) is not None
    if blinded and not words["crossed"].search(norm):
        return "never"  # doses counted before unblinding
    if not mentions or any(_tells_of_a_dose(norm, f) for f in mentions):
        return ""
    apart = [f for f in others if not any(LISTED.fullmatch(norm, ici.end, f.start) for ici in mentions)]
    for kind in ("never", "planned"):
        for match in words[kind].finditer(norm):
            start, end = match.span()
            begins = _BEGINS.search(norm, max(0, start - 14), start) or any(start - f.end == 1 for f in mentions)
            if begins and any(_is_about(f, start, end, apart) for f in mentions):
                return kind
    return ""


def _tells_of_a_dose(norm: str, f: Finding) -> bool:
    """Whether the sentence of a mention reports a dose given, a cycle or a time under treatment."""
    start, end = sentence_around(norm, f.start, f.end, 120, _MARKS)
    words = _words()
    return any(
        words["undone"].search(norm, max(start, match.start() - 30), match.start()) is None
        for match in words["dose"].finditer(norm, start, end)
    )


def _is_about(f: Finding, start: int, end: int, others: Sequence[Finding]) -> bool:
    """Whether the words follow the name, or shortly precede it, with no other drug between them."""
    if 0 <= start - f.end <= _BEFORE:
        gap = (f.end, start)
    elif 0 <= f.start - end <= _AFTER:
        gap = (end, f.start)
    else:
        return f.start <= start < f.end or start <= f.start < end
    return not any(gap[0] <= other.start < gap[1] for other in others)


@functools.cache
def _words() -> dict[str, re.Pattern[str]]:
    listed = exposure_data()["not_given"].items()
    return {kind: re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)") for kind, patterns in listed}


@functools.cache
def exposure_data() -> dict[str, Any]:
    """`exposure.json`, parsed."""
    return json.loads((DATA / "clinical" / "exposure.json").read_text(encoding="utf-8"))
