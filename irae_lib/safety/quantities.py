"""Patterns and meanings of the numbers, units and dates of a note.

Decimal commas, thousands, "four to six", 10^9/L in its many spellings. All text is lower case, as in `scan`.
"""

from __future__ import annotations

import functools
import re
from decimal import Decimal

_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
WORD_VALUE = {word: Decimal(i) for i, word in enumerate(_WORDS.split())} | {"once": Decimal(1), "twice": Decimal(2)}
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
NUMBER = r"(?:[1-9]\d{0,2}(?:,\d{3})+(?![\d,])(?:\.\d+)?|\d+(?:[.,]\d+)?|\.\d+)"
WORD_NUMBER = r"(?:" + "|".join(sorted(WORD_VALUE, key=len, reverse=True)) + r")(?![a-z])"
# Longest first: multiples and times, then concentrations, then short units.
UNITS = (
    r"the (?:uln|upper limit(?: of normal)?|upper normal limit)|"
    r"(?:x|times)[ -]?(?:the )?(?:uln|upper limit(?: of normal)?|upper normal limit|normal)|x[ -]?baseline|"
    r"times baseline|(?:per|a|each|every|/) ?(?:day|24 ?h(?:ours)?)|daily|"
    r"(?:x ?)?10 ?[\^e*x]? ?(?:9 ?(?:cells)? ?/ ?l|3 ?/ ?(?:ul|mcl|mm3)|6 ?/ ?l|12 ?/ ?l)|"
    r"giga/l|lakhs?(?:/(?:ul|mcl|mm3|cumm))?|lacs?|k ?/ ?(?:ul|mcl|mm3)|thousand(?:/(?:ul|mcl|mm3))?|cells/(?:ul|mcl|mm3)|/ ?(?:mm3|mm\^3|ul|mcl|cmm)|"
    r"(?:iu|units?|u|mu|miu|uiu|uu|mciu|mcui|mui|mcu|uui)/(?:ml|l)|ukat/l|"
    r"mg ?%|gm? ?%|(?:mg|ug|mcg|ng|pg|g|gm)/(?:dl|ml|l|g|kg(?:/day)?|24 ?h)|(?:mmol|umol|nmol|pmol|meq)/l|mosm/kg|"
    r"mm ?hg|kpa|torr|mm/hr?|cmh2o|cm h2o|%|percent|"
    r"l ?/ ?min|lpm|liters?(?: per minute| a minute)?|litres?(?: per minute| a minute)?|l(?=[ ./,;)\n]|$)|"
    r"(?:degrees? ?|° ?|deg ?)?(?:celsius|fahrenheit|c|f)(?=[ .,;)/\n]|$)|bpm|/min|breaths/min|"
    r"days?|d(?=[ .,;)\n]|$)|weeks?|wks?|w(?=[ .,;)\n]|$)|months?|mos?|years?(?:-old| old)?|yrs?|y/?o|hours?|hrs?|"
    r"h(?=[ .,;)\n]|$)|minutes?|"
    r"mg|mcg|meq|gm?|kg|lbs?|pounds|ml|cm|mm|cycles?|doses?|infusions?|courses?|k(?=[ .,;)/\n]|$)"
)
_UNIT_OF = {
    "x10^9/l": ("10^9/l", "109/l", "10e9/l", "10*9/l", "10x9/l", "10x9cells/l", "giga/l"),
    "k/ul": (
        "10^3/ul",
        "103/ul",
        "10e3/ul",
        "10*3/ul",
        "10^3/mcl",
        "103/mcl",
        "10e3/mcl",
        "10*3/mcl",
        "10^3/mm3",
        "103/mm3",
        "k/ul",
        "k/mcl",
        "k/mm3",
        "k",
        "thousand",
        "thousand/ul",
        "thousand/mcl",
        "thousand/mm3",
    ),
    "/mm3": ("/mm3", "/mm^3", "/ul", "/mcl", "/cmm", "cells/ul", "cells/mcl", "cells/mm3"),
    "l/min": (
        "l/min",
        "lpm",
        "l",
        "liter",
        "liters",
        "litre",
        "litres",
        "literperminute",
        "litersperminute",
        "litreperminute",
        "litresperminute",
        "literaminute",
        "litersaminute",
        "litresaminute",
        "litreaminute",
    ),
    "%": ("%", "percent"),
    "mmhg": ("mmhg", "torr"),
    "/day": (
        "perday",
        "aday",
        "/day",
        "eachday",
        "everyday",
        "daily",
        "per24h",
        "per24hours",
        "a24h",
        "/24h",
        "every24hours",
        "/24hours",
    ),
    "u/l": ("u/l", "iu/l", "unit/l", "units/l"),
    "/min": ("bpm", "/min", "breaths/min"),
    "c": ("c", "celsius"),
    "f": ("f", "fahrenheit"),
    "g/day": ("g/24h",),
    "days": ("day", "days", "d"),
    "weeks": ("week", "weeks", "wk", "wks", "w"),
    "months": ("month", "months", "mo", "mos"),
    "years": ("year", "years", "yr", "yrs"),
    "hours": ("hour", "hours", "hr", "hrs", "h"),
    "age": ("year-old", "years-old", "yearold", "yearsold", "yo", "y/o"),
}
_UNIT = {spelling: unit for unit, spellings in _UNIT_OF.items() for spelling in spellings}
TIME_UNITS = frozenset(("days", "weeks", "months", "years", "hours"))
# Units of numbers that are not laboratory values.
FOREIGN = (
    TIME_UNITS
    | {"age", "mg", "mcg", "meq", "mg/kg", "mg/kg/day", "ml", "kg", "lb", "lbs", "pounds", "cm", "mm"}
    | {f"{word}{s}" for word in ("cycle", "dose", "infusion", "course") for s in ("", "s")}
)


@functools.lru_cache(maxsize=512)
def unit(text: str) -> str:
    """The canonical spelling of a unit: "x10^9/l", "k/ul", "l/min", "weeks", "xuln"."""
    plain = text.replace(" ", "").replace("°", "").removeprefix("degrees").removeprefix("degree").removeprefix("deg")
    if plain.startswith(("x10", "×10")):
        plain = plain[1:]
    if "uln" in plain or "upper" in plain or "normal" in plain:
        return "xuln"
    if "baseline" in plain:
        return "xbaseline"
    if plain.startswith(("lakh", "lac")):
        return "lakh"
    if plain.endswith("%") and len(plain) > 1:
        return "mg/dl" if plain.startswith("mg") else "g/dl"  # grams in 100 ml
    return _UNIT.get(plain, plain)


def concentration(unit: str, number: str) -> str:
    """Read mEq with a decimal number as mEq/L, a common short form; with a whole number it is a dose."""
    return "meq/l" if unit == "meq" and "." in number else unit


def decimal(text: str) -> Decimal:
    """The number as written: "0,08" has a decimal comma, "37,635" is thousands, "seven" is 7."""
    if text in WORD_VALUE:
        return WORD_VALUE[text]
    if "," in text:
        text = text.replace(",", "" if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+(\.\d+)?", text) else ".")
    return Decimal(text[:30])


def ordinal(text: str) -> Decimal | None:
    """Days on a common scale, to compare dates within one note; None when unclear."""
    digits = [int(part) for part in re.findall(r"\d+", text)]
    if ":" in text:
        return None  # a time of day
    month = next((i for i, name in enumerate(MONTHS, 1) if name in text), None)
    if month:
        year = digits[1] if len(digits) > 1 else 0
        day = digits[0]
    elif len(digits) == 3 and digits[0] > 31:
        year, month, day = digits
    elif len(digits) == 3:
        first, second, year = digits
        day, month = (first, second) if first > 12 or second <= 12 and second > first else (second, first)
        year += 2000 if year < 100 else 0
    else:
        return None
    return Decimal(year * 372 + month * 31 + day)


_NUMERIC_DATE = re.compile(r"(\d{1,2})[/.](\d{1,2})(?:[/.](\d{2,4}))?")


def order(dates: list[str]) -> list[Decimal] | None:
    """Dates as days on a common scale; None where the order cannot be known.

    "12/05" may be in May or in December: the reading that all the dates allow is used. Where both are possible, they
    must give the same order.
    """
    parts = [_NUMERIC_DATE.fullmatch(date) for date in dates]
    if not all(parts):
        days = [ordinal(date) for date in dates]
        return None if None in days else days
    readings = [
        [_day(int(match[day]), int(match[month]), match[3]) for match in parts] for month, day in ((1, 2), (2, 1))
    ]
    known = [reading for reading in readings if None not in reading]
    return known[0] if known and all(_ranks(reading) == _ranks(known[0]) for reading in known) else None


def _day(day: int, month: int, year: str | None) -> Decimal | None:
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return None
    full = int(year) if year else 0
    return Decimal((full + 2000 if 0 < full < 100 else full) * 372 + month * 31 + day)


def _ranks(days: list[Decimal]) -> list[int]:
    return sorted(range(len(days)), key=days.__getitem__)
