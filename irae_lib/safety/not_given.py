"""A drug that is named and was never given: "offered in March, declined", "not yet started", "allocation: placebo".

A name alone is no dose. Where the note says that nothing was given, and no mention of an inhibitor tells of a dose, a
cycle or a time under treatment, the inhibitor was never given, or not yet. The words are data (`exposure.json`).
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

_BEFORE, _AFTER = 220, 90  # characters from the name to the words that say that it was not given
_MARKS = (". ", ";", "\n", "?", "!")
_BEGINS = re.compile(
    r"(?:^|[.;:,\n!?–(-]|\b(?:and|but|so|then|doses?|infusions?|treatment|it|this|that|which|has|have|was|is)\b)\W*$"
)
LISTED = re.compile(r"[\s+/,&-]*(?:and|plus|with)?\s*")  # between two drugs of one list


def not_given(norm: str, mentions: Sequence[Finding], others: Sequence[Finding]) -> str:
    """ "never" or "planned" where the note says that the inhibitors it names were not given; "" otherwise.

    Args:
        norm: the normalised note.
        mentions: the inhibitors that would count as given.
        others: other drugs, of which it could be said as well.
    """
    words = _words()
    blinded = len({f.name for f in mentions}) == 1 and words["placebo"].search(norm) is not None
    if blinded and not words["crossed"].search(norm):
        return "never"  # doses were counted before anybody knew
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
    """Does the sentence of a mention tell of a dose given, a cycle or a time under treatment?"""
    start, end = sentence_around(norm, f.start, f.end, 120, _MARKS)
    words = _words()
    return any(
        words["undone"].search(norm, max(start, match.start() - 30), match.start()) is None
        for match in words["dose"].finditer(norm, start, end)
    )


def _is_about(f: Finding, start: int, end: int, others: Sequence[Finding]) -> bool:
    """Do the words stand behind the name, or shortly before it, with no other drug between them?"""
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
    """`exposure.json` as it is written."""
    return json.loads((DATA / "clinical" / "exposure.json").read_text(encoding="utf-8"))
