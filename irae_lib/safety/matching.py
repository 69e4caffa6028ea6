"""The ways that the words of a clause say.

A clause is a list of places: words and phrases with their classes. A way is said where places of each of its parts
stand close enough together and nothing near by cancels it.
"""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator
from typing import NamedTuple

from .ways import WORD, Way, Ways

_BESIDE = 3  # words beside a way in which an excluded word cancels it
_MOST = 60  # occurrences of one class in a sentence that are tried
_MARKS = frozenset(",()[]|")


class Word(NamedTuple):
    """A word of a sentence: the words and the marks that stand before it, fillers not counted, and its offsets."""

    text: str
    at: int
    marks: int
    start: int
    end: int


_word = functools.partial(tuple.__new__, Word)  # half the cost of the constructor, for every word of a sentence


class Place(NamedTuple):
    """A word, phrase or earlier finding of a clause: its classes, its place among the words and in the text."""

    classes: frozenset[str]
    at: int
    last: int
    start: int
    end: int
    part: int = 0  # marks before it: two places of the same part have no mark between
    number: bool = False


def words_of(norm: str, first: int, last: int, fillers: Collection[str] = ()) -> list[Word]:
    """The words of a sentence; a mark counts as a word, a filler does not."""
    words, at, marks = [], 0, 0
    for match in WORD.finditer(norm, first, last):
        text = match.group()
        if text in _MARKS:
            marks += 1
        else:
            words.append(_word((text, at, marks, *match.span())))
        at += text not in fillers
    return words


def classes_of(ways: Ways, words: list[Word], i: int) -> dict[int, frozenset[str]]:
    """The classes of what begins at word `i`, by how many words follow it."""
    alone, further = ways.begun(words[i].text)
    classes = {0: alone} if alone else {}
    if further and i + 1 < len(words):
        for rest, names in further.get(words[i + 1].text, ()):
            if _follows(words, i, rest):
                classes[len(rest)] = names
    return classes


def place_of(words: list[Word], i: int, length: int, classes: frozenset[str]) -> Place:
    """The place of word `i` and those that follow it."""
    text, at, marks, start, end = words[i]
    if not length:
        return Place(classes, at, at, start, end, marks, text[0].isdigit())
    last = words[i + length]
    return Place(classes, at, last.at, start, last.end, marks, text[0].isdigit())


def _follows(words: list[Word], i: int, rest: tuple[str, ...]) -> bool:
    """Do the words of a phrase, of which the first is known to, follow word `i` without a mark between?"""
    last = i + len(rest)
    if last >= len(words) or words[last].marks != words[i].marks:
        return False
    return len(rest) == 1 or [word.text for word in words[i + 1 : last + 1]] == list(rest)


def said(ways: Ways, numbers: list[int], places: list[Place]) -> Iterator[tuple[Way, list[Place]]]:
    """Those of the ways, by their places in `Ways.opened`, that a clause says, each with the places it is made of."""
    if not places:
        return
    present = _by_class(places)
    tried: set[int] = set()
    for begin, way in map(ways.opened.__getitem__, numbers):
        if begin in present and id(way) not in tried and _has_parts(way, present):
            tried.add(id(way))
            yield from _matches(way, present, places)


def _has_parts(way: Way, present: dict[str, list[Place]]) -> bool:
    for part in way.parts:
        if part.isdisjoint(present):
            return False
    return True


def _by_class(places: list[Place]) -> dict[str, list[Place]]:
    present: dict[str, list[Place]] = {}
    for place in places:
        for name in place.classes:
            here = present.setdefault(name, [])
            if len(here) < _MOST:
                here.append(place)
    return present


def _matches(way: Way, present: dict[str, list[Place]], places: list[Place]) -> Iterator[tuple[Way, list[Place]]]:
    """The closest groups of places that say the way, none of which shares a word with the one before."""
    options = [sorted({p for name in part for p in present.get(name, ())}, key=_order) for part in way.parts]
    starts = [[p.at for p in row] for row in options]
    found = [best for place in options[0] if (best := _grown(way, [place], options, starts)) is not None]
    spans = sorted((max(p.last for p in best) - min(p.at for p in best), i) for i, best in enumerate(found))
    chosen: list[tuple[int, int]] = []
    for _, i in spans:
        low, high = min(p.at for p in found[i]), max(p.last for p in found[i])
        if any(low <= end and start <= high for start, end in chosen) or _cancelled(way, found[i], places, low, high):
            continue
        chosen.append((low, high))
        yield way, found[i]


def _order(place: Place) -> tuple[int, int, int]:
    return place.at, place.start, -place.end  # the longest first


def _cancelled(way: Way, best: list[Place], places: list[Place], low: int, high: int) -> bool:
    """Is a word near by that the way excludes, or one that says that all is well?"""
    for i in range(bisect_left(places, low - _BESIDE, key=lambda p: p.at), len(places)):
        p = places[i]
        if p.at > high + _BESIDE:
            return False
        if p in best:
            continue
        if way.without & p.classes or ("NORMAL" in p.classes and low <= p.at and p.part == best[-1].part):
            return True
    return False


def _grown(way: Way, chosen: list[Place], options: list[list[Place]], starts: list[list[int]]) -> list[Place] | None:
    """The chosen places completed by the nearest place of each further part; None where one is missing."""
    if len(chosen) == len(options):
        return chosen
    row, at = options[len(chosen)], starts[len(chosen)]
    low, high = min(p.at for p in chosen), max(p.last for p in chosen)
    reach = way.gap + 1
    if way.ordered:
        low = chosen[-1].last + 1 + reach  # only what follows the last one
        candidates = row[bisect_right(at, chosen[-1].last) : bisect_right(at, chosen[-1].last + reach)]
    else:
        candidates = row[bisect_left(at, low - reach - 4) : bisect_right(at, high + reach)]
    for place in sorted(candidates, key=lambda p: abs(p.at - chosen[-1].at)):
        if any(place.at <= p.last and p.at <= place.last for p in chosen):
            continue  # one word cannot be two parts
        if not way.ordered and place.last < low - reach:
            continue
        best = _grown(way, [*chosen, place], options, starts)
        if best is not None:
            return best
    return None
