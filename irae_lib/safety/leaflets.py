"""Lists of possible side effects: their illnesses of many organs are information, not findings.

No patient has illness of the bowel, liver, lung, heart and a gland in one sentence of a letter; every leaflet does.
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
_SENTENCE = re.compile(r"(?<!incl)(?<!e\.g)(?<!i\.e)(?<! eg)(?<!approx)[.!?](?=\s)|\n")
_RATE = re.compile(  # frequency of an illness: "hepatitis ~5 %", "myocarditis in fewer than 1 in 100"
    r"[\s:(]{1,3}(?:(?:risk|rate|in|of|is|about|around|approx\w*|roughly|up to|at|fewer than|less than|under|some|only) ?|[~<>=]{1,2} ?){0,3}"
    r"(?:\d+(?:\.\d+)? ?(?:-|to) ?)?(?P<rate>\d+(?:\.\d+)?) ?(?:%|percent\b|in (?:a )?\d{2,6}\b|out of \d+)"
    r"(?! ?(?:of (?:the |his |her )?(?:lungs?|body|bsa|surface|parenchyma|skin|liver)|on|ra\b|room|air|bsa|body|sat|predicted))"
)
_HIGHEST_RATE = 50
_IN_PERCENT = frozenset(("sjs", "ten", "aplastic_anemia"))  # percent of the skin or of the marrow
_TOLD_BEHIND = re.compile(  # "colitis, pneumonitis and the rare heart one explained"
    r"\b(?:explained|outlined|described|mentioned|covered|recapped|quoted|warned (?:of|about)|(?:gone|talked|run|went) (?:through|over|thru)|discussed as|spelled out|listed)"
    r"(?! by| in terms| on the basis)\b"
)


class _Data(NamedTuple):
    organs: int
    organs_in_one_sentence: int
    organs_of_a_sheet: int
    sheet: re.Pattern[str]
    told: re.Pattern[str]


def impose_leaflets(norm: str, tokens: Sequence[Token]) -> None:
    """Give the findings of such a list the status hypothetical, from the words that announce it."""
    _impose_rates(norm, tokens)
    _impose_told_behind(norm, tokens)
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
        if data.sheet.match(norm, told.start()):  # printed text
            enough = data.organs_of_a_sheet
        if len(organs) < enough:
            continue
        for i in inside:
            definite = has_exact_value(norm, tokens, i) if tokens[i].kind != "finding" else says_when(norm, tokens, i)
            if tokens[i].status == "current" and not definite:
                tokens[i].status = "hypothetical"


def _impose_rates(norm: str, tokens: Sequence[Token]) -> None:
    """Treat an illness with a frequency as a risk: a patient does not have "hepatitis ~5 %"."""
    for token in tokens:
        if (
            token.kind == "finding"
            and token.detail == "diagnosis"
            and token.status == "current"
            and _IN_PERCENT.isdisjoint(token.names)
        ):
            rate = _RATE.match(norm, token.end, token.end + 60)
            if rate is not None and float(rate["rate"]) <= _HIGHEST_RATE:
                token.status = "hypothetical"


def _impose_told_behind(norm: str, tokens: Sequence[Token]) -> None:
    """Treat a list of illnesses of several organs that ends in "explained" as information given to the patient."""
    for told in _TOLD_BEHIND.finditer(norm):
        lowest = max(0, told.start() - 200)
        start = max((m.end() for m in _SENTENCE.finditer(norm, lowest, told.start())), default=lowest)
        named = [
            token
            for _, token in within(tokens, start, told.start())
            if token.kind == "finding" and token.detail == "diagnosis" and token.status == "current"
        ]
        if len({organ(name) for token in named for name in token.names} - {""}) > 1:
            for token in named:
                token.status = "hypothetical"


def _regions(norm: str, data: _Data) -> Iterator[tuple[int, int, int]]:
    """Lines with their bullets, and sentences, each with the number of organ systems that makes it a leaflet."""
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
    return _Data(
        data["organs"],
        data["organs_in_one_sentence"],
        data["organs_of_a_sheet"],
        re.compile(whole(data["sheet"])),
        re.compile(whole(data["told"])),
    )
