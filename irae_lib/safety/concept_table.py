"""The table of `concepts.json`: which words stand in a class, and the ways to say each concept."""

from __future__ import annotations

import functools
import json
import re
from typing import Any, NamedTuple

from ..files import DATA
from .inflection import forms, spellings

WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?|[,()\[\]|]")
_GAP = 3  # words that may stand between two neighbours of a way

_Phrases = list[tuple[tuple[str, ...], str]]


class Way(NamedTuple):
    """One way to say a concept: `parts` are alternatives of class names, in order where `ordered`."""

    concept: str
    parts: tuple[frozenset[str], ...]
    ordered: bool
    gap: int
    without: frozenset[str]


class Table(NamedTuple):
    words: dict[str, dict[str, _Phrases]]  # first word -> second word, or "" -> (further words, class), longest first
    ways: dict[str, list[Way]]  # by each class of the part that is rarest in clinical text
    kinds: dict[str, str]
    absorbs: dict[str, frozenset[str]]
    ends: frozenset[str]
    numbers: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]  # classes of numbers, by their ranges


def vocabulary() -> frozenset[str]:
    """Every word that stands in a class."""
    return frozenset(
        word
        for first, phrases in concept_table().words.items()
        for rows in phrases.values()
        for rest, _ in rows
        for word in (first, *rest)
        if word.isalpha()
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
    ways: dict[str, list[Way]] = {}
    literals: set[str] = set()
    for concept, row in data["concepts"].items():
        for written in row["ways"]:
            way = _way(concept, written, literals, data["words"] | data["numbers"])
            for name in way.parts[0]:
                ways.setdefault(name, []).append(way)
    for literal in literals:
        enter(literal, f"'{literal}")
    return Table(
        {first: _by_second_word(rows) for first, rows in words.items()},
        ways,
        {concept: row["kind"] for concept, row in data["concepts"].items()},
        {concept: frozenset(row.get("absorbs", ())) for concept, row in data["concepts"].items()},
        frozenset(data["ends"].split()),
        tuple((name, tuple(map(tuple, spans))) for name, spans in data["numbers"].items()),
    )


def _by_second_word(rows: set[tuple[tuple[str, ...], str]]) -> dict[str, _Phrases]:
    table: dict[str, _Phrases] = {}
    for row in sorted(rows, key=lambda row: (-len(row[0]), row)):
        table.setdefault(row[0][0] if row[0] else "", []).append(row)
    return table


def _entries(entry: str) -> set[str]:
    """All spellings and forms of an entry; "=run" stands for itself alone."""
    if entry.startswith("="):
        return {entry[1:]}
    *lead, last = entry.split()
    return {
        " ".join((*start, end))
        for form in forms(last)
        for end in spellings(form)
        for start in [tuple(lead)]
    }


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
