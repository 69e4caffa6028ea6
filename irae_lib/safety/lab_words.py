"""Words around a laboratory name: high, low or normal; its date; a label for earlier values; a ratio of two tests."""

from __future__ import annotations

import re
from decimal import Decimal

from .tokens import Token

RECENT = (
    "yesterday",
    "last week",
    "last visit",
    "peak",
    "peaked at",
    "at its peak",
    "at the peak",
    "at its worst",
    "at worst",
)  # the newest value, unless a newer one is given
_RATIO_BEFORE = re.compile(r"(?:protein|albumin|prot|alb|calcium)\s?[/:-]\s?$|\bto[- ]$|\bioni[sz]ed $")
_RATIO_AFTER = re.compile(r"\s?(?:ratio|/\s?creat\w*)")
_LEAST_IN_SI = {"creatinine": 25, "hemoglobin": 50}


def flag_before(norm: str, tokens: list[Token], i: int) -> str:
    """The flag right before the name, high, low or normal: "raised troponin"."""
    if not i or not tokens[i - 1].cues or tokens[i].start - tokens[i - 1].end >= 3:
        return ""
    word = norm[tokens[i - 1].start : tokens[i - 1].end]
    return "" if word in ("h", "l", "n", "up") else flag_of(tokens[i - 1].cues)


def flag_after(tokens: list[Token], i: int) -> str:
    """The flag after a name without a number, high, low or normal: "TSH low"."""
    for t in tokens[i + 1 : i + 4]:
        if t.kind in ("end", "number", ",", "finding", "lab", "pair") or t.start - tokens[i].end > 22:
            return ""
        if word := flag_of(t.cues):
            return word
    return ""


def flag_of(cues: tuple[str, ...]) -> str:
    return next((name for name in ("normal", "high", "low") if f"flag_{name}" in cues), "") if cues else ""


def heading_date(tokens: list[Token], i: int) -> Decimal | None:
    """The date that opens the sentence or line of a value: "2026-05-02: ALT 38"."""
    name = tokens[i]
    for t in reversed(tokens[max(0, i - 12) : i]):
        if t.sentence != name.sentence or t.kind == "end":
            return None
        if t.kind == "date" and t.low is not None:
            return t.low
    return None


_HEADING_AGO = re.compile(r" ago(?:\)?:|\))")


def previous_before(norm: str, tokens: list[Token], i: int) -> str:
    """The label of an earlier value, "recent" or "previous": "prior TSH 2.1", "Labs (3 weeks ago): ALT 38"."""
    name = tokens[i]
    for t in reversed(tokens[max(0, i - 8) : i]):
        if t.kind == "end" or "now" in t.cues:
            return ""
        if "previous" in t.cues and name.start - t.end < 12:
            return "recent" if norm[t.start : t.end] in RECENT else "previous"
        if t.kind == "number" and t.unit in ("weeks", "months", "years") and norm.startswith(" ago", t.end):
            # "Labs (3 weeks ago): ALT 38", not "started 3 weeks ago, ALT 600"
            return "previous" if _HEADING_AGO.match(norm, t.end) else ""
    return ""


_URINE_BEFORE = re.compile(r"\burin(?:e|ary)[ -]$")
_URINE_AFTER = re.compile(r" in urine\b| \(urine\)")
_OF_URINE = ("proteinuria", "ketones")


def is_of_urine(norm: str, token: Token) -> bool:
    """Whether a test of the blood is named for the urine: "urine glucose 300", "Glucose in Urine by Test strip"."""
    before = _URINE_BEFORE.search(norm, max(0, token.start - 10), token.start)
    return (before or _URINE_AFTER.match(norm, token.end)) is not None and token.names[0] not in _OF_URINE


def is_ratio(norm: str, token: Token) -> bool:
    """Whether the name is part of a ratio ("protein/creatinine ratio 0.2")."""
    before = _RATIO_BEFORE.search(norm, max(0, token.start - 12), token.start)
    return before is not None or _RATIO_AFTER.match(norm, token.end) is not None


def repeats(norm: str, last: Token, token: Token) -> bool:
    """Whether a token is a second name of the last one, in brackets after it."""
    return last.names == token.names and norm[last.end : token.start].strip() == "(" and norm.startswith(")", token.end)


def is_in_si(name: str, value: str, unit: str) -> bool:
    """Whether it is a creatinine or hemoglobin without a unit that is too large for mg/dL or g/dL."""
    least = _LEAST_IN_SI.get(name)
    return least is not None and not unit and value.isdigit() and int(value) >= least
