"""Consistency checks for long notes: times, age and history, patient state, kind of note, cancer.

A note combines independently written texts. The words that tie them to an age, a place, a state or a cancer are data
(`data/synthesis/consistency.json`); conflicting texts are left out or redrawn.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Sequence

from ..schemas import Urgency
from .illnesses import FOLDER
from .note_styles import Part

_WORDS = json.loads((FOLDER / "consistency.json").read_text(encoding="utf-8"))
_DATED = re.compile(_WORDS["dated"], re.I)
_ENDED = re.compile(_WORDS["ended"], re.I)
_FOR_THE_FIT = re.compile(_WORDS["for_the_fit"], re.I)
_FOR_HOME = re.compile(_WORDS["for_home"], re.I)
_SPEECHLESS = re.compile(_WORDS["speechless"], re.I)
_AGES = [(re.compile(words, re.I), least) for words, least in _WORDS["least_age"].items()]
_PLACES = [(re.compile(words, re.I), tuple(kinds)) for words, kinds in _WORDS["places"].items()]
_TREATMENTS = {drug: re.compile(words, re.I) for drug, words in _WORDS["cancers_of"].items()}
_TESTS = [re.compile(words, re.I) for words in _WORDS["tests"]]


def dated(text: str) -> bool:
    """Whether a text states a time, which another time in the note could contradict."""
    return bool(_DATED.search(text))


def has_ended(text: str) -> bool:
    """Whether a text says that the finding it explains is gone, which contradicts a current finding."""
    return bool(_ENDED.search(text))


def speechless(parts: Iterable[Part]) -> bool:
    """Whether the patient is too ill to answer questions, also during an examination."""
    return any(_SPEECHLESS.search(part.text) for part in parts)


def fits_age(text: str, age: int) -> bool:
    """Whether a text can be true at this age (a golden wedding, a knee replacement)."""
    return all(age >= least for words, least in _AGES if words.search(text))


def fits_place(text: str, kind: str) -> bool:
    """Whether a text fits this kind of note (a bedside on a ward, a caller on the phone)."""
    return all(kind in kinds for words, kinds in _PLACES if words.search(text))


def fits_state(text: str, urgency: Urgency) -> bool:
    """Whether a plan fits the urgency: no exercise class if urgent, no letter home in an emergency."""
    if urgency is Urgency.EMERGENCY and _FOR_HOME.search(text):
        return False
    return urgency < Urgency.URGENT or not _FOR_THE_FIT.search(text)


def fits_cancer(text: str, cancer: str) -> bool:
    """Whether the drugs that a text names are given for this cancer; drugs that are not listed fit any."""
    return all(cancers.search(cancer) for drug, cancers in _TREATMENTS.items() if drug in text)


def awaits_what_is_known(cause: str, parts: Sequence[Part]) -> bool:
    """Whether a text on other causes awaits a test whose result is in the note."""
    return any(test.search(cause) and any(test.search(part.text) for part in parts) for test in _TESTS)


def is_spoken_of(names: Iterable[str], parts: Sequence[Part]) -> bool:
    """Whether a text mentions a test by one of these names ("magnesium in the toxic range")."""
    words = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b", re.I)
    return any(words.search(part.text) for part in parts)


def drawn(draw: Callable[[], Part], fits: Callable[[Part], bool], tries: int = 60) -> Part:
    """Draw a part that fits; if none does, return the last draw."""
    part = draw()
    for _ in range(tries):
        if fits(part):
            break
        part = draw()
    return part


def fitting(rng: random.Random, texts: Sequence[str], fits: Callable[[str], bool]) -> str:
    """One of the texts that fit, or "" if none does."""
    left = [text for text in texts if fits(text)]
    return rng.choice(left) if left else ""
