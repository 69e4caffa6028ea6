"""The course of an episode: separate its last state from its earlier days.

`staged` gives findings of an earlier day the status "historical" and `when` "previous" where the note has a later
state. `Chart(findings)` then holds the last state, which decides urgency; `Chart(findings, episode=True)` holds the
whole present episode, whose worst day decides the grade (contract *Time*). If the order is unclear, findings stay as
they are.
"""

from __future__ import annotations

import bisect
import functools
import json
import re
from typing import Any

from ..files import DATA
from ..schemas import Finding
from .lexicon import DIAGNOSES
from .phrasing import lies_in, sentence_around, whole
from .tokens import changed

EARLIER = ("previous", "recent")  # `when` of a finding of an earlier day of the present episode
_MEASURED = frozenset(("lab", "vital", "count"))
_STATES = _MEASURED | {"symptom", "sign", "care", "imaging", "test", "diagnosis"}
_EARLIER = ("then", "past")
_ENDS = _STATES | {"grade"}
_SENTENCE = re.compile(r"[.;!?](?=\s)|\n")
_DATES = re.compile(r"(?: [a-z]+){0,2} (?:seen|noted|found|present|described|reported|shown|visible|of|from) ")
_YEAR = re.compile(r"(?<![\d/.-])(?:19|20)\d\d(?![\d/.-]\d)")
_LONG = 220  # characters searched to each side of a sentence
_NEAR = 40  # characters between a finding and a time after it


def staged(norm: str, findings: list[Finding]) -> list[Finding]:
    """Return the findings; those that a later state replaces are marked as previous.

    A later statement about the same sign replaces a finding of an earlier day. So does discharge home, unless the
    finding is reported at discharge. An event such as a seizure is never replaced. Findings dated back and reported as
    over do not belong to the present episode.
    """
    leaving = [match.span() for match in _pattern("goes home").finditer(norm)]
    clock, recovered = _Clock(norm, leaving[:20]), _goes_home_better(norm, leaving)
    home = recovered or (_pattern("home").search(norm) is not None and _pattern("back").search(norm) is None)
    tests = [f.name for f in findings if f.kind == "lab"]
    repeated = len(tests) > len(set(tests)) and _pattern("spurious").search(norm) is not None
    times = [clock.time(f) for f in findings]
    ended = {organ(f.name) for f in findings if f.kind == "diagnosis" and f.when == "resolved"} - {""}
    ended -= {
        organ(f.name)
        for f, time in zip(findings, times, strict=True)
        if f.kind == "diagnosis" and f.status == "current" and time not in _EARLIER
    }
    if ended and clock.is_back:
        ended = set()
    newest: dict[str, int] = {}  # name -> the last offset that gives its present state
    last: dict[str, int] = {}
    for f, time in zip(findings, times, strict=True):
        if f.status in ("current", "negated"):
            last[_key(f)] = f.start
            if time not in _EARLIER and not clock.is_partial(f):
                newest[_key(f)] = len(norm) if time == "now" else max(newest.get(_key(f), -1), f.start)
    moved = []
    for f, time in zip(findings, times, strict=True):
        over = (time in _EARLIER and organ(_key(f)) in ended) or (time != "now" and clock.closes(f))
        wrong = repeated and f.kind == "lab" and f.start < last.get(_key(f), -1)
        over = over or (time == "past" and f.kind in _ENDS and clock.ends(f))
        if (f.status == "current" and (wrong or over)) or (over and f.when in EARLIER and f.status == "historical"):
            moved.append(changed(f, status="historical", when="resolved"))
            continue
        passes = f.status == "current" and f.kind in _STATES and f.name not in _data()["events"]
        replaced = time in _EARLIER and f.start < newest.get(_key(f), -1)
        lasts = f.kind in _MEASURED and f.start == last.get(_key(f)) and time not in _EARLIER
        left = home and time != "now" and (recovered or not lasts)
        moved.append(changed(f, status="historical", when="previous") if passes and (replaced or left) else f)
    return moved


def organ(name: str) -> str:
    """The organ system of a finding, or "" if the data do not list it."""
    row = DIAGNOSES["rows"].get(name)
    return row["system"] if row else DIAGNOSES["graded"].get(name) or _data()["organs"].get(name, "")


def _key(f: Finding) -> str:
    """Counts of stools and their difference from the baseline share one key."""
    return "stools" if f.name == "stools_over_baseline" else f.name


def says_onset(norm: str, start: int, end: int) -> bool:
    """Whether the clause of a symptom gives its onset, duration or worsening: "since Monday", "for two weeks"."""
    first = max(norm.rfind(mark, max(0, start - 90), start) for mark in ".;\n") + 1
    return _pattern("onset").search(norm, max(first, start - 90), min(len(norm), _clause_end(norm, end))) is not None


def names_a_year(norm: str) -> bool:
    """Whether the note names any year. Most do not."""
    return _YEAR.search(norm) is not None


def is_dated_and_over(norm: str, start: int, end: int) -> bool:
    """Whether the sentence gives a year and reports a past episode that ended ("2018: uveitis, full sight regained").

    The next sentence may report the end, with its own year. Sentences that also mention the present, or a return, do
    not count.
    """
    first, last = sentence_around(norm, start, end, _LONG, (". ", "\n"))
    if _YEAR.search(norm, first, last) is None:
        return False
    if _pattern("ended").search(norm, first, last) is None:
        begin, last = last, norm.find(".", last + 2, last + _LONG)
        if _YEAR.search(norm, begin, last) is None or _pattern("ended").search(norm, begin, last) is None:
            return False
    return not any(_pattern(name).search(norm, first, last) for name in ("now", "back", "reopened"))


def _clause_end(norm: str, end: int) -> int:
    match = _SENTENCE.search(norm, end, end + 90)
    return match.start() if match else end + 90


class _Clock:
    """The time expressions of a note, and the one that governs each finding: "now", "then", "past" or ""."""

    def __init__(self, norm: str, leaving: list[tuple[int, int]]):
        self._norm = norm  # `leaving`: "home today" does not date a value
        self._marks = _without_dates_of_today(
            sorted(
                (match.start(), match.end(), name)
                for name in ("now", "then", "past")
                for match in _pattern(name).finditer(norm)
                if name != "now" or not lies_in(match.start(), leaving)
            )
        )
        self._starts = [start for start, _, _ in self._marks]
        self._breaks = [match.end() for match in _SENTENCE.finditer(norm)]
        self._gaps = [match.end() for match in re.finditer(r"\n[ \t]*\n", norm)]
        self._past = [start for start, _, name in self._marks if name == "past"]

    @functools.cached_property
    def is_back(self) -> bool:
        """Whether the note says that the illness came back."""
        return _pattern("back").search(self._norm) is not None

    @functools.cached_property
    def _closed(self) -> list[int]:
        return [match.start() for match in _pattern("closed").finditer(self._norm)]

    @functools.cached_property
    def _stays_away(self) -> int:
        """The last place where the note reports no recurrence after treatment, or -1."""
        return max((match.start() for match in _pattern("stays away").finditer(self._norm)), default=-1)

    @functools.cached_property
    def _untreated(self) -> list[int]:
        return [match.start() for match in _pattern("untreated").finditer(self._norm)]

    @functools.cached_property
    def _over(self) -> list[int]:
        return [match.start() for match in _pattern("over").finditer(self._norm)]

    def time(self, f: Finding) -> str:
        """The time of a finding: from its own clause, from words right after it, or carried over from before."""
        first, last = self._sentence(f.start)
        if f.when == "now":  # "on arrival" is now, unless something later is reported
            at = bisect.bisect_right(self._starts, f.start) - 1
            return "then" if at >= 0 and self._marks[at][0] >= first and self._marks[at][2] == "then" else "now"
        just_behind = bisect.bisect_left(self._starts, f.end)
        if just_behind < len(self._marks) and self._marks[just_behind][0] - f.end <= 2:
            return self._marks[just_behind][2]  # "nausea today"
        at = bisect.bisect_right(self._starts, f.start) - 1
        behind = self._marks[at + 1] if at + 1 < len(self._marks) else None
        if behind is not None and behind[2] == "past" and _DATES.fullmatch(self._norm, f.end, behind[0]):
            return "past"  # "CT last week: the change seen in January 2024 has gone"
        if at >= 0 and self._marks[at][0] >= first:
            return self._marks[at][2]
        if behind is not None and behind[0] < min(last, f.end + _NEAR):
            return behind[2]
        if at < 0:
            return ""
        start, _, name = self._marks[at]
        gap = bisect.bisect_right(self._gaps, f.start) - 1
        paragraph = self._gaps[gap] if gap >= 0 else 0
        line = self._norm.rfind("\n", 0, f.start) + 1  # a month or year dates its own line only
        return name if start >= (line if name == "past" else paragraph) else ""

    def is_partial(self, f: Finding) -> bool:
        """Whether it counts a day that is not over: "already six today"."""
        if f.kind != "count":
            return False
        first, last = self._sentence(f.start)
        return _pattern("partial").search(self._norm, max(first, f.start - 40), min(last, f.end + 25)) is not None

    def ends(self, f: Finding) -> bool:
        """Whether the finding's clause, or one of the next three, says that it is over, with no return in the note."""
        k = bisect.bisect_right(self._breaks, f.start)
        first = self._breaks[k - 1] if k else 0
        last = self._breaks[k] if k < len(self._breaks) else len(self._norm)
        dated = any(first <= start < last for start, _, name in self._near(first) if name == "past")
        if not dated:
            return False
        last = self._breaks[min(k + 3, len(self._breaks) - 1)] if k < len(self._breaks) else len(self._norm)
        at = bisect.bisect_left(self._over, first)
        return at < len(self._over) and self._over[at] < last and not self.is_back

    def _near(self, first: int) -> list[tuple[int, int, str]]:
        at = bisect.bisect_left(self._starts, first)
        return self._marks[at : at + 6]

    def closes(self, f: Finding) -> bool:
        """Whether the paragraph of a finding dated months back goes on to say that the episode is over.

        No date is needed if it reports both the end of treatment and no recurrence.
        """
        if f.kind not in _ENDS:
            return False
        k = bisect.bisect_right(self._gaps, f.start)
        first = self._gaps[k - 1] if k else 0
        last = self._gaps[k] if k < len(self._gaps) else len(self._norm)
        dated = bisect.bisect_left(self._past, f.start) - 1
        if dated >= 0 and self._past[dated] >= first:
            return _lies_between(self._closed, f.end, last) and not self.is_back
        return _lies_between(self._untreated, f.end, last) and self._stays_away > f.end and not self.is_back

    def _sentence(self, at: int) -> tuple[int, int]:
        k = bisect.bisect_right(self._breaks, at)
        return self._breaks[k - 1] if k else 0, self._breaks[k] if k < len(self._breaks) else len(self._norm)


def _without_dates_of_today(marks: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """The marks without the visit's own date: "Today (Oct 2025)" is not in the past."""
    return [
        mark
        for before, mark in zip([(0, -9, ""), *marks], marks, strict=False)
        if not (mark[2] == "past" and before[2] == "now" and 0 <= mark[0] - before[1] <= 3)
    ]


def _lies_between(places: list[int], first: int, last: int) -> bool:
    at = bisect.bisect_left(places, first)
    return at < len(places) and places[at] < last


def _goes_home_better(norm: str, leaving: list[tuple[int, int]]) -> bool:
    """Whether the sentence about going home says "better". If so, undated values belong to the hospital stay."""
    around = (sentence_around(norm, start, end, _LONG, (". ", "\n")) for start, end in leaving)
    return any(_pattern("better").search(norm, first, last) for first, last in around)


@functools.cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(whole(_data()[name]))


@functools.cache
def _data() -> dict[str, Any]:
    return json.loads((DATA / "clinical" / "course.json").read_text(encoding="utf-8"))
