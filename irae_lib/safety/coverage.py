"""Measure how much of a note was understood: its language, its clinical words, and tests seen but not graded.

The reader is silent on words it does not know; `coverage` reports where that silence means nothing. Lists and
thresholds are data: `common_english.json` and `coverage.json`.
"""

from __future__ import annotations

import bisect
import functools
import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..files import DATA, built_once
from ..schemas import Finding
from .alternatives import any_of
from .concept_table import vocabulary
from .lexicon import ANALYTES, VITALS, common_english, meanings
from .reviews import Coverage
from .rules.base import RULES
from .text import normalise, readable

NOT_ENGLISH = "the text is not English"
NOT_UNDERSTOOD = "most of its clinical words were not understood"
NOT_GRADED = "a test was seen and not graded"
NOTHING_CLINICAL = "it says nothing clinical about the patient"
_WORD = re.compile(r"[^\W\d_]{2,}(?:'[^\W\d_]+)?")
_BOX = re.compile(r"[\[(☐□◻☑☒]")
_BETWEEN = ":;=?_[]{}|☐□◻☑☒"  # separators between the fields of a form
_AFTER = re.compile(rf"[^\n({re.escape(_BETWEEN)}]*")
_PERSONAL = ("current", "negated", "historical")  # statuses in which a finding is a statement about the patient
_AGENTS = ("ici", "drug")  # treatments, not statements about how the patient is


class _Lists(NamedTuple):
    """The lists of the data files as sets, the thresholds, and compiled patterns."""

    common: frozenset[str]
    clinical: frozenset[str]
    english: frozenset[str]
    foreign: frozenset[str]
    thresholds: dict[str, float]
    well: re.Pattern[str]
    blank: re.Pattern[str]
    tests: dict[str, list[str]]


class _Words(NamedTuple):
    """The words of a note; `unknown` are outside common English, `understood` counts the clinical ones among them."""

    all: list[str]
    unknown: list[str]
    understood: int


def coverage(text: str, findings: Sequence[Finding]) -> Coverage:
    """Report the understood part of a note, with a reason for each gap (`gaps`)."""
    lists, norm = _lists(), normalise(readable(text))
    found = _WORD.findall(norm)
    unknown = [word for word in found if word not in lists.common]
    words = _Words(found, unknown, sum(word in lists.clinical for word in unknown))
    english = _is_english(lists, words)
    not_graded = tuple(dict.fromkeys(_not_graded(lists, words, text, norm, findings)))
    gaps = [] if english else [NOT_ENGLISH]
    limit = lists.thresholds
    if len(unknown) >= limit["understood_from"] and words.understood < limit["understood"] * len(unknown):
        gaps.append(NOT_UNDERSTOOD)
    if not_graded:
        gaps.append(NOT_GRADED)
    elif not _is_clinical(lists, norm, findings, words):
        gaps.append(NOTHING_CLINICAL)
    return Coverage(
        words=len(found),
        loaded=len(unknown),
        understood=words.understood,
        english=english,
        not_graded=not_graded,
        gaps=tuple(gaps),
    )


def _is_english(lists: _Lists, words: _Words) -> bool:
    """Judge the language by known words; if they do not decide, by function words of other languages."""
    limit, total = lists.thresholds, len(words.all)
    if sum(not word.isascii() for word in words.unknown) > limit["other_script"] * total:
        return False
    if total < limit["known_words_from"]:
        return True
    if total - len(words.unknown) + words.understood < limit["known_words"] * total:
        return False
    foreign = [word for word in words.unknown if word in lists.foreign]
    if len(foreign) < limit["foreign_words"] * total or len(set(foreign)) < 3:
        return True
    return len(foreign) < sum(word in lists.english for word in words.all)


def _is_clinical(lists: _Lists, norm: str, findings: Sequence[Finding], words: _Words) -> bool:
    """Whether the note states how the patient is: a finding outside empty form fields, or that all is well.

    A bare list of medicines is enough, unless it comes with empty form fields or many unknown words. Long prose with a
    stray clinical word ("a cold reception", "tired") is not.
    """
    blanks = list(_blanks(lists, norm))
    personal = [f for f in findings if f.status in _PERSONAL and not _within(f.start, blanks)]
    stated = sum(f.kind not in _AGENTS for f in personal)
    if not stated:
        stated = sum(not _within(match.start(), blanks) for match in lists.well.finditer(norm))
    if not stated:
        said = sum(word not in lists.clinical and word not in lists.english for word in words.all)
        return bool(personal) and not blanks and said < lists.thresholds["unread_from"]
    limit = lists.thresholds
    reach = limit["words_per_finding"] * stated + limit["words_per_clinical_word"] * words.understood
    return len(words.all) <= reach


def _within(place: int, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether a place is in one of the spans, which are sorted."""
    at = bisect.bisect_right(spans, (place, math.inf))
    return any(start <= place < end for start, end in spans[max(0, at - 2) : at])


def _blanks(lists: _Lists, norm: str) -> Iterator[tuple[int, int]]:
    """The empty fields of a form: an unticked box with its words, or a label with nothing after it."""
    for match in lists.blank.finditer(norm):
        if match.lastgroup == "row":
            yield match.span()
            continue
        reach = max(0, match.start() - 200)
        line = max(norm.rfind("\n", reach, match.start()) + 1, reach)
        if match.lastgroup == "box":
            first = _BOX.search(norm, line, match.end())
            lead = norm[line : first.start()].rstrip() if first else ""
            if not lead or lead[-1] in ":;.-*•|,":  # boxes come before their words
                yield match.start(), _AFTER.match(norm, match.end()).end()
                continue
        before = norm[line : match.start()].rstrip(" \t:=?")
        label = max(before.rfind(mark) for mark in _BETWEEN) + 1
        if before[label:].strip():
            yield line + label, match.end()


def _not_graded(lists: _Lists, words: _Words, text: str, norm: str, findings: Sequence[Finding]) -> Iterator[str]:
    """Tests that a rule grades whose value was seen but not read: no unit or limit, or an unknown format."""
    values = [f for f in findings if f.kind in ("lab", "vital")]
    for f in values:
        unread = f.low is None and f.times_uln is None and f.flag in ("", "no unit")
        if unread and f.value and f.status == "current" and f.name in _graded_tests():
            yield f.quote
    starts = [f.start for f in values]
    for name in sorted(lists.tests.keys() & set(words.all)):
        place = norm.find(name)
        while place >= 0:
            at = bisect.bisect_right(starts, place)
            here = values[max(0, at - 12) : at]  # a row of results may hold this many values
            match = _test_pattern(name).match(norm, place)
            if match and not any(place < f.end and match[1] in f.value for f in here):
                yield text[match.start() : match.end()]
            place = norm.find(name, place + len(name))


@functools.cache
def _graded_tests() -> frozenset[str]:
    """Laboratory tests that trigger a rule."""
    return frozenset(name for rule in RULES.values() for name in rule.triggers) & ANALYTES.keys() - VITALS


@built_once
def _lists() -> _Lists:
    data = json.loads((DATA / "clinical" / "coverage.json").read_text(encoding="utf-8"))
    clinical = {word for phrase in meanings() for word in _WORD.findall(phrase)}
    clinical.update(word for row in data["ordinary"].values() for word in row.split())
    clinical |= vocabulary()
    foreign = {word for row in data["foreign"].values() for word in row.split()}
    return _Lists(
        common=common_english(),
        clinical=frozenset(clinical),
        english=frozenset(data["english"].split()),
        foreign=frozenset(foreign) - common_english(),
        thresholds={name: float(value) for name, value in data["thresholds"].items()},
        well=re.compile(any_of(data["well"])),
        blank=_blank_pattern(data["blanks"]),
        tests=_tests(),
    )


def _blank_pattern(data: dict[str, Any]) -> re.Pattern[str]:
    """Pattern of an empty field: unticked box, placeholder, row of empty cells, or label at the end of a line."""
    fill, box = "|".join(data["fill"]), "|".join(data["box"])
    row = r"\|[^|\n]{1,60}(?:\|[ \t]*){2,}(?=\n|$)"
    return re.compile(rf"(?P<row>{row})|(?P<box>{box})|(?P<fill>{fill})|[:=?][ \t]*(?=\n|$|[;|])")


def _tests() -> dict[str, list[str]]:
    """The names of the graded tests, by first word."""
    graded, names = _graded_tests(), {}
    for phrase, found in meanings().items():
        word = _WORD.match(phrase)
        if word and any(meaning.kind == "lab" and not graded.isdisjoint(meaning.names) for meaning in found):
            names.setdefault(word[0], []).append(phrase)
    return names


@functools.cache
def _test_pattern(name: str) -> re.Pattern[str]:
    """A graded test whose name begins with this word, followed by a number that is not a dose, share or date."""
    other = r"%|mg\b|mcg|tab|(?:day|week|month|year|hour)s?\b|am\b|pm\b|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
    link = r"(?: ?(?:=|:|\bis\b|\bwas\b|\bof\b))?"
    value = rf"{link} ?[<>]?(\d+)[\d.,]*+(?! ?(?:{other}))"
    spelled = any_of(_lists().tests[name]).replace(r"\ ", "[ -]")
    return re.compile(rf"(?<![\w-])(?:{spelled}){value}")
