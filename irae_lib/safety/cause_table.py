"""The table of `causes.json`: which words stand in a class, and the ways to say each cause."""

from __future__ import annotations

import functools
import json
import re
from typing import Any, NamedTuple

from ..files import DATA, built_once
from .inflection import forms, spellings

WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?|[,()\[\]]")
_ROLES = ("results", "names", "agents")


class Way(NamedTuple):
    """One way to say something, as `causes.json` writes it."""

    cause: str
    role: str
    parts: tuple[frozenset[str], ...]
    ordered: bool
    gap: int
    without: frozenset[str]
    above: float


class Table(NamedTuple):
    """The data file: words by their first word, ways by the classes of their first part, and its other sections."""

    words: dict[str, list[tuple[int, dict[tuple[str, ...], frozenset[str]]]]]
    ways: dict[str, list[Way]]
    causes: dict[str, dict[str, Any]]
    groups: dict[str, tuple[str, frozenset[str]]]
    organs: dict[str, frozenset[str]]
    general: frozenset[str]
    explains: dict[tuple[str, str], tuple[str, ...]]  # organ system and finding to causes, in the order of the file
    openers: dict[str, tuple[tuple[frozenset[str], ...], ...]]  # cause to the words of the parts of each result


@built_once
def table() -> Table:
    """`causes.json` ready for use."""
    data = json.loads((DATA / "clinical" / "causes.json").read_text(encoding="utf-8"))
    words: dict[tuple[str, ...], set[str]] = {}
    for name, entries in data["words"].items():
        for entry in entries.split(","):
            for phrase in _spelled(entry.strip()):
                words.setdefault(tuple(WORD.findall(phrase)), set()).add(name)
    ways: dict[str, list[Way]] = {}
    said = [(cause, key[:-1], row[key]) for cause, row in data["causes"].items() for key in _ROLES]
    said += [("note", role, written) for role, written in data["note"].items()]
    for cause, role, written in said:
        for way in (_way(cause, role, one, words, data["words"]) for one in written):
            for name in way.parts[0]:
                ways.setdefault(name, []).append(way)
    groups = {name: (system, frozenset(findings)) for name, (system, findings) in data["groups"].items()}
    organs = {word: frozenset(names) for word, names in data["organs"].items()}
    explains: dict[tuple[str, str], dict[str, None]] = {}
    for cause, row in data["causes"].items():
        for system, findings in (groups[group] for group in row["explains"]):
            for finding in findings:
                explains.setdefault((system, finding), {})[cause] = None
    return Table(
        _by_first_word(words),
        ways,
        data["causes"],
        groups,
        organs,
        frozenset(data["general"]),
        {key: tuple(causes) for key, causes in explains.items()},
        _openers(words, ways),
    )


def _by_first_word(words: dict[tuple[str, ...], set[str]]) -> dict[str, list[tuple[int, dict]]]:
    """For each first word, its phrases by their number of words, longest first."""
    found: dict[str, dict[int, dict[tuple[str, ...], frozenset[str]]]] = {}
    for phrase, names in words.items():
        found.setdefault(phrase[0], {}).setdefault(len(phrase), {})[phrase[1:]] = frozenset(names)
    return {word: sorted(rows.items(), reverse=True) for word, rows in found.items()}


def _openers(words: dict[tuple[str, ...], set[str]], ways: dict[str, list[Way]]) -> dict[str, Any]:
    """For each cause, the first words of each part of each result: where one part has none, it is not in a text."""
    by_class: dict[str, set[str]] = {}
    for phrase, names in words.items():
        for name in names:
            by_class.setdefault(name, set()).add(phrase[0])
    found: dict[str, set[Way]] = {}
    for way in (way for rows in ways.values() for way in rows if way.role == "result"):
        found.setdefault(way.cause, set()).add(way)

    def opens(way: Way) -> tuple[frozenset[str], ...]:
        parts = (part for part in way.parts if "#" not in part)
        return tuple(frozenset(word for name in part for word in by_class.get(name, ())) for part in parts)

    return {cause: tuple(map(opens, rows)) for cause, rows in found.items()}


def _spelled(entry: str) -> set[str]:
    """All forms and spellings of an entry; "=run" stands for itself alone."""
    if entry.startswith("="):
        return {entry[1:]}
    *lead, last = entry.split()
    return {" ".join((*lead_words, end)) for form in forms(last) for end in spellings(form) for lead_words in [lead]}


def _way(cause: str, role: str, written: str, words: dict[tuple[str, ...], set[str]], classes: dict[str, str]) -> Way:
    parts, without, gap, above = [], set(), 3, 0.0
    for part in written.split():
        if part[0] == "@":
            gap = int(part[1:])
        elif part[0] == "-":
            without.add(_class(part[1:], words, classes))
        elif part[0] == "#" and ">" in part:
            above = float(part[2:])
            parts.append(frozenset("#"))
        elif part != ">":
            parts.append(frozenset(_class(name, words, classes) for name in part.split("|")))
    return Way(cause, role, tuple(parts), ">" in written.split(), gap, frozenset(without), above)


def _class(name: str, words: dict[tuple[str, ...], set[str]], classes: dict[str, str]) -> str:
    """The class a part stands for: a listed one, a number, or a word of its own."""
    if name.isupper() or name == "#":
        if name != "#" and name not in classes:
            raise ValueError(f"causes.json: no class is called {name}")
        return name
    phrase = name.replace("_", " ")
    for spelled in spellings(phrase):
        words.setdefault(tuple(WORD.findall(spelled)), set()).add(f"'{phrase}")
    return f"'{phrase}"
