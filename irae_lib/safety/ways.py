"""Ways to express a concept: combinations of word classes, written in a data file.

A file lists word classes ("STOOL": stool, motion, poo ...) and ways: "BLOOD STOOL" matches any word of both classes, in
either order, a few words apart. `matching` finds the ways in the words of a clause.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise
from typing import NamedTuple

from .inflection import forms, spellings

WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?|[,()\[\]|]")
_GAP = 3  # words allowed between two neighbours of a way
_NONE: frozenset[str] = frozenset()

Ranges = Mapping[str, Sequence[Sequence[float]]]


class Begun(NamedTuple):
    """The classes of a word alone, and the phrases that it begins, by second word, with their classes."""

    alone: frozenset[str]
    further: dict[str, list[tuple[tuple[str, ...], frozenset[str]]]]


UNKNOWN = Begun(_NONE, {})


class Way(NamedTuple):
    """One way to express a name in a role: `parts` are alternatives of class names, in order if `ordered`."""

    name: str
    role: str
    parts: tuple[frozenset[str], ...]
    ordered: bool
    gap: int
    without: frozenset[str]


class Ways:
    """The word classes and the ways of a data file.

    Args:
        file: its name, for errors.
        words: the entries of each class; numbers: the ranges of each class of numbers, both ends included.
        said: the name and role of each concept, and a way to express it, as written in the file.
        literal: the entries for a word that a way names itself.
    """

    def __init__(
        self,
        file: str,
        words: Mapping[str, str],
        numbers: Ranges,
        said: Iterable[tuple[str, str, str]],
        literal: Callable[[str], Iterable[str]],
    ):
        self._numbers = [(name, tuple(map(tuple, spans))) for name, spans in numbers.items()]
        begun: dict[str, list[Way]] = {}
        literals: set[str] = set()
        for name, role, written in said:
            way = _way(name, role, written, literals)
            _check(file, way, words.keys() | numbers.keys())
            for begin in way.parts[0]:
                begun.setdefault(begin, []).append(way)
        self.opened = [(name, way) for name in sorted(begun) for way in begun[name]]  # independent of the hash seed
        self._index = _index(self.opened, numbers)
        entries = [(entry.strip(), name) for name, listed in words.items() for entry in listed.split(",")]
        entries += [(entry, f"'{phrase}") for phrase in literals for entry in literal(phrase)]
        self.words = _by_first_word(entries)
        self.begun = functools.lru_cache(maxsize=20_000)(self._begun)

    def _begun(self, word: str) -> Begun:
        """The classes and phrases that a word of a note begins."""
        known = self.words.get(word) or self.words.get(word.removesuffix("'s")) or UNKNOWN
        if not word[0].isdigit():
            return known
        number = float(word)
        named = (name for name, spans in self._numbers if any(low <= number <= high for low, high in spans))
        return known._replace(alone=known.alone.union(named))

    def held(self, words: Sequence[str]) -> set[str]:
        """The classes of these words and marks, and of the phrases that they may form."""
        held: set[str] = set()
        begun = self.begun
        for word, following in pairwise((*words, "")):
            alone, further = begun(word)
            if alone:
                held |= alone
            if further and following in further:
                for _, names in further[following]:
                    held |= names
        return held

    def candidates(self, held: Iterable[str]) -> list[int]:
        """Indices in `opened` of the ways that these classes can match. Most ways are never examined."""
        held, found = frozenset(held), set()
        for name in held:
            for place, parts in self._index.get(name, ()):
                for part in parts:
                    if part.isdisjoint(held):
                        break
                else:
                    found.add(place)
        return sorted(found)

    def beginnings(self, role: str) -> dict[str, frozenset[str]]:
        """For each name, first words of which any note that expresses it in this role contains at least one."""
        named: dict[str, set[str]] = {}  # class to names
        for rarest, rows in self._index.items():
            for way in (self.opened[place][1] for place, _ in rows):
                if way.role == role:
                    named.setdefault(rarest, set()).add(way.name)
        words: dict[str, set[str]] = {}
        for first, (alone, further) in self.words.items():
            for held in (alone, *(names for rows in further.values() for _, names in rows)):
                for name in (name for rarest in held & named.keys() for name in named[rarest]):
                    words.setdefault(name, set()).add(first)
        return {name: frozenset(firsts).union(f"{first}'s" for first in firsts) for name, firsts in words.items()}

    def relevant(self, numbers: Iterable[int]) -> set[str]:
        """The classes that decide whether these ways match."""
        ways = [self.opened[number][1] for number in numbers]
        return set().union(*(names for way in ways for names in (*way.parts, way.without)))


def _index(
    opened: Sequence[tuple[str, Way]], numbers: Collection[str]
) -> dict[str, list[tuple[int, list[frozenset[str]]]]]:
    """Index the ways, with their other parts, under the classes of the part that is rarest in a note.

    A class is rare if few ways use it and it is neither a number nor a word of two or three letters.
    """
    uses = Counter(name for _, way in opened for part in way.parts for name in part)
    uses.update({name: 100 for name in uses if name in numbers or (name[0] == "'" and len(name) <= 4)})
    index: dict[str, list[tuple[int, list[frozenset[str]]]]] = {}
    for place, (begin, way) in enumerate(opened):
        parts = (frozenset((begin,)), *way.parts[1:])
        rarest, *others = sorted(parts, key=lambda part: sum(uses[name] for name in part))
        for name in rarest:
            index.setdefault(name, []).append((place, others))
    return index


def _by_first_word(entries: Iterable[tuple[str, str]]) -> dict[str, Begun]:
    """The classes of all phrases of these entries, by their first words."""
    classes: dict[tuple[str, ...], frozenset[str]] = {}
    for entry, name in entries:
        named = frozenset((name,))  # shared by most phrases: tens of thousands of sets of their own would take time
        for phrase in _spelled(entry):
            known = classes.get(phrase)
            classes[phrase] = named if known is None else known | named
    begun: dict[str, Begun] = {}
    for phrase, names in classes.items():
        opened = begun.get(phrase[0])
        if opened is None:
            opened = begun[phrase[0]] = Begun(_NONE, {})
        if len(phrase) > 1:
            opened.further.setdefault(phrase[1], []).append((phrase[1:], names))
        else:
            begun[phrase[0]] = Begun(names, opened.further)
    return begun


def _spelled(entry: str) -> list[tuple[str, ...]]:
    """The words of an entry in all its forms and spellings; "=run" matches only itself."""
    if entry.startswith("="):
        return [tuple(WORD.findall(entry))]
    lead, _, last = entry.rpartition(" ")
    before = tuple(WORD.findall(lead)) if lead else ()
    return [before + end for end in _ends(last)]


@functools.cache
def _ends(last: str) -> list[tuple[str, ...]]:
    """The words of an entry's last word in all its forms and spellings."""
    ends = {end for form in forms(last) for end in spellings(form)}
    return [(end,) if end.isalpha() else tuple(WORD.findall(end)) for end in ends]


def _way(name: str, role: str, written: str, literals: set[str]) -> Way:
    """Parse a way: "BLOOD STOOL|TOILET", "CANNOT > EAT", "weak LEG @5 -HEART"."""
    parts, without, gap = [], set(), _GAP
    for part in written.split():
        if part == ">":
            continue
        if part[0] == "@":
            gap = int(part[1:])
        elif part[0] == "-":
            without.add(_class_of(part[1:], literals))
        else:
            parts.append(frozenset(_class_of(alternative, literals) for alternative in part.split("|")))
    return Way(name, role, tuple(parts), ">" in written.split(), gap, frozenset(without))


def _class_of(name: str, literals: set[str]) -> str:
    """The class of one part of a way: a listed class, a number, a finding or a literal word."""
    if name[0] in "<#" or name.isupper():
        return name
    literal = name.replace("_", " ")
    literals.add(literal)
    return f"'{literal}"


def _check(file: str, way: Way, classes: AbstractSet[str]) -> None:
    named = {name for part in (*way.parts, way.without) for name in part if name[0] not in "'<"}
    if unknown := named - classes:
        raise ValueError(f"{file}: {way.name} uses {', '.join(sorted(unknown))}, which no class is called")
