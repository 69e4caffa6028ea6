"""How much of a note was understood: its language, its clinical words, and what was seen and not graded.

A reader that knows words is silent on words it does not know. `coverage` says where that silence means nothing. Lists
and thresholds are data: `common_english.json` and `coverage.json`.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..files import DATA
from ..schemas import Coverage, Finding
from .lexicon import ANALYTES, VITALS, meanings
from .rules.base import RULES
from .tokens import normalise

NOT_ENGLISH = "the text is not English"
NOT_UNDERSTOOD = "most of its clinical words were not understood"
NOTHING_CLINICAL = "it says nothing clinical about the patient"
_WORD = re.compile(r"[^\W\d_]{2,}(?:'[^\W\d_]+)?")
_PERSONAL = ("current", "negated", "historical")  # statuses in which a finding is a statement about the patient
_AGENTS = ("ici", "drug")  # what is given, not how the patient is


class _Lists(NamedTuple):
    """The lists of the data files as sets, the thresholds, and the patterns of an empty form."""

    common: frozenset[str]
    clinical: frozenset[str]
    english: frozenset[str]
    foreign: frozenset[str]
    thresholds: dict[str, float]
    well: re.Pattern[str]
    blank: re.Pattern[str]
    tests: re.Pattern[str]


def coverage(text: str, findings: Sequence[Finding]) -> Coverage:
    """What of a note was understood, and each reason (`gaps`) why it was not."""
    lists, norm = _lists(), normalise(text)
    words = _WORD.findall(norm)
    unknown = [word for word in words if word not in lists.common]
    understood = sum(word in lists.clinical for word in unknown)
    english = _is_english(lists, words, len(words) - len(unknown) + understood)
    not_graded = tuple(dict.fromkeys(_not_graded(lists, text, norm, findings)))
    gaps = [] if english else [NOT_ENGLISH]
    limit = lists.thresholds
    if len(unknown) >= limit["understood_from"] and understood < limit["understood"] * len(unknown):
        gaps.append(NOT_UNDERSTOOD)
    if not_graded:
        gaps.append(f"not graded: {'; '.join(not_graded)}")
    if not not_graded and not _is_clinical(lists, norm, findings, len(words)):
        gaps.append(NOTHING_CLINICAL)
    return Coverage(
        words=len(words),
        loaded=len(unknown),
        understood=understood,
        english=english,
        not_graded=not_graded,
        gaps=tuple(gaps),
    )


def _is_english(lists: _Lists, words: list[str], known: int) -> bool:
    """English by its known words, and by function words of other languages where the known ones do not decide."""
    limit, total = lists.thresholds, len(words)
    if not total:
        return True
    if sum(not word.isascii() for word in words) > limit["other_script"] * total:
        return False
    if total < limit["known_words_from"]:
        return True
    if known < limit["known_words"] * total:
        return False
    foreign = [word for word in words if word in lists.foreign]
    english = sum(word in lists.english for word in words)
    return len(foreign) < limit["foreign_words"] * total or len(set(foreign)) < 3 or len(foreign) < english


def _is_clinical(lists: _Lists, norm: str, findings: Sequence[Finding], words: int) -> bool:
    """Does the note state how the patient is: a finding outside the empty fields of a form, or that all is well?

    Long prose with a stray clinical word ("a cold reception", "tired") says nothing clinical either.
    """
    blanks = [match.span() for match in lists.blank.finditer(norm)]
    stated = 0
    for f in findings:
        if f.kind in _AGENTS or f.status not in _PERSONAL:
            continue
        if not any(start <= f.start and f.end <= end for start, end in blanks):
            stated += 1
    if any(not _within(match.start(), blanks) for match in lists.well.finditer(norm)):
        stated += 1
    return stated > 0 and words <= lists.thresholds["words_per_statement"] * stated


def _within(place: int, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start <= place < end for start, end in spans)


def _not_graded(lists: _Lists, text: str, norm: str, findings: Sequence[Finding]) -> Iterator[str]:
    """Tests that a rule grades and whose value was seen but not read: no unit or limit, or a form not known."""
    read = set()
    for f in findings:
        if f.kind not in ("lab", "vital"):
            continue
        read.update(range(f.start, f.end))
        known = f.low is not None or f.times_uln is not None or f.flag not in ("", "no unit")
        if f.name in _graded_tests() and f.status == "current" and f.value and not known:
            yield f.quote
    for match in lists.tests.finditer(norm):
        if match.start() not in read:
            yield text[match.start() : match.end()]


@functools.cache
def _graded_tests() -> frozenset[str]:
    """Laboratory tests that trigger a rule."""
    return frozenset(name for rule in RULES.values() for name in rule.triggers) & ANALYTES.keys() - VITALS


@functools.cache
def _lists() -> _Lists:
    data = json.loads((DATA / "clinical" / "coverage.json").read_text(encoding="utf-8"))
    shipped = json.loads((DATA / "clinical" / "common_english.json").read_text(encoding="utf-8"))
    common = frozenset(word for row in shipped["words"] for word in row.split())
    clinical = {word for phrase in meanings() for word in _WORD.findall(phrase)}
    clinical.update(word for row in data["ordinary"].values() for word in row.split())
    foreign = {word for row in data["foreign"].values() for word in row.split()}
    return _Lists(
        common=common,
        clinical=frozenset(clinical),
        english=frozenset(data["english"].split()),
        foreign=frozenset(foreign) - common,
        thresholds={name: float(value) for name, value in data["thresholds"].items()},
        well=re.compile("|".join(map(re.escape, data["well"]))),
        blank=_blank_pattern(data["blanks"]),
        tests=_test_pattern(),
    )


def _blank_pattern(data: dict[str, Any]) -> re.Pattern[str]:
    """A field of a form that nobody filled in: an unticked box and its words, or a label with nothing behind it."""
    fill, box = "|".join(data["fill"]), "|".join(data["box"])
    label = r"[^\n:;=?_\[\]{}|☐□◻]{1,80}"
    return re.compile(
        rf"(?:{box})[ \t]*{label}"
        rf"|{label}(?:[:=?][ \t]*)?(?:{fill})"
        rf"|{label}[ \t]?(?:{box})"
        rf"|{label}[:=?][ \t]*(?=\n|$|[;|])"
    )


def _test_pattern() -> re.Pattern[str]:
    """The name of a graded test with a number right behind it that is not a dose."""
    graded = _graded_tests()
    names = [
        phrase
        for phrase, found in meanings().items()
        if any(meaning.kind == "lab" and not graded.isdisjoint(meaning.names) for meaning in found)
    ]
    spelled = "|".join(re.escape(name).replace(r"\ ", "[ -]") for name in sorted(names, key=len, reverse=True))
    dose = r"(?! ?(?:mg\b|mcg|tab|days?\b|weeks?\b|months?\b|years?\b|hours?\b|/\d))"
    return re.compile(rf"(?<![\w-])(?:{spelled})(?: ?(?:=|:|\bis\b|\bwas\b|\bof\b|\bat\b))? ?[<>]?\d[\d.,]*+{dose}")
