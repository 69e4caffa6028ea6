"""What a note says about causes: results, names of other illnesses, and what is said of the immune one.

`sentences` cuts a scanned note into sentences whose words have classes, and finds the mentions that
`data/clinical/causes.json` lists. A mention is a token too, so that the same pass that gives findings their status
tells whether it is current, denied, somebody else's, past or only possible.
"""

from __future__ import annotations

import functools
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from ..files import DATA
from .inflection import forms, spellings
from .tokens import Token

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?|[,()\[\]]")
_MARKS = frozenset(",()[]")
_NUMBER = frozenset("#")
_DENIAL = frozenset(("NOT",))
_ROLES = ("results", "names", "agents")
_NONE: tuple[list[int], list[Any]] = ([], [])
_MOST = 60  # places of one class in a sentence that are tried
_LONGEST = 6  # words of the longest phrase
_NEAR = 3  # words around a mention in which an excluded class cancels it


class Place(NamedTuple):
    """A word or phrase of a sentence: its classes, its number and the number of its last word, its offsets."""

    classes: frozenset[str]
    at: int
    last: int
    start: int
    end: int
    number: float | None = None


class Mention(NamedTuple):
    """A way that a sentence says: of which cause (or "note"), which role, where, and the token with its status."""

    cause: str
    role: str
    at: int
    last: int
    start: int
    token: Token

    @property
    def current(self) -> bool:
        """Is it said of this patient, now, and as a fact?"""
        return self.token.status == "current"

    @property
    def stated(self) -> bool:
        """Is it said of this patient as a fact, though it may be over: "caused by gentamicin, recovered"?"""
        return self.current or (self.token.status == "historical" and self.token.resolved)


class Sentence:
    """The places and mentions of one sentence, indexed by class and by what is said."""

    def __init__(self, norm: str, start: int, end: int, places: list[Place]):
        self.text, self.start, self.end = norm[start:end], start, end
        self.index: dict[str, tuple[list[int], list[Place]]] = {}
        for place in places:
            for name in place.classes:
                numbers, held = self.index.setdefault(name, ([], []))
                numbers.append(place.at)
                held.append(place)
        query = norm[max(0, start - 1) : start] == "?" and not self.text[:1].isspace()  # "?gout"
        self.asks = query or norm[end : end + 1] == "?"
        self.mentions: list[Mention] = []

    def of(self, *names: str) -> list[Place]:
        """Its places of these classes."""
        return [place for name in names for place in self.index.get(name, _NONE)[1]]

    def within(self, first: int, last: int, *names: str) -> list[Place]:
        """Its places of these classes that begin at a word from `first` to `last`."""
        found = []
        for name in names:
            numbers, held = self.index.get(name, _NONE)
            found += held[bisect_left(numbers, first) : bisect_right(numbers, last)]
        return found

    def near(self, at: int, before: int, after: int, *names: str) -> bool:
        """Does a place of these classes begin at most so many words before or after word `at`?"""
        return bool(self.within(at - before, at + after, *names))

    def said(self, cause: str, *roles: str) -> list[Mention]:
        """What it says of a cause in these roles."""
        return [m for m in self.mentions if m.cause == cause and m.role in roles]


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


def sentences(norm: str, tokens: Sequence[Token], causes: Collection[str]) -> list[Sentence]:
    """The sentences of a note with what they say of these causes; the tokens of mentions have no status yet."""
    ways = {name: wanted for name, rows in table().ways.items() if (wanted := [w for w in rows if w.cause in causes])}
    found, first = [], 0
    for number, token in enumerate((*tokens, None)):
        if token is not None and token.kind != "end":
            continue
        last = token.start if token is not None else len(norm)
        if last > first:
            sentence = Sentence(norm, first, last, list(_places(norm, first, last)))
            sentence.mentions = list(_mentions(sentence, ways, tokens[number - 1].sentence if number else 0))
            found.append(sentence)
        first = token.end if token is not None else last
    return found


def _places(norm: str, first: int, last: int) -> Iterator[Place]:
    """The words of a sentence that mean something here; the longest phrase wins."""
    words: list[str] = []
    spots: list[tuple[int, int, int]] = []
    for at, match in enumerate(_WORD.finditer(norm, first, last)):
        if match.group() not in _MARKS:
            words.append(match.group())
            spots.append((at, *match.span()))
    known, taken = table().words, -1
    for i, word in enumerate(words):
        if i <= taken:
            continue
        at, start, end = spots[i]
        if word[0].isdigit():
            yield Place(_NUMBER, at, at, start, end, float(word))
        for length, phrases in known.get(word, ()):
            classes = phrases.get(tuple(words[i + 1 : i + length]))
            if classes is not None:
                taken = i + length - 1
                yield Place(classes, at, spots[taken][0], start, spots[taken][2])
                break


def _mentions(sentence: Sentence, ways: dict[str, list[Way]], number: int) -> Iterator[Mention]:
    for name in sorted(sentence.index.keys() & ways.keys()):  # in one order, whatever the hash seed
        for way in ways[name]:
            if any(part.isdisjoint(sentence.index) for part in way.parts):
                continue
            for place in sentence.of(name)[:_MOST]:
                chosen = _completed(way, place, sentence)
                if chosen is None or _cancelled(way, chosen, sentence):
                    continue
                end = max(chosen, key=lambda p: p.end)
                token = Token("finding", end.start, end.end, (f"{way.cause} {way.role}",), "test")
                token.sentence = number
                low, high = min(p.at for p in chosen), max(p.last for p in chosen)
                yield Mention(way.cause, way.role, low, high, min(p.start for p in chosen), token)


def _completed(way: Way, place: Place, sentence: Sentence) -> list[Place] | None:
    """The place with the nearest places of the further parts; None where one is missing."""
    chosen = [place]
    for part in way.parts[1:]:
        low, high, reach = min(p.at for p in chosen), max(p.last for p in chosen), way.gap + 1
        first = high + 1 if way.ordered else low - reach - _LONGEST
        near = [
            p
            for p in sentence.within(first, high + reach, *part)
            if p.last >= low - reach
            and all(p.at > c.last or p.last < c.at for c in chosen)
            and (p.number is None or p.number > way.above)
        ]
        if not near:
            return None
        chosen.append(min(near, key=lambda p: (max(p.at - high, low - p.last, 0), p.start)))
    return chosen


def _cancelled(way: Way, chosen: list[Place], sentence: Sentence) -> bool:
    """Does a class that the way excludes stand in it or close to it? A "no" behind it denies what comes next."""
    low, high = min(p.at for p in chosen) - _NEAR, max(p.last for p in chosen) + _NEAR
    found = sentence.within(low - _LONGEST, high, *(way.without - _DENIAL))
    found += sentence.within(low - _LONGEST, high - _NEAR, *(way.without & _DENIAL))
    return any(p.last >= low and p not in chosen for p in found)


# --- the table ----------------------------------------------------------------------------------------------


@functools.cache
def table() -> Table:
    """`causes.json` ready for use."""
    data = json.loads((DATA / "clinical" / "causes.json").read_text(encoding="utf-8"))
    words: dict[tuple[str, ...], set[str]] = {}
    for name, entries in data["words"].items():
        for entry in entries.split(","):
            for phrase in _spelled(entry.strip()):
                words.setdefault(tuple(_WORD.findall(phrase)), set()).add(name)
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
        words.setdefault(tuple(_WORD.findall(spelled)), set()).add(f"'{phrase}")
    return f"'{phrase}"
