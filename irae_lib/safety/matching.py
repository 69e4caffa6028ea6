"""Match the ways of a data file against the words of a clause.

A clause is a list of places: words and phrases with their classes. A way matches where places of each of its parts are
close enough together and no nearby word cancels it.
"""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator
from typing import NamedTuple

from .ways import WORD, Way, Ways

_BESIDE = 3  # words around a way in which an excluded word cancels it
_MOST = 60  # most occurrences of one class tried in a sentence
_DENIAL = frozenset(("NOT",))
_MARKS = frozenset(",()[]|")


class Word(NamedTuple):
    """A word of a sentence, the numbers of words (without fillers) and marks before it, and its offsets."""

    text: str
    at: int
    marks: int
    start: int
    end: int


_word = functools.partial(tuple.__new__, Word)  # half the cost of the constructor, for every word


class Place(NamedTuple):
    """A word, phrase or earlier finding of a clause: its classes, and its position among the words and in the text."""

    classes: frozenset[str]
    at: int
    last: int
    start: int
    end: int
    part: int = 0  # marks before it: no mark separates two places of the same part
    number: bool = False


def words_of(norm: str, first: int, last: int, fillers: Collection[str] = ()) -> list[Word]:
    """The words of a sentence; marks count towards word positions, fillers do not."""
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
    """The classes of the phrases that begin at word `i`, by the number of words after it."""
    alone, further = ways.begun(words[i].text)
    classes = {0: alone} if alone else {}
    if further and i + 1 < len(words):
        for rest, names in further.get(words[i + 1].text, ()):
            if _follows(words, i, rest):
                classes[len(rest)] = names
    return classes


def place_of(words: list[Word], i: int, length: int, classes: frozenset[str]) -> Place:
    """The place of word `i` and the words that follow it."""
    text, at, marks, start, end = words[i]
    if not length:
        return Place(classes, at, at, start, end, marks, text[0].isdigit())
    last = words[i + length]
    return Place(classes, at, last.at, start, last.end, marks, text[0].isdigit())


def _follows(words: list[Word], i: int, rest: tuple[str, ...]) -> bool:
    """Whether a phrase, whose first two words match at `i`, continues without a mark between its words."""
    last = i + len(rest)
    if last >= len(words) or words[last].marks != words[i].marks:
        return False
    return len(rest) == 1 or [word.text for word in words[i + 1 : last + 1]] == list(rest)


def said(ways: Ways, numbers: list[int], places: list[Place]) -> Iterator[tuple[Way, list[list[Place]]]]:
    """Yield the ways that match a clause, with their groups of places.

    `numbers` index `Ways.opened`. A way has one group for each place that can begin it.
    """
    if not places:
        return
    present = _by_class(places)
    tried: set[int] = set()
    for begin, way in map(ways.opened.__getitem__, numbers):
        if begin in present and id(way) not in tried and _has_parts(way, present):
            tried.add(id(way))
            if groups := _groups(way, present, places):
                yield way, groups


def closest(groups: list[list[Place]]) -> list[list[Place]]:
    """The closest groups; none shares a word with a closer group."""
    spans = [(min(p.at for p in group), max(p.last for p in group)) for group in groups]
    chosen: list[int] = []
    for i in sorted(range(len(groups)), key=lambda i: spans[i][1] - spans[i][0]):
        low, high = spans[i]
        if not any(low <= spans[k][1] and spans[k][0] <= high for k in chosen):
            chosen.append(i)
    return [groups[i] for i in chosen]


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


def _groups(way: Way, present: dict[str, list[Place]], places: list[Place]) -> list[list[Place]]:
    options = [sorted({p for name in part for p in present.get(name, ())}, key=_order) for part in way.parts]
    starts = [[p.at for p in row] for row in options]
    grown = (_grown(way, [place], options, starts) for place in options[0])
    return [group for group in grown if group is not None and not _cancelled(way, group, places)]


def _order(place: Place) -> tuple[int, int, int]:
    return place.at, place.start, -place.end  # the longest first


def _cancelled(way: Way, group: list[Place], places: list[Place]) -> bool:
    """Whether a nearby word cancels the way: an excluded one, or a word for "normal". A "no" after it does not."""
    low, high = min(p.at for p in group), max(p.last for p in group)
    for i in range(bisect_left(places, low - _BESIDE, key=lambda p: p.at), len(places)):
        p = places[i]
        if p.at > high + _BESIDE:
            return False
        if p in group:
            continue
        if "NORMAL" in p.classes and low <= p.at and p.part == group[-1].part:
            return True
        if (way.without if p.at <= high else way.without - _DENIAL) & p.classes:
            return True
    return False


def _grown(way: Way, chosen: list[Place], options: list[list[Place]], starts: list[list[int]]) -> list[Place] | None:
    """The chosen places plus the nearest place for each remaining part; None if a part is missing."""
    if len(chosen) == len(options):
        return chosen
    row, at = options[len(chosen)], starts[len(chosen)]
    low, high = min(p.at for p in chosen), max(p.last for p in chosen)
    reach = way.gap + 1

    def distance(p: Place) -> int:  # a concept counts from the last place, a cause from the edges of its places
        return max(p.at - high, low - p.last, 0) if way.role else abs(p.at - chosen[-1].at)

    if way.ordered:
        candidates = row[bisect_right(at, chosen[-1].last) : bisect_right(at, chosen[-1].last + reach)]
    else:
        candidates = row[bisect_left(at, low - reach - 4) : bisect_right(at, high + reach)]
    for place in sorted(candidates, key=distance):
        if any(place.at <= p.last and p.at <= place.last for p in chosen):
            continue  # one word cannot be two parts
        if not way.ordered and place.last < low - reach:
            continue
        best = _grown(way, [*chosen, place], options, starts)
        if best is not None:
            return best
    return None
