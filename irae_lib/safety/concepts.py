"""Findings said in any words: a concept is word classes that stand together in a clause.

`concepts.json` names word classes ("STOOL": stool, motion, poo ...) and, for each concept, the ways to say it: "BLOOD
STOOL" is any word of both classes, in either order, a few words apart. `composed` finds them in a scanned note and
returns finding tokens for the same pass that gives every other token its status.
"""

from __future__ import annotations

import functools
import operator
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .concept_table import WORD, Table, Way, concept_table
from .cues import RULES
from .tokens import Token

_MARKS = frozenset(",()[]|")  # a mark counts as a word
_FILLERS = frozenset(  # words that do not count in a gap
    "a an the my his her their your our its this that is are was were be been being has have had got so very really too "
    "quite rather pretty just all way still also now again of bit even right i'm i've he's she's it's there's that's".split()
)
_NEGATORS = frozenset(
    "not no never isn't aren't wasn't weren't doesn't don't didn't hardly barely longer from than".split()
)
_AFTER_NORMAL = frozenset(
    "and or now today again since on at for with throughout too though then both in size signal enhancement function "
    "appearance appearances calibre limits range tone".split()
)
_ELSE = frozenset(("background", "rival"))  # findings that are another illness
_FOUND = frozenset(("finding", "lab", "vital"))
_VOID = frozenset(("symptom", "sign", "diagnosis"))  # findings that a phrase without meaning takes away
_NONE: frozenset[str] = frozenset()
_FAR = 120  # characters around a concept in which other findings of it are looked for
_BESIDE = 3  # words beside a concept in which an excluded word cancels it
_MOST = 60  # occurrences of one class in a sentence that are tried

_DENYING = frozenset(name for name, rule in RULES.items() if rule.status == "negated") | {"inability"}


class _Place(NamedTuple):
    """A word, phrase or earlier finding of a clause: its classes, its place among the words and in the text."""

    classes: frozenset[str]
    at: int
    last: int
    start: int
    end: int
    part: int = 0  # marks before it: two places of the same part have no mark between
    number: bool = False


class _Word(NamedTuple):
    """A word of a sentence: the words and the marks that stand before it, fillers not counted, and its offsets."""

    text: str
    at: int
    marks: int
    start: int
    end: int


_word = functools.partial(tuple.__new__, _Word)  # half the cost of the constructor, for every word of a note


def composed(norm: str, tokens: list[Token]) -> list[Token]:
    """The tokens with those of the composed concepts added, in order; what a larger concept absorbs is left out."""
    table = concept_table()
    added: list[Token] = []
    used: list[tuple[int, int]] = []
    absorbed: set[int] = set()
    for first, last, group in _sentences(tokens, len(norm)):
        for places in _clauses(table, norm, first, last, group, absorbed):
            for way, chosen in _said(table, places):
                token = _token(table, way, chosen)
                edges = (bisect_left(group, at, key=_start) for at in (token.first - _FAR, token.end + _FAR))
                near = group[slice(*edges)]
                if _known(token, near) or _known(token, added[-12:]) or _has_value(token, chosen, near):
                    continue
                token.sentence = group[0].sentence if group else 0
                added.append(token)
                used += [(place.start, place.end) for place in chosen]
                lost = table.absorbs[way.concept]
                absorbed.update(id(t) for t in near if t.kind == "finding" and lost & set(t.names) and _in(t, chosen))
    if not added and not absorbed:
        return tokens
    used.sort()
    kept = [t for t in tokens if id(t) not in absorbed]
    for token in kept:
        if token.kind == "cue" and _covered(token, used):  # the "no" of "no strength" denies nothing
            token.cues = tuple(cue for cue in token.cues if cue not in _DENYING)
    return sorted(added + kept, key=lambda t: t.start)  # before a laboratory name there, whose number follows it


def _start(token: Token) -> int:
    return token.start


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


@functools.lru_cache(maxsize=2_000)
def _found(names: tuple[str, ...]) -> frozenset[str]:
    """The classes of a finding that has been read before."""
    return frozenset(f"<{name}>" for name in names)


def _clauses(
    table: Table, norm: str, first: int, last: int, group: list[Token], void: set[int]
) -> Iterator[list[_Place]]:
    """The places of each clause of a sentence; a word like "but" begins a new one.

    Findings inside a phrase that means nothing here ("hay fever") are no places; `void` collects them.
    """
    findings: dict[int, list[Token]] = {}
    for t in group:
        if t.kind in _FOUND:
            findings.setdefault(t.start, []).append(t)
    words = _words(norm, first, last)
    places: list[_Place] = []
    taken, edge = -1, first  # the last word, and the end, of a phrase that means nothing here
    begun, ends = table.words, table.ends
    for i, (word, at, marks, start, end) in enumerate(words):
        if word not in begun and word.isalpha() and start not in findings and word not in ends:
            continue  # most words of a note
        classes = _classes(table, words, i) if i > taken else {}
        if classes and "NOTHING" in classes[longest := max(classes)]:
            taken, edge = i + longest, words[i + longest].end  # what else it is called still holds ("blood sugar")
            classes = {longest: classes[longest] - {"NOTHING"}}
        for t in findings.get(start, ()):
            if t.end <= edge and t.detail in _VOID:
                void.add(id(t))
                continue
            places.append(_Place(_found(t.names), at, at + norm.count(" ", t.start, t.end), t.start, t.end))
        if word in ends and i > taken:
            yield places
            places = []
        for length, names in classes.items():
            if length:
                last_word = words[i + length]
                places.append(_Place(names, at, last_word.at, start, last_word.end, marks, word[0].isdigit()))
            elif names:
                places.append(_Place(names, at, at, start, end, marks, word[0].isdigit()))
    yield places


def _classes(table: Table, words: list[_Word], i: int) -> dict[int, frozenset[str]]:
    """The classes of what begins at word `i`, by how many words follow it."""
    word = words[i].text
    begun = table.words.get(word) or table.words.get(word.removesuffix("'s"))
    classes = {}
    if begun is not None:
        if begun.alone:
            classes[0] = begun.alone
        if begun.further and i + 1 < len(words):
            for rest, names in begun.further.get(words[i + 1].text, ()):
                if _follows(words, i, rest):
                    classes[len(rest)] = names
    if word[0].isdigit() and (names := _number(word)):
        classes[0] = classes.get(0, _NONE) | names
    if classes and "NORMAL" in classes[longest := max(classes)] and not _says_normal(words, i, i + longest):
        classes[longest] = classes[longest] - {"NORMAL"}
    return classes


@functools.lru_cache(maxsize=2_000)
def _number(written: str) -> frozenset[str]:
    """The classes of a number."""
    number = float(written)
    return frozenset(
        name for name, spans in concept_table().numbers if any(low <= number <= high for low, high in spans)
    )


def _words(norm: str, first: int, last: int) -> list[_Word]:
    """The words of a sentence."""
    words, at, marks = [], 0, 0
    for match in WORD.finditer(norm, first, last):
        text = match.group()
        if text in _MARKS:
            marks += 1
        else:
            words.append(_word((text, at, marks, *match.span())))
        at += text not in _FILLERS
    return words


def _follows(words: list[_Word], i: int, rest: tuple[str, ...]) -> bool:
    """Do the words of a phrase, of which the first is known to, follow word `i` without a mark between?"""
    last = i + len(rest)
    if last >= len(words) or words[last].marks != words[i].marks:
        return False
    return len(rest) == 1 or [word.text for word in words[i + 1 : last + 1]] == list(rest)


def _says_normal(words: list[_Word], first: int, last: int) -> bool:
    """Is "fine", "normal" said of what stands before it: at the end of its part, and not denied?"""
    if any(word.text in _NEGATORS for word in words[max(0, first - 2) : first]):
        return False
    after = words[last + 1] if last + 1 < len(words) else None
    return after is None or after.marks > words[last].marks or after.text in _AFTER_NORMAL


def _said(table: Table, places: list[_Place]) -> Iterator[tuple[Way, list[_Place]]]:
    """The ways that the places of a clause say, each with the places it is made of."""
    mask, tried = _tried({place.classes for place in places})
    present: dict[str, list[_Place]] = {}
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


def _by_class(places: list[_Place]) -> dict[str, list[_Place]]:
    present: dict[str, list[_Place]] = {}
    for place in places:
        for name in place.classes:
            here = present.setdefault(name, [])
            if len(here) < _MOST:
                here.append(place)
    return present


def _matches(way: Way, present: dict[str, list[_Place]], places: list[_Place]) -> Iterator[tuple[Way, list[_Place]]]:
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


def _order(place: _Place) -> tuple[int, int, int]:
    return place.at, place.start, -place.end  # the longest first


def _cancelled(way: Way, best: list[_Place], places: list[_Place], low: int, high: int) -> bool:
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


def _token(table: Table, way: Way, chosen: Sequence[_Place]) -> Token:
    """The finding, placed at its last word, so that a denial before or between the parts reaches it.

    A number stays free for the value that it belongs to.
    """
    said = [place for place in chosen if not place.number] or chosen
    last = max(said, key=lambda p: p.end)
    token = Token("finding", last.start, last.end, (way.concept,), table.kinds[way.concept])
    token.first = min(p.start for p in chosen)
    return token


def _known(token: Token, others: Sequence[Token]) -> bool:
    """Is the concept said already at an overlapping place, or is it part of a longer name ("radiation pneumonitis")?"""
    return any(
        (token.names[0] in t.names and t.first < token.end and token.first < t.end)
        or (
            t.start <= token.first
            and token.end <= t.end
            and (t.detail in _ELSE or (t.start < token.first or token.end < t.end))
        )
        for t in others
        if t.kind == "finding"
    )


def _has_value(token: Token, chosen: Sequence[_Place], group: Sequence[Token]) -> bool:
    """Is it said of a test whose value follows ("platelets have dropped to 19")? Then the value speaks."""
    starts = {place.start for place in chosen}
    if not any(t.kind == "lab" and t.start in starts for t in group):
        return False
    return any(t.kind == "number" and 0 <= t.start - token.end <= 8 for t in group)


def _in(token: Token, chosen: Sequence[_Place]) -> bool:
    return any(place.start < token.end and token.start < place.end for place in chosen)


def _covered(token: Token, used: list[tuple[int, int]]) -> bool:
    at = bisect_right(used, (token.start, 1 << 60)) - 1
    return at >= 0 and used[at][0] <= token.start < used[at][1]
