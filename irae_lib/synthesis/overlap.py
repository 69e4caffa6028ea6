"""Check that notes of a user's own are not both trained on and tested on, by their words.

`leakage` compares masked sentences, which is right for generated notes and too strict for real ones: two patients of
one clinic share its standard sentences. Here a note overlaps another if it is the same text, contains it, or shares at
least half of the runs of five words of the shorter one. Ids do not count.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping

from ..errors import LeakError

_RUN = 5  # words
_SHARED = 0.5  # of the runs of the shorter note, and
_LEAST = 3  # runs, or a short standard sentence would do
_COMMON = 20  # notes that hold a run of words before it counts as a standard sentence
_WORD = re.compile(r"\w+")


def check_overlap(trained_on: Mapping[str, str], tested_on: Mapping[str, str]) -> None:
    """Refuse test notes that occur in training; both are texts by id.

    Raises:
        LeakError: names the ids of the first pair and counts the test notes, without their text.
    """
    words = {name: tuple(_WORD.findall(text.casefold())) for name, text in trained_on.items()}
    runs = _without_standard_sentences({name: _runs(each) for name, each in words.items()})
    holders = defaultdict(list)
    for name, mine in runs.items():
        for run in mine:
            holders[run].append(name)
    same = {each: name for name, each in words.items()}
    pairs = {}
    for name, text in tested_on.items():
        asked = tuple(_WORD.findall(text.casefold()))
        mine = _runs(asked)
        shared = Counter(holder for run in mine for holder in holders.get(run, ()))
        close = [
            holder
            for holder, n in shared.most_common(3)
            if n >= max(_LEAST, _SHARED * min(len(mine), len(runs[holder])))
        ]
        if asked in same or close:
            pairs[name] = same.get(asked) or close[0]
    if pairs:
        name, other = next(iter(pairs.items()))
        raise LeakError(
            f"{len(pairs)} of {len(tested_on)} test notes are also training notes, first {name!r} (in training "
            f"{other!r}); a score on them would show memory. Remove them from one of the two files"
        )


def _runs(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    return {words[i : i + _RUN] for i in range(len(words) - _RUN + 1)}


def _without_standard_sentences(runs: dict[str, set[tuple[str, ...]]]) -> dict[str, set[tuple[str, ...]]]:
    """Runs of words by note, without those of instructions and templates, which many different notes hold."""
    counts = Counter(run for mine in {frozenset(mine) for mine in runs.values()} for run in mine)
    return {name: {run for run in mine if counts[run] < _COMMON} for name, mine in runs.items()}
