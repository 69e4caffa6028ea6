"""The ways of the concept table that the words of a clause say.

A clause is a list of places: words and phrases with their classes. A way is said where places of each of its parts
stand close enough together and nothing near by cancels it.
"""

from __future__ import annotations

import functools
import operator
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from .concept_table import Table, Way, concept_table

_BESIDE = 3  # words beside a concept in which an excluded word cancels it
_MOST = 60  # occurrences of one class in a sentence that are tried


class Place(NamedTuple):
    """A word, phrase or earlier finding of a clause: its classes, its place among the words and in the text."""

    classes: frozenset[str]
    at: int
    last: int
    start: int
    end: int
    part: int = 0  # marks before it: two places of the same part have no mark between
    number: bool = False


def said(table: Table, places: list[Place]) -> Iterator[tuple[Way, list[Place]]]:
    """The ways that the places of a clause say, each with the places it is made of."""
    mask, tried = _tried({place.classes for place in places})
    present: dict[str, list[Place]] = {}
    for number in sorted(tried):
        way = table.ways[number]
        for choice in way.choices:
            if not choice & mask:
                break
        else:
            present = present or _by_class(places)
            yield from _matches(way, present, places)


def _tried(held: set[frozenset[str]]) -> tuple[int, set[int]]:
    """These classes as bits, and the ways, by their number, that they may say: most are passed over here."""
    mask, starts = 0, []
    for bits, ways in map(_bits, held):
        mask |= bits
        starts += ways
    return mask, {number for number, needs in starts if needs & mask == needs}


@functools.lru_cache(maxsize=20_000)
def _bits(classes: frozenset[str]) -> tuple[int, tuple[tuple[int, int], ...]]:
    """The classes as bits, and the ways to try where they stand."""
    table = concept_table()
    mask = functools.reduce(operator.or_, (table.bits.get(name, 0) for name in classes), 0)
    return mask, tuple(start for name in classes for start in table.starts.get(name, ()))


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
