"""Grade a number by CTCAE: the tables of `data/clinical/ctcae.json`, read with exact decimals.

The labels and current guidelines use v5.0; the `version` argument selects v6.0. Bounds are "greater than" where CTCAE
says so: exactly 3.0 x ULN is Grade 1. Floats would get 1.5 x 1.2 wrong.
"""

from __future__ import annotations

import json
import operator
from collections import defaultdict
from decimal import Decimal
from typing import Any, NamedTuple

from ..files import DATA

VERSIONS = ("5.0", "6.0")
_OPERATORS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


class CtcaeGrade(NamedTuple):
    """A CTCAE grade (0 is none), its term, version and source, and the comparison in words."""

    grade: int
    term: str
    version: str
    reason: str
    source: str


class _Row(NamedTuple):
    term: str
    scale: str
    bounds: tuple[tuple[int, str, str], ...]  # highest grade first

    def reached(self, number: Decimal, limits: dict[str, Decimal | None]) -> tuple[int, str, str] | None:
        """The first bound that the number meets: grade, comparison sign, and the limit by name or number."""
        for level, sign, bound in self.bounds:
            limit = limits[bound] if bound in limits else Decimal(bound)
            if limit is not None and _OPERATORS[sign](number, limit):
                return level, sign, bound
        return None


def _load() -> tuple[dict[str, str], dict[tuple[str, str], list[_Row]]]:
    file: dict[str, Any] = json.loads((DATA / "clinical" / "ctcae.json").read_text(encoding="utf-8"))
    rows = defaultdict(list)
    for row in file["rows"]:
        bounds = tuple((int(grade), *row["bounds"][grade]) for grade in sorted(row["bounds"], reverse=True))
        rows[row["version"], row["analyte"]].append(_Row(row["term"], row["scale"], bounds))
    return file["source"], dict(rows)


_SOURCES, _ROWS = _load()


def grade(
    analyte: str,
    value: Decimal | None,
    *,
    uln: Decimal | None = None,
    lln: Decimal | None = None,
    times_uln: Decimal | None = None,
    baseline: Decimal | None = None,
    symptomatic: bool = False,
    version: str = "5.0",
) -> CtcaeGrade | None:
    """The highest CTCAE grade that any row for `analyte` gives; None when the version has no row for it.

    Args:
        value: in the unit of `labs.json`; stools are per day over baseline, an EF is in percent.
        times_uln: a multiple stated in the note ("7x ULN"), used where `value` or `uln` is missing.
        baseline: the patient's own earlier value; above `uln` it replaces the ULN (abnormal-baseline rule).
        symptomatic: chooses the symptomatic row of lipase and amylase.
    """
    rows = _ROWS.get((version, analyte))
    if rows is None:
        return None
    if times_uln is None and value is not None and uln:
        times_uln = value / uln
    abnormal = bool(baseline is not None and uln and baseline > uln and value is not None)
    abnormal = abnormal and any(row.scale == "baseline_abnormal" for row in rows)
    ratio = value / baseline if baseline and value is not None else None
    numbers = {
        "uln": (None if abnormal else times_uln, "x ULN"),
        "uln_symptomatic": (times_uln if symptomatic else None, "x ULN with symptoms"),
        "baseline_abnormal": (ratio if abnormal else None, "x an abnormal baseline"),
        "baseline": (ratio, "x baseline"),
        "baseline_low": (ratio if lln and baseline and baseline < lln else None, "x baseline"),
        "drop": (baseline - value if baseline is not None and value is not None else None, "points below baseline"),
        "over_baseline": (value, "a day over baseline"),
    }
    best = CtcaeGrade(0, rows[0].term, version, "within normal limits", _SOURCES[version])
    for row in rows:
        number, words = numbers.get(row.scale, (value, ""))
        reached = None if number is None else row.reached(number, {"uln": uln, "lln": lln})
        if reached and reached[0] > best.grade:
            level, sign, bound = reached
            reason = f"{_short(number)} {words} is {sign} {bound.upper()}".replace("  ", " ")
            best = CtcaeGrade(level, row.term, version, reason, f"{_SOURCES[version]}, {row.term}")
    return best


def _short(number: Decimal) -> str:
    """At most two decimals, without trailing zeros."""
    text = f"{number:.2f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
