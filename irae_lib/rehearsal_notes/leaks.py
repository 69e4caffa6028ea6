"""Is the held-out part honestly unseen? Compares splits by sentence frame, not by row.

A frame is a sentence with its numbers and drug names masked. Two notes built on the same frame are one
family, however their values differ; a test note that shares a frame with training measures memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..cases import LabelledCase
from ..schemas import LeakError
from .phrases import HOME_DRUGS, ICIS, OTHER_TREATMENT

_DRUGS = sorted(
    {d.split()[0] for pool in (*HOME_DRUGS.values(), *OTHER_TREATMENT.values()) for d in pool}
    | {d.lower() for d in ICIS},
    key=len,
    reverse=True,
)
_DRUG = re.compile(r"\b(?:" + "|".join(map(re.escape, _DRUGS)) + r")\b")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SPLIT = re.compile(r"[.;](?:\s|$)|\n")
_HEADING = re.compile(r"^(?:context|medications|labs|vitals|symptoms|notes):\s*")
_WORD = re.compile(r"(?<![<\w])[a-z][a-z-]*(?![>\w])")
# Shorter frames ("ALT <n> U/L", "<drug> <n> mg") look alike in every hospital and say nothing about a family:
# such rows are held out by their values.
_MIN_WORDS = 4


def sentence_frames(text: str) -> set[str]:
    """The masked sentences of a note, without headings and rows of fewer than four words."""
    frames = set()
    for sentence in _SPLIT.split(text.lower()):
        frame = _NUMBER.sub("<n>", _DRUG.sub("<drug>", _HEADING.sub("", sentence.strip())))
        if len(_WORD.findall(frame)) >= _MIN_WORDS:
            frames.add(frame)
    return frames


def check_leaks(train: Iterable[LabelledCase], test: Iterable[LabelledCase]) -> dict[str, int]:
    """Counts of what was compared, when nothing held out occurs in training.

    Raises:
        LeakError: a note occurs twice, or a test note shares a sentence frame with training; names the ids.
    """
    train, test = list(train), list(test)
    texts = {case.case.text: case.case.id for case in train}
    frames = {frame: case.case.id for case in train for frame in sentence_frames(case.case.text)}
    held_out: set[str] = set()
    for case in test:
        if case.case.text in texts:
            raise LeakError(f"{case.case.id} is the same note as {texts[case.case.text]} in training")
        mine = sentence_frames(case.case.text)
        held_out |= mine
        for shared in mine & frames.keys():
            raise LeakError(f"{case.case.id} shares a sentence frame with {frames[shared]} in training: {shared!r}")
    return {
        "train_cases": len(train),
        "test_cases": len(test),
        "train_frames": len(frames),
        "test_frames": len(held_out),
        "shared_frames": 0,
    }
