"""Illnesses that a note says are over: their earlier mentions, grades, brackets and values are past."""

from __future__ import annotations

import bisect
import re

from ..schemas import Finding
from .course import organ
from .phrasing import PRESENT, sentence_around
from .tokens import changed

_NAMED = ("diagnosis", "symptom", "sign")
_OF_EPISODE = frozenset(("count", "symptom", "sign", "lab", "vital", "care", "grade", "imaging"))
_BRACKET = re.compile(r"[^.;()\n]{0,40}\((?P<told>[^()\n]{0,300})\)")
_PRESENT = re.compile(rf"\b(?:{PRESENT})\b")


def resolved(norm: str, found: list[Finding]) -> list[Finding]:
    """An illness whose last mention says that it is over is past in its earlier mentions too.

    So are earlier values of the same organ where the newest is normal, its grades, what a bracket right behind a
    mention tells of it ("colitis in March (12 motions a day)"), and values of the same sentence which a later one
    replaces ("ALT climbed to 540 with hepatitis ... now ALT 22").
    """
    last = {f.name: f for f in found if f.kind in _NAMED and f.status != "hypothetical"}
    over = {name for name, f in last.items() if f.when == "resolved"}
    if not over:
        return found
    mentions = [f for f in found if f.kind == "diagnosis" and f.name in over]
    organs = {organ(f.name) for f in mentions} - {""}
    normal = {f.name: f.start for f in found if f.kind == "lab" and f.status == "current" and _is_normal(f)}
    brackets = [span for f in mentions if (span := _bracket_behind(norm, f.end)) is not None]
    sentences = [sentence_around(norm, f.start, f.end, 200, (". ", ";", "\n")) for f in mentions]
    newest = {f.name: f.start for f in found}

    def is_past(f: Finding) -> bool:
        if f.name in over and f.kind in (*_NAMED, "grade"):
            return f.start < last[f.name].start or f.kind in ("diagnosis", "grade")
        if f.kind in _OF_EPISODE and _lies_in(f.start, brackets):
            return True
        if f.kind != "lab" or f.start >= newest[f.name]:
            return False
        replaced = organ(f.name) in organs and normal.get(f.name) == newest[f.name]
        return replaced or _lies_in(f.start, sentences)

    return [changed(f, status="historical") if f.status == "current" and is_past(f) else f for f in found]


def _is_normal(f: Finding) -> bool:
    """Is a value within its limits, as far as they are known?"""
    return f.flag == "normal" or (f.times_uln is not None and f.times_uln <= 1 and f.flag not in ("high", "low"))


def _lies_in(offset: int, spans: list[tuple[int, int]]) -> bool:
    at = bisect.bisect_right(spans, (offset, len(spans) and spans[-1][1]))
    return any(start <= offset < end for start, end in spans[max(0, at - 3) : at])


def _bracket_behind(norm: str, end: int) -> tuple[int, int] | None:
    """The bracket behind a mention, unless it tells of the present."""
    match = _BRACKET.match(norm, end)
    return match.span("told") if match and not _PRESENT.search(match["told"]) else None
