"""Hypothetical passages: spans of a note that describe risks rather than the patient.

A letter that explains a drug ("it can inflame the bowel, sometimes eight or more motions a day"), a consent form, a
list of reasons to call, an exercise with invented patients. `teaching` finds the spans by their opening words
(`teaching.json`); `impose_teaching` makes their findings hypothetical, except measured values and events at a stated
time. This code knows no diseases.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..files import DATA
from .layout import NUMBERED, is_measured
from .phrasing import SENTENCE, is_definite, whole
from .tokens import Token, within

_BULLET = re.compile(r"\s*(?:[-*•·▪◦‣–—]|o\s|\d{1,2}[.)]\s|[a-h][.)]\s|\[[ x_]?\])")
_HEADING = re.compile(r"\s*[a-z][^:\n]{0,40}:")
_OPENS_A_LIST = re.compile(r"[:\-–]\s*$|:\s*\[ ?\]\s*$|\((?:tick|check)[^()\n]{0,30}\)\s*:?\s*$")
_SEGMENT = re.compile(r";")
_ASSERTS = re.compile(
    r"\b(?:has|had|was|were|is|are|noted|found|reports?|reported|developed|started|came|continues|still|ongoing|again)\b"
)
_OVERNIGHT = re.compile(r"\s*overnight\b")
_BOUNDS = re.compile(
    r"(?:[<>≤≥]=?|\bbetween|\b(?:above|below|over|under|than|exceeds|exceeding|beyond)) ?\d[\d.,]*(?: ?(?:and|to|-|x) ?\d[\d.,]*)?"
    r"|\b\d[\d.,]* ?(?:h|hours|am|pm|days|weeks|months)\b|/\w*\d+|\([^()\n]{0,30}\)"
)
_NUMBER = re.compile(r"(?<![a-z\d])\d")
_LONGEST = 900  # most characters of one sentence filled by a list of risks
_MOST_LINES = 30  # bullets below an opener


class Span(NamedTuple):
    """A part of the note about possible events; with `nobody`, even its measured values are invented."""

    start: int
    end: int
    nobody: bool = False


def teaching(norm: str) -> list[Span]:
    """The spans of the normalised note about possible events, in order."""
    words = _words()
    if words["invented"].search(norm) and words["scenario_word"].search(norm):
        return [Span(0, len(norm), nobody=True)]
    if not any(words[kind].search(norm) for kind in ("openers", "any_scenario", "printed_word")):
        return []
    return list(_spans(norm))


def impose_teaching(norm: str, tokens: Sequence[Token], spans: Sequence[Span]) -> None:
    """Make the tokens of the spans hypothetical, except measured values and events at a stated time."""
    for start, end, nobody in spans:
        for at, token in within(tokens, start, end):
            if token.status == "current" and (nobody or _only_told(norm, tokens, at)):
                token.status = "hypothetical"


def _only_told(norm: str, tokens: Sequence[Token], at: int) -> bool:
    token = tokens[at]
    if token.kind == "finding":
        return not is_definite(norm, tokens, at) or _OVERNIGHT.match(norm, token.end) is not None
    if token.kind == "number":
        return True  # a count; values of tests are recognised by their names
    return token.kind in NUMBERED and not is_measured(norm, token)


def _spans(norm: str) -> Iterator[Span]:
    """For each sentence: the part after an opener, the sentences that continue it, and the list below it."""
    words = _words()
    before, listing, lines, printed = False, False, 0, False
    for match in SENTENCE.finditer(norm):
        start, end = match.span()
        if norm[start] == "\n":
            before, printed = False, printed and not norm.startswith("\n", end)
            listing = listing and not norm.startswith("\n", end) and lines < _MOST_LINES
            continue
        opener = words["openers"].search(norm, start, end)
        printed = printed or words["printed"].match(norm, start) is not None
        if printed and words["general"].search(norm, start, end):
            yield Span(start, end, nobody=_NUMBER.search(_BOUNDS.sub("", norm[start:end])) is None)
        elif opener is None and words["scenario"].match(norm, start):
            yield Span(start, end)
            before = True
        elif listing and (_BULLET.match(norm, start) or not (lines or _HEADING.match(norm, start))):
            lines += _BULLET.match(norm, start) is not None
            yield Span(start, _stop(norm, start, end))
        elif opener is not None:
            stop = _stop(norm, opener.end(), end, opener["possible"] is None or ":" in opener.group())
            listing, lines = _OPENS_A_LIST.search(norm, opener.start(), end) is not None, 0
            before = stop == end
            yield Span(_first(norm, start, opener), stop)
        elif before and words["goes_on"].match(norm, start):
            stop = _stop(norm, start, end)
            before = stop == end
            yield Span(start, stop)
        else:
            before = listing = False


def _first(norm: str, start: int, opener: re.Match[str]) -> int:
    """The start of an opener's span; hearsay may precede the opener."""
    words = _words()
    heard = opener["heard"] and words["returns"].search(norm, start, opener.start()) is None
    return start if heard else opener.start()


def _stop(norm: str, start: int, end: int, lists: bool = True) -> int:
    """The end of a span: words that return to the patient, or a part that asserts something.

    Only a span that lists risks (`lists`) continues after a semicolon.
    """
    end = min(end, start + _LONGEST)
    returns = _words()["returns"].search(norm, start, end)
    end = returns.start() if returns else end
    for mark in _SEGMENT.finditer(norm, start, end):
        following = norm.find(";", mark.end(), end)
        if not lists or _ASSERTS.search(norm, mark.end(), following if following >= 0 else end):
            return mark.start()
    return end


@functools.cache
def _words() -> dict[str, re.Pattern[str]]:
    data: dict[str, Any] = json.loads((DATA / "clinical" / "teaching.json").read_text(encoding="utf-8"))
    named = [f"(?P<possible>{'|'.join(data['possible'])})", f"(?P<heard>{'|'.join(data['heard_of'])})"]
    return {
        "openers": re.compile(whole([*named, *data["told"], *data["instruct"]])),
        "any_scenario": re.compile(whole(data["scenario"])),
        "printed": re.compile(rf"[\s*#>(\[-]*{whole(data['printed'])}"),
        "printed_word": re.compile(whole(data["printed"])),
        "general": re.compile(whole(data["general"])),
        "goes_on": re.compile(rf"[\s(\"'-]*{whole(data['goes_on'])}"),
        "returns": re.compile(whole(data["returns"])),
        "scenario": re.compile(rf"[\s*#>-]*{whole(data['scenario'])}"),
        "scenario_word": re.compile(
            r"\b(?:scenario|teaching|training|vignette|exercise|simulation|quiz|cpd|handout|study)"
        ),
        "invented": re.compile(whole(data["invented"])),
    }
