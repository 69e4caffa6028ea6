"""Objective counts to compare synthetic notes with notes from other sources."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from ..safety.reader import read
from ..schemas import Case

_WORD = re.compile(r"[a-z][a-z'-]+")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)?")
_HEADING = re.compile(r"^\W*[A-Z][\w /&-]{1,40}(?::|$)", re.MULTILINE)


class Look(NamedTuple):
    """Medians over notes, except `new_words`: the share of all running words that do not occur in training.

    `numbers` are per 100 words, `negated` is the share of a note's findings that it denies, `headings` counts lines
    that name a section.
    """

    notes: int
    words: float
    numbers: float
    negated: float
    headings: float
    new_words: float


def vocabulary(texts: Sequence[str]) -> frozenset[str]:
    """The words of a set of notes, in lowercase."""
    return frozenset(word for text in texts for word in _WORD.findall(text.lower()))


def look(texts: Sequence[str], known: frozenset[str]) -> Look:
    """Measure a set of notes; `known` holds the words of training."""
    words = [_WORD.findall(text.lower()) for text in texts]
    running = [word for one in words for word in one]
    return Look(
        len(texts),
        statistics.median(len(text.split()) for text in texts),
        statistics.median(100 * len(_NUMBER.findall(text)) / max(1, len(text.split())) for text in texts),
        statistics.median(map(_denied, texts)),
        statistics.median(len(_HEADING.findall(text)) for text in texts),
        sum(word not in known for word in running) / max(1, len(running)),
    )


def _denied(text: str) -> float:
    found = [f for f in read(Case(text=text)) if f.kind in ("symptom", "sign", "diagnosis")]
    return sum(f.status == "negated" for f in found) / len(found) if found else 0.0
