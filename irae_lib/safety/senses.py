"""Ambiguous words: the meaning of a word in a clause depends on the words near it.

`concepts.json` lists, for each word class with a second meaning, the classes that indicate it ("a scratched bumper", "a
coronary plaque"), and household or office objects that cannot be ill ("the truck wheezes"). `sensed` removes the
clinical meaning from such words before concepts are matched. A guard applies to every phrase of its class, in any
order.
"""

from __future__ import annotations

import functools
from collections.abc import Set as AbstractSet

from .concept_table import THING, guards, showing
from .matching import Place

_BESIDE = 4  # words between a word and the one that indicates its other meaning
_FIRST = 2  # words before an object that is the subject of its clause: "the old truck"


def sensed(places: list[Place], first: int) -> list[Place]:
    """The places of a clause, which begins at word `first`, without the classes removed by a guard."""
    shown = [place for place in places if _shows(place.classes)]
    if not shown:
        return places  # most clauses
    return [_alone(place, shown, first) for place in places]


def _alone(place: Place, shown: list[Place], first: int) -> Place:
    lost: frozenset[str] = frozenset()
    guarding = _guards_of(place.classes)
    for other in shown:
        if other is place or other.start == place.start:
            continue
        gap = place.at - other.last if other.at < place.at else other.at - place.last
        if guarding and gap <= _BESIDE:
            lost |= {name for name, classes in guarding if classes & other.classes}
        if THING not in other.classes or THING in place.classes or gap != 1 or other.part != place.part:
            continue
        follows = other.start == place.end + 1  # "an unsteady table"; not "cannot lift the table"
        if follows or (other.at < place.at and other.at - first <= _FIRST):
            lost = place.classes
    return place._replace(classes=place.classes - lost) if lost else place


def has_senses(held: AbstractSet[str]) -> bool:
    """Whether a sentence with these classes may contain a word whose meaning depends on another."""
    return THING in held or any(name in held and not classes.isdisjoint(held) for name, classes in guards().items())


@functools.lru_cache(maxsize=20_000)
def guarded(classes: frozenset[str]) -> bool:
    """Whether a word of these classes may mean something else."""
    return not guards().keys().isdisjoint(classes)


@functools.lru_cache(maxsize=20_000)
def _shows(classes: frozenset[str]) -> bool:
    return not showing().isdisjoint(classes)


@functools.lru_cache(maxsize=20_000)
def _guards_of(classes: frozenset[str]) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((name, guards()[name]) for name in sorted(classes & guards().keys()))
