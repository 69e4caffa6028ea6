"""Lists of everything that can happen: a paragraph that names half the organs and says it was told is no patient.

No patient has the bowel, the liver, the lung, the heart and a gland ill in one sentence of a letter; every leaflet has.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..files import DATA
from .course import organ
from .phrasing import has_exact_value, says_when, whole
from .tokens import Token, within

_ITEMS = frozenset(("finding", "lab", "vital", "number"))
_LINE = re.compile(r"[^\n]+")
_BULLET = re.compile(r"\s*(?:[-*•·>]|\[.?\]|\d{1,2}[.)]|scenario\b)")
_SENTENCE = re.compile(r"[.!?](?=\s)|\n")


class _Data(NamedTuple):
    organs: int
    organs_in_one_sentence: int
    told: re.Pattern[str]


def impose_leaflets(norm: str, tokens: Sequence[Token]) -> None:
    """Give what stands in such a list the status hypothetical, from the words that announce it on."""
    data = _data()
    if data.told.search(norm) is None:
        return  # most notes
    for start, end, enough in _regions(norm, data):
        told = data.told.search(norm, start, end)
        if told is None:
            continue
        inside = [i for i, token in within(tokens, told.start(), end) if token.kind in _ITEMS]
        named = [i for i in inside if tokens[i].kind == "finding" and tokens[i].status in ("current", "hypothetical")]
        organs = {organ(name) for i in named for name in tokens[i].names} - {""}
        if len(organs) < enough:
            continue
        for i in inside:
            definite = has_exact_value(norm, tokens, i) if tokens[i].kind != "finding" else says_when(norm, tokens, i)
            if tokens[i].status == "current" and not definite:
                tokens[i].status = "hypothetical"


def _regions(norm: str, data: _Data) -> Iterator[tuple[int, int, int]]:
    """Lines with the bullets below them, and sentences, with how many organ systems make each of them a leaflet."""
    lines = [(match.start(), match.end()) for match in _LINE.finditer(norm)]
    for k, (start, end) in enumerate(lines):
        if data.told.search(norm, start, end) is None:
            continue
        below = k + 1
        while below < len(lines) and _BULLET.match(norm, *lines[below]):
            end = lines[below][1]
            below += 1
        yield start, end, data.organs
    start = 0
    for match in _SENTENCE.finditer(norm):
        yield start, match.start(), data.organs_in_one_sentence
        start = match.end()
    yield start, len(norm), data.organs_in_one_sentence


@functools.cache
def _data() -> _Data:
    data = json.loads((DATA / "clinical" / "leaflets.json").read_text(encoding="utf-8"))
    return _Data(data["organs"], data["organs_in_one_sentence"], re.compile(whole(data["told"])))
