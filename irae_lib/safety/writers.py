"""Statements that are not about the patient: a writing relative's own symptoms, and entries of another chart.

"This is his wife. It is me I am writing about: I have been running to the toilet ten times a day." The writer is not
the patient, so her own symptoms are not his. `writer_spans` returns these spans, `retracted` returns the entries that
the note itself withdraws. The words are data (`subjects.json`); this code knows no diseases.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .people import subject_data
from .phrasing import SENTENCE, sentence_around, whole

_FIRST = re.compile(
    r"\bi(?:'ve|'m|'d| have| am| had| was| got| get| keep| can't| cannot| can| feel| felt| went| go| started| woke| "
    r"need| also| just| now| do| did| only)\b|\bme\b|\bmyself\b|\bmy own\b"
)
_OTHER = re.compile(r"\b(?:he|she|his|her|him|they|the patient|pt|patient)\b")
_NAME_ACTS = re.compile(
    r"(?<![\w'])(?!I\b|My\b|The\b|It\b|We\b|You\b|This\b|That\b)[A-Z][a-z]+ (?:has|had|is|was|says|feels|himself|herself)\b"
)
_PERSON_STARTS = re.compile(
    r"[\s\"'(-]*(?:(?:anyway|but|and|so|as for|now|meanwhile|otherwise)[, ]+)*(?:he|she|his|her|they|the (?:patient|pt)|pt|patient|"
    r"my (?:husband|wife|mum|mom|dad|mother|father|partner|son|daughter|brother|sister))\b"
)
_NOT = re.compile(r"\bnot\b")
_LONGEST = 600  # characters of a sentence to each side of the retraction
_SHORT = 40  # characters after "I have" in which a word shows that the writer only reports


class _Words(NamedTuple):
    writes: re.Pattern[str]
    speaks: re.Pattern[str]
    about_me: re.Pattern[str]
    reports: re.Pattern[str]
    called: re.Pattern[str]
    not_ours: re.Pattern[str]
    ours: re.Pattern[str]
    retracted: re.Pattern[str]


def writer_spans(text: str, norm: str) -> list[tuple[int, int]]:
    """The spans in which a writer or caller other than the patient describes herself."""
    words = _words()
    about_me = words.about_me.search(norm)
    contrast = about_me and any(
        _NOT.search(norm, max(0, m.start() - 6), m.end() + 14) for m in words.about_me.finditer(norm)
    )
    if words.writes.search(norm) or contrast or (about_me and words.speaks.search(norm)):
        return list(_own(text, norm, about_me.start() if about_me else len(norm)))
    called = words.called.search(norm)
    if called is not None and words.not_ours.search(norm):
        ours = words.ours.search(norm, called.end())
        return [(called.end(), _line_start(norm, ours.start()) if ours else len(norm))]
    return []


def relative_writes(norm: str) -> bool:
    """Whether a relative of the patient introduces herself as the writer."""
    return _words().writes.search(norm) is not None


def retracted(norm: str) -> list[tuple[int, int]]:
    """The sentences that, according to the note, belong to another chart."""
    found: list[tuple[int, int]] = []
    for match in _words().retracted.finditer(norm):
        if found and match.start() < found[-1][1]:
            continue
        found.append(sentence_around(norm, match.start(), match.end(), _LONGEST, (". ", "\n")))
    return found


def _line_start(norm: str, at: int) -> int:
    return max(norm.rfind(". ", 0, at) + 2, norm.rfind("\n", 0, at) + 1)


def _own(text: str, norm: str, declared: int) -> Iterator[tuple[int, int]]:
    """Clauses in the first person; after `declared` also sentences without their own subject."""
    goes_on = False
    for match in SENTENCE.finditer(norm):
        start, end = match.span()
        if norm[start] == "\n":
            continue
        first = _first(norm, start, end)
        if first is not None:
            stop = _other(text, norm, first.end(), end)
            yield first.start(), stop
            goes_on = start >= declared - (end - start) and stop == end
        elif goes_on and not _PERSON_STARTS.match(norm, start):
            stop = _other(text, norm, start, end)
            yield start, stop
            goes_on = stop == end
        else:
            goes_on = False


def _first(norm: str, start: int, end: int) -> re.Match[str] | None:
    """The first place where the writer describes herself: "I have been sick", not "I have noticed", "I am worried"."""
    for match in _FIRST.finditer(norm, start, end):
        if not _words().reports.search(norm, match.end(), min(end, match.end() + _SHORT)):
            return match
    return None


def _other(text: str, norm: str, start: int, end: int) -> int:
    """The offset where another person becomes the subject, or the end of the sentence."""
    ends = (_OTHER.search(norm, start, end), _NAME_ACTS.search(text, start, end))
    return min((match.start() for match in ends if match), default=end)


@functools.cache
def _words() -> _Words:
    data = subject_data()
    return _Words(
        writes=_any(data["relative_writes"]),
        speaks=_any(data["relative_speaks"]),
        about_me=_any(data["not_the_patient"]),
        reports=_any([data["reports"]]),
        called=_any(data["called_for_self"]),
        not_ours=_any(data["not_ours"]),
        ours=_any([row for row in data["not_ours"] if row.startswith(("is ", "(?:patient", "(?:husband"))]),
        retracted=_any(data["retracted"]),
    )


def _any(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<!'){whole(patterns)}")
