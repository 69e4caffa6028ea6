"""Check that held-out notes are unseen and that a set is varied, by comparing sentence frames.

A frame is a sentence with its numbers and drug names masked. Two notes built on the same frame are one family,
even if their values differ; a test note that shares a frame with training measures memorization.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable

from ..cases import LabelledCase
from ..errors import LeakError
from .background import BACKGROUND
from .illnesses import COMMON, ICIS, POOLS

_DRUGS = sorted(
    {drug.split()[0] for name in ("home_drugs", "other_treatment") for pool in POOLS for drug in COMMON[name][pool]}
    | {drug.lower() for drug in ICIS},
    key=len,
    reverse=True,
)
_DRUG = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, _DRUGS)) + r")(?!\w)")
# The patient line of a long note does not identify a family: it is the same for every cancer.
_CANCERS = sorted({one.name.lower() for pool in POOLS for one in BACKGROUND[pool].cancers}, key=len, reverse=True)
_WHO = re.compile(r"\d+-year-old \w+ with (?:" + "|".join(map(re.escape, _CANCERS)) + ")")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SPLIT = re.compile(r"[.;](?:\s|$)|\n")
_HEADING = re.compile(r"^(?:medications|labs|vitals|symptoms|notes):\s*")
_LABEL = re.compile(r"^[a-z][a-z /&'-]{0,40}:\s*")
# A context line is the heading of a sectioned note: age and tumor, not a statement.
_CONTEXT = re.compile(r"^context:.*")
_WORD = re.compile(r"(?<![<\w])[a-z][a-z-]*(?![>\w])")
# Shorter frames ("ALT <n> U/L", "<drug> <n> mg") are alike in every hospital and do not identify a family:
# such rows are held out by their values. Units are not words.
_MIN_WORDS = 4
_UNITS = frozenset(COMMON["words_of_rows"])
_GRAM = 7


def sentence_frames(text: str) -> set[str]:
    """The masked sentences of a note, without headings, laboratory rows and rows of fewer than four words."""
    rows = (sentence.strip().removeprefix("- ") for sentence in _SPLIT.split(_WHO.sub("<who>", text.lower())))
    bare = (_CONTEXT.sub("", _HEADING.sub("", row)) for row in rows)
    return set(filter(_is_wording, (_NUMBER.sub("<n>", _DRUG.sub("<drug>", row)) for row in bare)))


def _is_wording(frame: str) -> bool:
    """Whether a masked sentence is worded text; "alt <n> u/l, ast <n> u/l, na <n>" is a laboratory row."""
    if "\t" in frame or "|" in frame:
        return False
    words = sum(word not in _UNITS for word in _WORD.findall(frame))
    return words >= _MIN_WORDS and words > 1.5 * frame.count("<n>")


@functools.cache
def _printed() -> frozenset[str]:
    """Frames of the fixed sentences of templates and closings."""
    kinds = [
        forms
        for pool in POOLS
        for part in ("templates", "closing")
        for forms in getattr(BACKGROUND[pool], part).values()
    ]
    forms = [form for forms in kinds for form in forms]
    printed = (line for form in forms for line in _SPLIT.split(form) if "{" not in line)
    return frozenset(frame for line in printed for frame in sentence_frames(line))


def frame_shares(cases: Iterable[LabelledCase]) -> list[tuple[str, float]]:
    """Sentence frames with the share of notes that hold them, commonest first; fixed template lines do not count."""
    cases, printed = list(cases), _printed()
    counts = Counter(frame for case in cases for frame in sentence_frames(case.case.text) - printed)
    return [(frame, n / len(cases)) for frame, n in counts.most_common()]


def text_statistics(cases: Iterable[LabelledCase]) -> dict[str, float]:
    """Variety of a set: words, distinct words, type-token ratio, distinct sentence frames, the commonest one."""
    cases = list(cases)
    words = [word for case in cases for word in re.findall(r"[a-z][a-z-]*", case.case.text.lower())]
    shares = frame_shares(cases)
    return {
        "notes": len(cases),
        "words": len(words),
        "distinct_words": len(set(words)),
        "type_token_ratio": round(len(set(words)) / len(words), 4),
        "distinct_frames": len(shares),
        "commonest_frame_share": round(shares[0][1], 4) if shares else 0.0,
    }


def _grams(frames: set[str]) -> set[tuple[str, ...]]:
    """Runs of masked words, without runs of numbers and units, and without labels, which belong to the template."""
    lines = (_LABEL.sub("", frame).split() for frame in frames)
    runs = (tuple(line[i : i + _GRAM]) for line in lines for i in range(len(line) - _GRAM + 1))
    return {run for run in runs if _is_wording(" ".join(run))}


def _numbers(text: str) -> tuple[str, ...]:
    """Laboratory-like numbers (decimals, three digits) in order; empty below four, which can match by chance."""
    found = tuple(number for number in _NUMBER.findall(text) if len(number) >= 3)
    return found if len(found) >= 4 else ()


def check_leaks(train: Iterable[LabelledCase], test: Iterable[LabelledCase]) -> dict[str, int]:
    """Check that no held-out text occurs in training; returns the number of cases and frames compared.

    Raises:
        LeakError: a note occurs twice, or a held-out note shares with training a sentence frame, seven masked words
            in a row, or its whole sequence of numbers; names the ids.
    """
    train, test = list(train), list(test)
    texts = {case.case.text: case.case.id for case in train}
    framed = {case.case.id: sentence_frames(case.case.text) for case in train}
    frames = {frame: case_id for case_id, mine in framed.items() for frame in mine}
    grams = {gram: case_id for case_id, mine in framed.items() for gram in _grams(mine)}
    numbers = {pattern: case.case.id for case in train if (pattern := _numbers(case.case.text))}
    held_out: set[str] = set()
    for case in test:
        name, mine = case.case.id, sentence_frames(case.case.text)
        if case.case.text in texts:
            raise LeakError(f"{name} is the same note as {texts[case.case.text]} in training")
        for shared in mine & frames.keys():
            raise LeakError(f"{name} shares a sentence frame with {frames[shared]} in training: {shared!r}")
        for gram in _grams(mine) & grams.keys():
            raise LeakError(f"{name} shares {_GRAM} words in a row with {grams[gram]} in training: {' '.join(gram)!r}")
        if (pattern := _numbers(case.case.text)) in numbers:
            raise LeakError(f"{name} has the numbers of {numbers[pattern]} in training, all and in order")
        held_out |= mine
    return {
        "train_cases": len(train),
        "test_cases": len(test),
        "train_frames": len(frames),
        "test_frames": len(held_out),
        "shared_frames": 0,
    }
