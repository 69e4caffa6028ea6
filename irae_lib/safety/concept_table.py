"""The table of `concepts.json`: which words stand in a class, and the ways to say each concept."""

from __future__ import annotations

import functools
import json
import operator
import re
from collections import Counter
from collections.abc import Collection
from typing import Any, NamedTuple

from ..files import DATA
from .inflection import forms, spellings

WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?|[,()\[\]|]")
_GAP = 3  # words that may stand between two neighbours of a way


class Begun(NamedTuple):
    """What a word begins: the classes it has alone, and by the second word the phrases with their classes."""

    alone: frozenset[str]
    further: dict[str, list[tuple[tuple[str, ...], frozenset[str]]]]


class Way(NamedTuple):
    """One way to say a concept: `parts` are alternatives of class names, in order where `ordered`.

    `needs` and `choices` are the parts as bits of `Table.bits`: a clause must have all of `needs`, the classes of parts
    without alternatives, and one of each of `choices`. Most ways are passed over at one comparison.
    """

    concept: str
    parts: tuple[frozenset[str], ...]
    ordered: bool
    gap: int
    without: frozenset[str]
    needs: int = 0
    choices: tuple[int, ...] = ()


class Table(NamedTuple):
    words: dict[str, Begun]
    ways: tuple[Way, ...]  # in the order of the names of the classes they begin with
    starts: dict[
        str, list[tuple[int, int]]
    ]  # class to the place in `ways`, and the needs, of ways to try where it stands
    kinds: dict[str, str]
    absorbs: dict[str, frozenset[str]]
    ends: frozenset[str]
    bits: dict[str, int]
    numbers: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]  # classes of numbers, by their ranges


def vocabulary() -> frozenset[str]:
    """Every word that stands in a class, except those that only show another meaning of a word."""
    guards = json.loads((DATA / "clinical" / "concepts.json").read_text(encoding="utf-8"))["guards"]
    showing = {"THING", *(name for row in guards.values() for name in row.split())}
    return frozenset(
        word
        for first, begun in concept_table().words.items()
        for rest, names in (((), begun.alone), *(row for rows in begun.further.values() for row in rows))
        for word in (first, *rest)
        if word.isalpha() and names - showing
    )


def written_words() -> frozenset[str]:
    """The words of the table as they are written in it, in both national spellings, without further forms."""
    data = json.loads((DATA / "clinical" / "concepts.json").read_text(encoding="utf-8"))
    ways = (part for row in data["concepts"].values() for way in row["ways"] for part in re.split(r"[ |]", way))
    text = " ".join((*data["words"].values(), *(part.replace("_", " ") for part in ways if part.islower())))
    return frozenset(spelled for word in re.findall(r"[a-z]+", text) for spelled in spellings(word))


@functools.cache
def concept_table() -> Table:
    data = json.loads((DATA / "clinical" / "concepts.json").read_text(encoding="utf-8"))
    words: dict[str, set[tuple[tuple[str, ...], str]]] = {}

    def enter(entry: str, name: str) -> None:
        for spelled in _entries(entry):
            first, *rest = WORD.findall(spelled)
            words.setdefault(first, set()).add((tuple(rest), name))

    for name, entries in data["words"].items():
        for entry in entries.split(","):
            enter(entry.strip(), name)
    begun: dict[str, list[Way]] = {}
    literals: set[str] = set()
    for concept, row in data["concepts"].items():
        for written in row["ways"]:
            way = _way(concept, written, literals, data["words"] | data["numbers"])
            for name in way.parts[0]:
                begun.setdefault(name, []).append(way)
    for literal in literals:
        enter(literal, f"'{literal}")
    opened = [(name, way) for name in sorted(begun) for way in begun[name]]  # in one order, whatever the hash seed
    bits = {name: 1 << i for i, name in enumerate(sorted({n for _, way in opened for part in way.parts for n in part}))}
    ways = [_masked(way, name, bits) for name, way in opened]
    return Table(
        {first: _begun(rows) for first, rows in words.items()},
        tuple(ways),
        _starts(ways, data["numbers"]),
        {concept: row["kind"] for concept, row in data["concepts"].items()},
        {concept: frozenset(row.get("absorbs", ())) for concept, row in data["concepts"].items()},
        frozenset(data["ends"].split()),
        bits,
        tuple((name, tuple(map(tuple, spans))) for name, spans in data["numbers"].items()),
    )


def _masked(way: Way, begin: str, bits: dict[str, int]) -> Way:
    """The way where it begins with this class."""
    masks = [
        functools.reduce(operator.or_, (bits[name] for name in part)) for part in (frozenset((begin,)), *way.parts[1:])
    ]
    single = [mask for mask in masks if mask.bit_count() == 1]
    needs = functools.reduce(operator.or_, single)
    return way._replace(needs=needs, choices=tuple(mask for mask in masks if mask.bit_count() > 1))


def _starts(ways: list[Way], numbers: Collection[str]) -> dict[str, list[tuple[int, int]]]:
    """The ways, by their places, under the classes of that of their parts which is rarest in a note.

    Rare is what few ways have, and neither a number nor a word of two or three letters.
    """
    uses = Counter(name for way in ways for part in way.parts for name in part)
    common = {name for name in uses if name in numbers or (name[0] == "'" and len(name) <= 4)}
    starts: dict[str, list[tuple[int, int]]] = {}
    for place, way in enumerate(ways):
        for name in min(way.parts, key=lambda part: sum(uses[name] + 100 * (name in common) for name in part)):
            starts.setdefault(name, []).append((place, way.needs))
    return starts


def _begun(rows: set[tuple[tuple[str, ...], str]]) -> Begun:
    phrases: dict[tuple[str, ...], set[str]] = {}
    for rest, name in rows:
        phrases.setdefault(rest, set()).add(name)
    further: dict[str, list[tuple[tuple[str, ...], frozenset[str]]]] = {}
    for rest, names in phrases.items():
        if rest:
            further.setdefault(rest[0], []).append((rest, frozenset(names)))
    return Begun(frozenset(phrases.get((), ())), further)


def _entries(entry: str) -> set[str]:
    """All spellings and forms of an entry; "=run" stands for itself alone."""
    if entry.startswith("="):
        return {entry[1:]}
    *lead, last = entry.split()
    return {" ".join((*start, end)) for form in forms(last) for end in spellings(form) for start in [tuple(lead)]}


def _way(concept: str, written: str, literals: set[str], classes: dict[str, Any]) -> Way:
    """A way as it is written: "BLOOD STOOL|TOILET", "CANNOT > EAT", "weak LEG @5 -HEART"."""
    parts, without, gap = [], set(), _GAP
    for part in written.split():
        if part == ">":
            continue
        if part[0] == "@":
            gap = int(part[1:])
        elif part[0] == "-":
            without.add(_class_of(part[1:], literals))
        else:
            parts.append(frozenset(_class_of(name, literals) for name in part.split("|")))
    known = {name for part in (*parts, without) for name in part if name.isupper() and name[0] not in "'<"}
    if unknown := known - classes.keys():
        raise ValueError(f"concepts.json: {concept} uses {', '.join(sorted(unknown))}, which no class is called")
    return Way(concept, tuple(parts), ">" in written.split(), gap, frozenset(without))


def _class_of(name: str, literals: set[str]) -> str:
    """The class a part of a way stands for: a listed one, a finding, or a word of its own."""
    if name[0] == "<" or name.isupper():
        return name
    literal = name.replace("_", " ")
    literals.add(literal)
    return f"'{literal}"
