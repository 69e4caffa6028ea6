"""Mentions of causes in a note: results, names of other illnesses, and statements about an immune cause.

`sentences` cuts a scanned note into sentences whose words have classes, and finds the mentions listed in
`data/clinical/causes.json`. A mention is also a token, so the pass that gives findings their status also marks it as
current, denied, past, only possible or about another person.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from .cause_table import table
from .matching import Place, Word, classes_of, place_of, said, words_of
from .tokens import Token
from .ways import WORD

OPEN = "open"  # a cause that the table does not name
BONDS = ("EXPLAIN", "DUETO", "SO", "TREATEDAS")  # classes of words that tie a finding to its cause
_RESULTS = ("result", "ended", "test", "source")
_NONE: tuple[list[int], list[Any]] = ([], [])


class Mention(NamedTuple):
    """A phrase matched in a sentence: its cause (or "note"), its role, its position, and the token with its status."""

    cause: str
    role: str
    at: int
    last: int
    start: int
    token: Token

    @property
    def current(self) -> bool:
        """Whether it is stated as a current fact about this patient."""
        return self.token.status == "current"

    @property
    def stated(self) -> bool:
        """Whether it is stated as a fact about this patient, possibly a past one: "caused by gentamicin, recovered"."""
        return self.current or (self.token.status == "historical" and self.token.resolved)


class Sentence:
    """The places and mentions of one sentence, indexed by class."""

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
        self.closed = norm[end : end + 1] != ";"  # ends in a full stop rather than a semicolon
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
        """Whether a place of these classes begins within this many words before or after word `at`."""
        return bool(self.within(at - before, at + after, *names))

    def said(self, cause: str, *roles: str) -> list[Mention]:
        """The mentions of a cause in these roles."""
        return [m for m in self.mentions if m.cause == cause and m.role in roles]


def sentences(norm: str, tokens: Sequence[Token], causes: Collection[str]) -> list[Sentence]:
    """The sentences of a note with their mentions of these causes; the mention tokens have no status yet."""
    found = []
    for first, last, number in _spans(norm, tokens):
        words = words_of(norm, first, last)
        places, held = list(_places(words)), table().ways.held([word.text for word in words])
        sentence = Sentence(norm, first, last, places)
        sentence.mentions = list(_mentions(places, _ways(held, causes), number))
        found.append(sentence)
    return found


def asked_of(norm: str, tokens: Sequence[Token], causes: Collection[str]) -> set[str]:
    """The causes that a note may prove, plus OPEN where it attributes something; none in most notes.

    A quick test: at least one sentence must have the words of a result for one of them.
    """
    words = WORD.findall(norm)
    held, words_held = table().ways.held(words), set(words)
    asked = {*causes} if held.isdisjoint(BONDS) else {*causes, OPEN}
    begin = table().begin
    likely = [cause for cause in asked if cause == OPEN or not begin[cause].isdisjoint(words_held)]
    if not likely or not _ways(held, likely, _RESULTS):
        return set()
    ways = table().ways
    sentences_held = (ways.held(WORD.findall(norm, first, last)) for first, last, _ in _spans(norm, tokens))
    return asked if any(_ways(one, likely, _RESULTS) for one in sentences_held) else set()


def _ways(held: Collection[str], causes: Collection[str], roles: Collection[str] = ()) -> list[int]:
    """Indices of the ways for these causes that words of these classes can match."""
    ways = table().ways
    named = ((number, ways.opened[number][1]) for number in ways.candidates(held))
    return [number for number, way in named if way.name in causes and (not roles or way.role in roles)]


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


def _places(words: list[Word]) -> Iterator[Place]:
    """The classified words of a sentence; the longest phrase wins."""
    ways, taken = table().ways, -1
    for i in range(len(words)):
        if i > taken and (classes := classes_of(ways, words, i)):
            longest = max(classes)
            taken = i + longest
            yield place_of(words, i, longest, classes[longest])


def _mentions(places: list[Place], numbers: list[int], sentence: int) -> Iterator[Mention]:
    for way, groups in said(table().ways, numbers, places):
        for group in groups:
            end = max(group, key=lambda p: p.end)
            token = Token("finding", end.start, end.end, (f"{way.name} {way.role}",), "test")
            token.sentence = sentence
            low, high = min(p.at for p in group), max(p.last for p in group)
            yield Mention(way.name, way.role, low, high, min(p.start for p in group), token)
