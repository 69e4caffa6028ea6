"""Findings said in any words: a concept is word classes that stand together in a clause.

`concepts.json` names word classes ("STOOL": stool, motion, poo ...) and, for each concept, the ways to say it: "BLOOD
STOOL" is any word of both classes, in either order, a few words apart. `composed` finds them in a scanned note and
returns finding tokens for the same pass that gives every other token its status.
"""

from __future__ import annotations

import functools
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..files import DATA
from .inflection import forms, spellings
from .tokens import Token

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+(?:\.\d+)?|[,()\[\]|]")
_GAP = 3  # words that may stand between two neighbours of a way
_MARKS = frozenset(",()[]|")  # a mark counts as a word
_FILLERS = frozenset(  # words that do not count in a gap
    "a an the my his her their your our its this that is are was were be been being has have had got so very really too "
    "quite rather pretty just all way still also now again of bit even right i'm i've he's she's it's there's that's".split()
)
_NEGATORS = frozenset("not no never isn't aren't wasn't weren't doesn't don't didn't hardly barely longer from than".split())
_AFTER_NORMAL = frozenset(
    "and or now today again since on at for with throughout too though then both in size signal enhancement function "
    "appearance appearances calibre limits range tone".split()
)
_ELSE = frozenset(("background", "rival"))  # findings that are another illness
_MOST = 60  # occurrences of one class in a sentence that are tried


_Phrases = list[tuple[tuple[str, ...], str]]


class Way(NamedTuple):
    """One way to say a concept: `parts` are alternatives of class names, in order where `ordered`."""

    concept: str
    parts: tuple[frozenset[str], ...]
    ordered: bool
    gap: int
    without: frozenset[str]


class _Table(NamedTuple):
    words: dict[str, dict[str, _Phrases]]  # first word -> second word, or "" -> (further words, class), longest first
    ways: dict[str, list[Way]]  # by each class of the part that is rarest in clinical text
    kinds: dict[str, str]
    absorbs: dict[str, frozenset[str]]
    ends: frozenset[str]
    numbers: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]  # classes of numbers, by their ranges


class _Place(NamedTuple):
    """A word, phrase or earlier finding of a clause: its classes, its place among the words and in the text."""

    classes: frozenset[str]
    at: int
    last: int
    start: int
    end: int
    part: int = 0  # marks before it: two places with the same number have no mark between


class _Word(NamedTuple):
    """A word of a sentence: the words and the marks that stand before it, fillers not counted, and its offsets."""

    text: str
    at: int
    marks: int
    start: int
    end: int


def composed(norm: str, tokens: list[Token]) -> list[Token]:
    """The tokens with those of the composed concepts added, in order; what a larger concept absorbs is left out."""
    table = _table()
    added: list[Token] = []
    used: list[tuple[int, int]] = []
    absorbed: set[int] = set()
    for first, last, group in _sentences(tokens, len(norm)):
        for places in _clauses(table, norm, first, last, group):
            for way, chosen in _said(table, places):
                token = _token(table, norm, way, chosen)
                if _known(token, group) or _known(token, added[-12:]):
                    continue
                token.sentence = group[0].sentence if group else 0
                added.append(token)
                used += [(place.start, place.end) for place in chosen]
                lost = table.absorbs[way.concept]
                absorbed.update(id(t) for t in group if t.kind == "finding" and lost & set(t.names) and _in(t, chosen))
    if not added:
        return tokens
    used.sort()
    kept = [t for t in tokens if id(t) not in absorbed]
    for token in kept:
        if token.kind == "cue" and _covered(token, used):
            token.cues = ()
    return sorted(added + kept, key=lambda t: t.start)  # before a laboratory name there, whose number follows it


def vocabulary() -> frozenset[str]:
    """Every word that stands in a class."""
    return frozenset(
        word
        for first, phrases in _table().words.items()
        for rows in phrases.values()
        for rest, _ in rows
        for word in (first, *rest)
        if word.isalpha()
    )


# --- the note -----------------------------------------------------------------------------------------------


def _sentences(tokens: list[Token], length: int) -> Iterator[tuple[int, int, list[Token]]]:
    """Offsets and tokens of each sentence."""
    first, group = 0, []
    for token in tokens:
        group.append(token)
        if token.kind == "end":
            yield first, token.start, group
            first, group = token.end, []
    yield first, length, group


def _clauses(table: _Table, norm: str, first: int, last: int, group: list[Token]) -> Iterator[list[_Place]]:
    """The places of each clause of a sentence; a word like "but" begins a new one."""
    findings: dict[int, list[Token]] = {}
    for t in group:
        if t.kind in ("finding", "lab", "vital"):
            findings.setdefault(t.start, []).append(t)
    words = _words(norm, first, last)
    places: list[_Place] = []
    taken = -1  # the last word of a phrase that means nothing here
    for i, (word, at, marks, start, _) in enumerate(words):
        for t in findings.get(start, ()):
            names = frozenset(f"<{name}>" for name in t.names)
            places.append(_Place(names, at, at + norm.count(" ", t.start, t.end), t.start, t.end))
        if i <= taken:
            continue
        if word in table.ends:
            yield places
            places = []
        classes: dict[int, set[str]] = {}
        for rest, name in _phrases(table, words, i):
            classes.setdefault(len(rest), set()).add(name)
        if word[0].isdigit():
            classes[0] = classes.get(0, set()) | {name for name, spans in table.numbers if _within(float(word), spans)}
        longest = max(classes, default=0)
        if classes and "NOTHING" in classes[longest]:
            taken = i + longest  # what else the phrase is called still holds ("blood sugar")
            classes = {longest: classes[longest] - {"NOTHING"}}
        if classes and "NORMAL" in classes[longest] and not _says_normal(words, i, i + longest):
            classes[longest].discard("NORMAL")
        for length, names in classes.items():
            if names:
                end = words[i + length]
                places.append(_Place(frozenset(names), at, end.at, start, end.end, marks))
    yield places


def _words(norm: str, first: int, last: int) -> list[_Word]:
    """The words of a sentence."""
    words, at, marks = [], 0, 0
    for match in _WORD.finditer(norm, first, last):
        text = match.group()
        if text in _MARKS:
            marks += 1
        else:
            words.append(_Word(text, at, marks, *match.span()))
        at += text not in _FILLERS
    return words


def _phrases(table: _Table, words: list[_Word], i: int) -> Iterator[tuple[tuple[str, ...], str]]:
    """The words of classes that begin at word `i`: looked up by two words, since "no" alone opens a hundred phrases."""
    word = words[i].text
    begun = table.words.get(word) or table.words.get(word.removesuffix("'s"))
    if begun is None:
        return
    if i + 1 < len(words):
        yield from (row for row in begun.get(words[i + 1].text, ()) if _follows(words, i, row[0]))
    yield from begun.get("", ())


def _follows(words: list[_Word], i: int, rest: tuple[str, ...]) -> bool:
    """Do the words of a phrase follow word `i`, without a mark between?"""
    last = i + len(rest)
    return (
        last < len(words)
        and words[last].marks == words[i].marks
        and all(words[i + k + 1].text == word for k, word in enumerate(rest))
    )


def _within(number: float, spans: tuple[tuple[float, float], ...]) -> bool:
    return any(low <= number <= high for low, high in spans)


def _says_normal(words: list[_Word], first: int, last: int) -> bool:
    """Is "fine", "normal" said of what stands before it: at the end of its part, and not denied?"""
    if any(word.text in _NEGATORS for word in words[max(0, first - 2) : first]):
        return False
    after = words[last + 1] if last + 1 < len(words) else None
    return after is None or after.marks > words[last].marks or after.text in _AFTER_NORMAL


def _said(table: _Table, places: list[_Place]) -> Iterator[tuple[Way, list[_Place]]]:
    """The ways that the places of a clause say, each with the places it is made of."""
    present: dict[str, list[_Place]] = {}
    for place in places:
        for name in place.classes:
            here = present.setdefault(name, [])
            if len(here) < _MOST:
                here.append(place)
    for key in present:
        for way in table.ways.get(key, ()):
            if all(not part.isdisjoint(present) for part in way.parts):
                yield from _matches(way, present, places)


def _matches(way: Way, present: dict[str, list[_Place]], places: list[_Place]) -> Iterator[tuple[Way, list[_Place]]]:
    """The closest groups of places that say the way, none of which shares a word with the one before."""
    options = [sorted({p for name in part for p in present.get(name, ())}, key=lambda p: p.at) for part in way.parts]
    starts = [[p.at for p in row] for row in options]
    after = -1
    for place in options[0]:
        best = _grown(way, [place], options, starts)
        if best is None or min(p.at for p in best) <= after:
            continue
        low, high = min(p.at for p in best), max(p.last for p in best)
        if _cancelled(way, best, places, low, high):
            continue
        after = high
        yield way, best


def _cancelled(way: Way, best: list[_Place], places: list[_Place], low: int, high: int) -> bool:
    """Is a word near by that the way excludes, or one that says that all is well?"""
    for p in places:
        if p.at > high + 2:
            return False
        if p.at < low - 2 or p in best:
            continue
        if way.without & p.classes or ("NORMAL" in p.classes and low <= p.at and p.part == best[-1].part):
            return True
    return False


def _grown(way: Way, chosen: list[_Place], options: list[list[_Place]], starts: list[list[int]]) -> list[_Place] | None:
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


def _token(table: _Table, norm: str, way: Way, chosen: Sequence[_Place]) -> Token:
    """The finding, placed at its last part that is a word, so that a denial before or between the parts reaches it."""
    last = max(chosen, key=lambda p: (not norm[p.start].isdigit(), p.end))
    token = Token("finding", last.start, last.end, (way.concept,), table.kinds[way.concept])
    token.first = min(p.start for p in chosen)
    return token


def _known(token: Token, others: Sequence[Token]) -> bool:
    """Is the concept said already at an overlapping place, or is it part of a longer name ("radiation pneumonitis")?"""
    return any(
        (token.names[0] in t.names and t.first < token.end and token.first < t.end)
        or (t.start <= token.first and token.end <= t.end and (t.detail in _ELSE or (t.start < token.first or token.end < t.end)))
        for t in others
        if t.kind == "finding"
    )


def _in(token: Token, chosen: Sequence[_Place]) -> bool:
    return any(place.start < token.end and token.start < place.end for place in chosen)


def _covered(token: Token, used: list[tuple[int, int]]) -> bool:
    at = bisect_right(used, (token.start, 1 << 60)) - 1
    return at >= 0 and used[at][0] <= token.start < used[at][1]


# --- the table ----------------------------------------------------------------------------------------------


@functools.cache
def _table() -> _Table:
    data = json.loads((DATA / "clinical" / "concepts.json").read_text(encoding="utf-8"))
    words: dict[str, set[tuple[tuple[str, ...], str]]] = {}

    def enter(entry: str, name: str) -> None:
        for spelled in _entries(entry):
            first, *rest = _WORD.findall(spelled)
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
    return _Table(
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
