"""What a note says about causes: results, names of other illnesses, and what is said of the immune one.

`sentences` cuts a scanned note into sentences whose words have classes, and finds the mentions that
`data/clinical/causes.json` lists. A mention is a token too, so that the same pass that gives findings their status
tells whether it is current, denied, somebody else's, past or only possible.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from .cause_table import WORD, Way, table
from .tokens import Token

_MARKS = frozenset(",()[]")
_NUMBER = frozenset("#")
_DENIAL = frozenset(("NOT",))
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


def sentences(norm: str, tokens: Sequence[Token], causes: Collection[str]) -> list[Sentence]:
    """The sentences of a note with what they say of these causes; the tokens of mentions have no status yet."""
    ways = {name: wanted for name, rows in table().ways.items() if (wanted := [w for w in rows if w.cause in causes])}
    found = []
    for first, last, number in _spans(norm, tokens):
        sentence = Sentence(norm, first, last, list(_places(norm, first, last)))
        sentence.mentions = list(_mentions(sentence, ways, number))
        found.append(sentence)
    return found


def has_result(norm: str, tokens: Sequence[Token], causes: Collection[str]) -> bool:
    """Has some sentence the words of a result of one of these causes? A quick test, which half of the notes fail."""
    words = set(WORD.findall(norm))
    ways = {way for cause in causes for way in table().openers[cause] if _opens(way, words)}
    said = (set(WORD.findall(norm, first, last)) for first, last, _ in _spans(norm, tokens)) if ways else ()
    return any(_opens(way, words) for words in said for way in ways)


def may_say(cause: str, words: Collection[str]) -> bool:
    """Are there words that begin each part of some result of this cause?"""
    return any(_opens(way, words) for way in table().openers[cause])


def _opens(way: tuple[frozenset[str], ...], words: Collection[str]) -> bool:
    for part in way:
        if part.isdisjoint(words):
            return False
    return True


def _spans(norm: str, tokens: Sequence[Token]) -> Iterator[tuple[int, int, int]]:
    """Offsets and number of each sentence."""
    first = 0
    for i, token in enumerate((*tokens, None)):
        if token is not None and token.kind != "end":
            continue
        last = token.start if token is not None else len(norm)
        if last > first:
            yield first, last, tokens[i - 1].sentence if i else 0
        first = token.end if token is not None else last


def _places(norm: str, first: int, last: int) -> Iterator[Place]:
    """The words of a sentence that mean something here; the longest phrase wins."""
    words: list[str] = []
    spots: list[tuple[int, int, int]] = []
    for at, match in enumerate(WORD.finditer(norm, first, last)):
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
