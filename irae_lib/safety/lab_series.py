"""Read the numbers that follow a name: "640 (1 May) -> 210 -> 44 U/L (ULN 40), baseline 28".

`Series` walks the tokens after a laboratory name and classifies every number: a value, an earlier value, the baseline,
a limit of the reference range, a multiple of ULN or a date. Anything else ends the series.
"""

from __future__ import annotations

import re
from decimal import Decimal

from .lab_words import RECENT, flag_after, flag_before, flag_of, heading_date, previous_before
from .lexicon import Analyte
from .quantities import FOREIGN, TIME_UNITS, UNITS
from .quantities import unit as to_unit
from .tokens import Token

_REACH = 45  # characters between a name, or the last part of its series, and a number
_LONGEST = 24  # most values read from one series
_DEEPEST = 3  # open brackets within which other names are skipped
_BASELINE_AFTER = re.compile(r"\s*(?:before|pre-?treatment|at baseline|at the start|at start)")
_AGO = re.compile(r"\s*(?:ago|before|earlier)\b")
_LINK = re.compile(r",.*\b(?:then|now|today|and|to|peak|currently)\b|\b(?:then|now|today|and|to|peak|currently)\b.*,")
_BARE_LINK = re.compile(r"\s*(?:then|now|to|rising to|falling to)\s*")
_DATED = re.compile(
    r"\s*(?:(?:\w{1,12} )?(?:days?|weeks?|months?|years?)? ?(?:ago|today|now|before treatment)|"
    r"on \d|on d(?:ay)? ?\d|on (?:mon|tues|wednes|thurs|fri|satur|sun)day|in (?:19|20)\d\d|this (?:morning|week)|last (?:week|month)|"
    r"yesterday|(?:after|before|at|with) (?:the )?(?:\w{1,8} )?(?:dose|cycle|infusion|c\d)\b|"
    r"(?:on|in|by) (?:january|february|march|april|may|june|july|august|september|october|november|december)\b)"
)
_ONLY_BRACKETS = re.compile(r"\s*(?:\([^()\n]{0,60}\)\s*)?")
_DAY_LABEL = re.compile(  # "d0 6   d1 9   d3 14", "Mon 88, Tue 140"
    r"[\s,;]*\b(?:(?:d|day|wk|week|w|c|cycle) ?\d{1,3}|(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?)[\s:=]*"
)
_UNIT_HEADING = re.compile(  # "Creat umol/L: 78", "Plts (x10^9/L) 6"
    rf"\s?(?:[(\[] ?(?P<inside>{UNITS}) ?[)\]]\s?[:=-]?|,? ?(?P<unit>{UNITS})\s?[:=])"
)
_COUNTS_A_THING = re.compile(
    r"once\b|twice\b|[a-z]+ (?!and\b|on\b|to\b|today|now\b|in\b|at\b|from\b|with\b|but\b|after|before|this|yesterday|point\b)[a-z]"
)
_FIGURE = r"\d{1,5}(?:\.\d{1,3})?"
_LIST = re.compile(  # "88, 210, 344 today": one analyte, day after day
    rf"(?:\s?[:=-])?\s?{_FIGURE}(?:, ?{_FIGURE}){{1,12}}(?=,? (?:today|now|this morning|currently)\b)|"
    rf"(?:\s?[:=-])?\s?{_FIGURE}(?:, ?{_FIGURE}){{2,12}}(?=\s?[.;)\n]|$)"
)
_ORDINAL = re.compile(r"\b(?:week|day|cycle|dose|month|visit|hour) $")
_CLOCK = re.compile(r"\s?(?:am|a\.m\.|pm|p\.m\.|o'clock)\b")
_WEAK_BASELINE = ("was", "from", "before")  # a baseline only after a value: "2.8 (was 1.1)"


class Reading:
    """One number of a series; `when` is "", "recent", "previous" or "baseline"."""

    __slots__ = ("token", "low", "high", "unit", "sign", "when", "raw")

    def __init__(self, token: Token, when: str = "", *, low=None, high=None, unit: str | None = None, raw: str = ""):
        self.token, self.when, self.raw, self.sign = token, when, raw, token.sign
        self.low, self.high = token.low if low is None else low, token.high if high is None else high
        self.unit = token.unit if unit is None else unit


class Series:
    """The series of numbers after the name at `at`.

    Attributes:
        readings: the numbers in order. `limits`: the tokens that give uln, lln and baseline. `times_uln`: a stated
        multiple. `flag`: high, low or normal. `dates`: ordinal by number of the reading. `end`: last offset in use.
    """

    def __init__(self, norm: str, tokens: list[Token], at: int, analyte: Analyte):
        self.norm, self.tokens, self.at, self.analyte = norm, tokens, at, analyte
        self.readings: list[Reading] = []
        self.limits: dict[str, Token] = {}
        self.times_uln: Decimal | None = None
        self.flag = ""
        self.dates: dict[int, Decimal] = {}
        self.end = 0
        self.heading_date = heading_date(tokens, at)
        self._depth = 0
        self._label = previous_before(norm, tokens, at)
        self._limit = False  # the next number is a limit
        self._arrow = False  # the next number replaces the last
        self._far = False  # a comma separates the name from its first number
        self._pinned = False  # one value is marked as today's: later numbers are older
        heading = _UNIT_HEADING.match(norm, tokens[at].end)
        self._unit = to_unit(heading["unit"] or heading["inside"]) if heading else ""  # default unit of bare numbers
        self._unit = self._unit if self._unit in analyte.units else ""
        self._edge = heading.end() if self._unit else tokens[at].end
        listed = _LIST.match(norm, self._edge)
        self._listed = listed.end() if listed else 0
        self._walk()
        self.flag = self.flag or flag_before(norm, tokens, at) or ("" if self.readings else flag_after(tokens, at))

    def _walk(self) -> None:
        for j in range(self.at + 1, min(self.at + 20 * _LONGEST, len(self.tokens))):
            t = self.tokens[j]
            if t.end <= self._edge:
                continue  # the heading
            if t.start - self._edge > _REACH or len(self.readings) > _LONGEST or not self._take(t, j):
                return

    def _take(self, t: Token, j: int) -> bool:
        """Use one token; False ends the series."""
        kind = t.kind
        if t.first < t.start:
            return True  # a finding in several words ("ejection fraction has dropped") that includes the name
        if kind == "number" or kind == "pair":
            going_on = self._take_number(t, j)
            self._edge = t.end
            return going_on
        if kind == "(":
            self._depth += 1
        elif kind == ")":
            self._depth -= 1
            self._limit = False
            self.end = t.end
            return self._depth >= 0
        elif kind == "date":
            if t.low is not None:
                self.dates[len(self.readings)] = t.low
            self._edge = t.end
        elif kind == "arrow" or (kind == "=" and self.readings):
            self._arrow = bool(self.readings)
        elif kind == ",":
            if self._depth == 0:
                self._label = ""
                self._far = not self.readings  # "cortisol at 08:20, before treatment, 41 nmol/L": needs a unit
        elif kind in (":", "/", "|", "=", "glue", "?"):
            pass
        elif kind == "end":
            return self._depth > 0 or (self.norm[t.start] == ";" and self._number_follows(j))
        elif kind in ("ici", "drug") and self.readings and self.readings[-1].when == "baseline":
            self._edge = t.end  # "88 U/L before the first nivolumab and 182 today"
        elif t.cues:
            self._take_cue(t)
            return kind == "cue" or self._depth > 0
        else:
            return 0 < self._depth < _DEEPEST
        return True

    def _take_number(self, t: Token, j: int) -> bool:
        if _ORDINAL.search(self.norm, max(0, t.start - 8), t.start) or _CLOCK.match(self.norm, t.end):
            return True  # "in week 6", "at 8 am": a number of something else
        if self.norm[t.start].isalpha() and not t.unit and _COUNTS_A_THING.match(self.norm, t.start):
            return False  # "platelet count twice weekly", "eosinophils with three exclamation marks"
        if t.unit in FOREIGN and not (t.unit == "mg" and "mg" in self.analyte.units):
            return self._take_foreign(t)
        if t.kind == "pair":
            if self.analyte.name not in ("bp", "temp") or self.readings:
                return self.analyte.name == "bp"
            self.readings.append(Reading(t))
            return True
        self._follow(t)
        if self._is_limit(t, j):
            self._set_limit(t)
            self.end = t.end
            return True
        if t.unit == "xuln" and self.readings and not self._arrow:
            self.times_uln, self.end = t.high, t.end
            return True
        if t.unit == "xbaseline":
            return True
        if self._far and not t.unit and not self.readings:
            return False
        fits = self._fits(t) or t.unit == "xuln" or (t.unit == "g/l" and "g/l_cells" in self.analyte.units)
        inside = self._depth and self.readings and not self._arrow and self._label != "baseline"
        if not fits:
            if inside:
                return True
            if self.readings or self.analyte.units:
                return False
        elif inside:
            if not _BASELINE_AFTER.match(self.norm, t.end):
                return False
            self.limits["baseline"] = t
            return True
        when = self._label or ("baseline" if _BASELINE_AFTER.match(self.norm, t.end) else "")
        if self.readings and not self._arrow and not when and not self._goes_on(t):
            return False
        if self.analyte.name == "bp" and self.norm[self.tokens[self.at].start : self.tokens[self.at].end] == "pressure":
            return False  # of the eye, of the airways: a blood pressure has two numbers
        if t.high > t.low and self.norm.endswith("from ", 0, t.start):  # "rose from 2.2 to 61"
            then = "" if when == "baseline" else when  # "up from 2.2 to 61": only the first is a baseline
            self.readings += [Reading(t, when or "previous", high=t.low), Reading(t, then, low=t.high)]
            self._label = ""
            return True
        if self._pinned and not self._arrow and not when:
            when = "previous"
        if self._arrow and not when:
            self._supersede(self.readings)
        self.readings.append(Reading(t, when, unit=t.unit or self._unit))
        self._label, self._arrow = "", False
        return True

    def _follow(self, t: Token) -> None:
        """Mark the number as replacing the last one if it follows ">", the name of a day, or a plain list."""
        if (
            t.sign == ">"
            and self.readings
            and not self._depth
            and _ONLY_BRACKETS.fullmatch(self.norm, self.readings[-1].token.end, t.start)
        ):
            self._arrow = True  # "1960 > 1422 > 640"
            t.sign = ""
        elif self.readings and (
            t.end <= self._listed or _DAY_LABEL.fullmatch(self.norm, self.readings[-1].token.end, t.start)
        ):
            self._arrow = True

    def _take_foreign(self, t: Token) -> bool:
        """Use a time ("two weeks ago") to date a value; a dose before any value ends the series."""
        if t.unit in TIME_UNITS:
            if _AGO.match(self.norm, t.end):
                when = "recent" if t.unit in ("days", "weeks", "hours") else "previous"
                if self.readings and not self.readings[-1].when:
                    self.readings[-1].when = when
                else:
                    self._label = when
            return True
        return bool(self.readings or self._depth)

    def _take_cue(self, t: Token) -> None:
        cues, word = t.cues, self.norm[t.start : t.end]
        if "uln" in cues or (self._depth or (self.readings and word != "up to")) and "reference" in cues:
            self._limit = True
        if (
            "baseline" in cues
            and not ("previous" in cues and not self._depth)
            and (self.readings or word not in _WEAK_BASELINE)
        ):
            if not (self.readings and self.readings[-1].when == "baseline"):  # "88 before treatment": already labelled
                self._label = "baseline"
        elif "previous" in cues:
            if word != "ago":
                self._label = "recent" if word in RECENT else "previous"
            elif self.readings:
                self.readings[-1].when = self.readings[-1].when or "previous"
        if "now" in cues and self.readings:
            # "60 on Monday, now 480": the next number replaces it. "412 now, 95 in March": this number stays.
            gap = self.norm[self.readings[-1].token.end : t.start]
            self._label = ""
            if "," in gap or ";" in gap or not self._limit and self._number_follows(self.tokens.index(t, self.at)):
                self._arrow = True
            else:
                self._pinned = True
                self._supersede(self.readings[:-1])
        if (self.readings or self._depth) and not self.flag and t.start - self._edge < 14 and (flag := flag_of(cues)):
            self.flag, self.end = flag, t.end
        if self._depth or "now" in cues or self._label:
            self._edge = max(self._edge, t.end)

    @staticmethod
    def _supersede(readings: list[Reading]) -> None:
        for earlier in readings:
            earlier.when = earlier.when or "previous"

    def _is_limit(self, t: Token, j: int) -> bool:
        """Whether the number at `j` is a limit rather than a value."""
        if t.unit == "xuln":
            return False
        if self._limit and (self.readings or self._depth):
            return True
        if not self._depth:
            return False
        before = self.tokens[j - 1]
        bound = t.sign in ("<", ">") or t.high != t.low
        return bool(self.readings) and bound and (before.kind == "(" or "reference" in before.cues)

    def _number_follows(self, j: int) -> bool:
        """Whether the next token is a number that can be a value of this analyte."""
        t = self.tokens[j + 1] if j + 1 < len(self.tokens) else None
        return bool(self.readings) and t is not None and t.kind == "number" and self._fits(t)

    def _fits(self, t: Token) -> bool:
        """Whether the number has no unit or a unit of this analyte."""
        return not t.unit or t.unit in self.analyte.units

    def _set_limit(self, t: Token) -> None:
        if t.low != t.high:
            self.limits["lln"] = self.limits["uln"] = t
        else:
            self.limits["lln" if t.sign == ">" else "uln"] = t

    def _goes_on(self, t: Token) -> bool:
        """Whether the number continues the same series (", then 1.9", "60 on Monday, 480 today")."""
        last = self.readings[-1]
        gap = self.norm[last.token.end : t.start]
        if t.unit and t.unit == last.unit:
            return len(gap) < 40
        return bool(_LINK.search(gap) or _BARE_LINK.fullmatch(gap) or _DATED.match(self.norm, t.end, t.end + 26))
