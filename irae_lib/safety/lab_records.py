"""Parse laboratory rows into records: the value, the limits and the older values of a row.

A row is a name and cells in any order: value, unit, flag, range, date. One grammar reads the cells, and the
best-fitting assignment of cells to roles wins; an interval is never the value if there is a single number.
"""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from .lexicon import Analyte
from .quantities import FOREIGN, MONTH, NUMBER, UNITS, concentration, decimal, order
from .quantities import unit as to_unit
from .tokens import Token

_UNIT = rf"(?:{UNITS})(?![a-z])"
_REFERENCE = (
    r"(?:ref(?:erence)?|normal|range|uln|upper limit(?: of normal)?|limits?|interval|nl|nr|rr|expected|cut-?off|"
    r"male|female|men|women|adults?|m(?=:? ?\d)|f(?=:? ?\d))"
)
_CELL = re.compile(
    rf"(?P<date>\d{{4}}-\d\d-\d\d|\d{{1,2}}[/.]\d{{1,2}}[/.]\d{{2,4}}|\d{{1,2}}/\d{{1,2}}(?=[ :,)]{{1,3}}[<>]?\d|\)|$)"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?[ -]{MONTH}(?:[ ,-]{{1,2}}\d{{4}})?|{MONTH} \d{{1,2}}(?:, ?\d{{4}})?)(?![\w/])"
    r"|(?P<time>\d{1,2}:\d\d(?::\d\d)?(?: ?[ap]\.?m\b\.?)?)"
    rf"|(?P<scale>(?=(?:x ?)?10 ?[\^*ex]){_UNIT})"
    rf"|(?P<number>(?:(?P<sign>[<>~]=?|=) ?)?(?P<low>{NUMBER})(?P<plus>\+)?"
    rf"(?:(?: {{0,3}}(?P<inner>{_UNIT}))? ?(?:-{{1,2}}|to|up to) ?(?P<high>{NUMBER}))?"
    rf"(?: {{0,3}}-?(?P<unit>{_UNIT}))?)(?![\w^])"
    r"|(?P<flag>(?:hh|ll|h|l|high|low|critical(?:ly)?(?: high| low)?|crit|a(?=\s+[(<]?\d+(?:\.\d+)? ?-)|abnormal|abn|"
    r"\*+ ?[hl]?|!+|normal(?! range))(?![a-z0-9])[*!]*)"
    rf"|(?P<reference>{_REFERENCE})(?![a-z0-9])"
    rf"|(?P<bare>{_UNIT})"
    r"|(?P<word>(?:trend(?:ed|ing)?|results?|levels?|values?|counts?|final)(?![a-z0-9]))"
    r"|(?P<open>[(\[])|(?P<close>[)\]])|(?P<slash>/)|(?P<mark>[\s:=|,;]+|-(?= ))"
)
_TIMED = re.compile(r"\s*(?:post|after|later|before|ago|pre|prior|of|old)\b")  # "2 h after a meal"
_LETTERS = ("h", "l", "c")  # high, low, critical
_FLAGS = {"h": "high", "l": "low", "n": "normal"}
_MOST = 24  # values of one row


class Cell(NamedTuple):
    """A piece of a row: `kind` is number, interval, flag, unit or date; `depth` counts open brackets."""

    kind: str
    start: int
    end: int
    depth: int
    limit: bool  # introduced as a limit: "ref", "normal", "M", "F"
    low: Decimal | None = None
    high: Decimal | None = None
    sign: str = ""
    unit: str = ""
    text: str = ""


class Record:
    """The values of one name, with the row's limits, flag and days."""

    times_uln: Decimal | None = None

    def __init__(self, values: list[Cell], end: int):
        self.values = values
        self.limits: dict[str, Token] = {}
        self.flag = ""
        self.end = end
        self.days: list[Decimal] | None = None  # of the values, if the row gives them in a known order

    def add_earlier(self, previous: list[Cell], baseline: list[Cell]) -> None:
        """Add the columns of earlier days and of the baseline, in the unit of the value."""
        unit = self.values[0].unit
        previous, baseline = ([c if c.unit else c._replace(unit=unit) for c in row] for row in (previous, baseline))
        if previous:
            self.days = [Decimal(1)] + [Decimal(0)] * len(previous)
            self.values = [*self.values, *previous]
        if baseline:
            self.limits["baseline"] = token_of(baseline[-1])


_KEEPS_LIMIT = frozenset(("mark", "word", "number", "unit", "bare", "scale"))


def cells(norm: str, start: int, end: int) -> tuple[list[Cell], int]:
    """The cells between two offsets, and the offset where the row's grammar ends."""
    found: list[Cell] = []
    depth, at, limit = 0, start, False
    while at < end:
        match = _CELL.match(norm, at, end)
        if match is None or match.end() == at:
            break
        kind = "number" if match["number"] else match.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth, limit = max(0, depth - 1), False
        else:
            found += _cells_of(match, kind, depth, limit)
        limit = kind == "reference" or (limit and kind in _KEEPS_LIMIT and (depth > 0 or kind == "mark"))
        at = match.end()
    return found, at


def _cells_of(match: re.Match[str], kind: str, depth: int, limit: bool) -> list[Cell]:
    """The cells of one piece of a row: a number followed by a flag letter gives two."""
    first, last = match.span()
    if kind == "number":
        letter = (match["unit"] or match["inner"]) in _LETTERS and not _TIMED.match(match.string, last)
        letter = letter and not (match["unit"] == "c" and (len(match["low"]) < 3 or "." in match["low"]))  # 37 C
        number = _number(match, depth, limit, letter)
        return [number, Cell("flag", last - 1, last, depth, False, text=match.string[last - 1])] if letter else [number]
    if kind in ("bare", "scale"):
        written = match.group().strip()
        if written in _LETTERS:
            return [Cell("flag", first, last, depth, False, text=written)]
        return [Cell("unit", first, last, depth, False, unit=to_unit(written), text=written)]
    return [Cell(kind, first, last, depth, False, text=match.group())] if kind in ("date", "flag", "slash") else []


def _number(match: re.Match[str], depth: int, limit: bool, letter: bool) -> Cell:
    """A number, an interval or a code ("1742-6") with its unit; `letter` means that the apparent unit is a flag."""
    low, high = decimal(match["low"]), decimal(match["high"]) if match["high"] else None
    interval = high is not None and high > low
    written = match["unit"] or match["inner"]
    sign = (match["sign"] or "").strip("=~ ")
    return Cell(
        "interval" if interval else "code" if high is not None else "number",
        match.start() if sign else match.start("low"),
        max(match.end("low"), match.end("high")) if letter else match.end(),
        depth,
        limit,
        low,
        high if interval else low,
        sign,
        concentration(to_unit(written), match["low"]) if written and not letter else "",
        match.group(),
    )


def assigned(row: list[Cell], analyte: Analyte, end: int) -> Record | None:
    """The record that fits a row best; None if no cell can be the value."""
    numbers = [cell for cell in row if cell.kind == "number" and _fits(cell, analyte)]
    intervals = [cell for cell in row if cell.kind == "interval"]
    plain = [cell for cell in numbers if not cell.limit]
    values = [cell for cell in plain if not cell.sign] or plain
    if analyte.unit == "%" and (shares := [cell for cell in values if cell.unit == "%"]):
        values = shares  # "FVC 3.9 L (101 %)": litres, not a flag
    elif any(cell.depth == 0 for cell in (*values, *intervals)):
        values = [cell for cell in values if cell.depth == 0]
    if not values:
        values = [cell for cell in intervals if not cell.limit and not cell.depth and _fits(cell, analyte)][:1]
        numbers = []
    if not values or len(values) > _MOST:
        return None
    values = _best(values, row, analyte)
    record = Record(values, end)
    _read_limits(record, [*intervals, *(cell for cell in numbers if cell.limit or cell.sign)])
    _read_unit(record, row)
    _read_flag(record, row)
    _read_days(record, row)
    return record


def _fits(cell: Cell, analyte: Analyte) -> bool:
    """Whether the unit of a number fits this analyte."""
    if not cell.unit or cell.unit in analyte.units or (cell.unit == "g/l" and "g/l_cells" in analyte.units):
        return True
    return not analyte.units and cell.unit not in FOREIGN


def _best(values: list[Cell], row: list[Cell], analyte: Analyte) -> list[Cell]:
    """The values that fit best: with a unit or flag rather than bare; all of them if there is a tie."""
    if len(values) == 1 or any(cell.kind in ("date", "slash") for cell in row):
        return values
    scores = []
    for cell in values:
        behind = row[row.index(cell) + 1] if row.index(cell) + 1 < len(row) else None
        scores.append(
            (cell.unit in analyte.units and bool(cell.unit)) + 2 * (behind is not None and behind.kind == "flag")
        )
    top = max(scores)
    return [cell for cell, score in zip(values, scores, strict=True) if score == top]


def _read_limits(record: Record, cells_: list[Cell]) -> None:
    """Upper and lower limit; of separate ranges for men and women, the narrower upper limit."""
    for cell in cells_:
        if cell in record.values:
            continue
        token = token_of(cell)
        if cell.kind == "interval":
            known = record.limits.get("uln")
            if known is None or cell.high < known.high:
                record.limits["uln"] = record.limits["lln"] = token
        elif cell.sign or cell.limit:
            record.limits.setdefault("lln" if cell.sign == ">" else "uln", token)


def _read_unit(record: Record, row: list[Cell]) -> None:
    """Apply a unit printed once, in its own cell or with the range, to the whole row."""
    units = [cell.unit for cell in row if cell.unit and cell.kind in ("unit", "number", "interval")]
    if not units:
        return
    record.values = [cell if cell.unit else cell._replace(unit=units[0]) for cell in record.values]
    for token in record.limits.values():
        token.unit = token.unit or units[0]


def _read_flag(record: Record, row: list[Cell]) -> None:
    for cell in row:
        if cell.kind == "flag":
            word = cell.text.strip("*! ")
            record.flag = "high" if "high" in word else "low" if "low" in word else _FLAGS.get(word[:1], "")
            if word in ("critical", "crit", "abnormal", "abn"):
                record.flag = ""
            return


def _read_days(record: Record, row: list[Cell]) -> None:
    """The day of each value, if all dates come before or all after their values."""
    dates = [cell.text for cell in row if cell.kind == "date"]
    if len(dates) == len(record.values):
        record.days = order(dates)


def token_of(cell: Cell) -> Token:
    """Convert a cell to a number token."""
    token = Token("number", cell.start, cell.end)
    token.low, token.high, token.sign, token.unit = cell.low, cell.high, cell.sign, cell.unit
    return token


_ENDS = frozenset(("lab", "vital", "finding", "ici", "drug", "arrow", "end"))


def record_behind(text: str, norm: str, tokens: list[Token], i: int, analyte: Analyte) -> Record | None:
    """The record that follows the name at `i` on its line; None if prose or a plain value follows."""
    if _PLAIN.match(norm, tokens[i].end):
        return None
    start = _past_alias(norm, tokens[i].end)
    boundary = next((t for t in tokens[i + 1 : i + 60] if t.kind in _ENDS and t.start >= start), None)
    if boundary is not None and boundary.kind == "arrow":
        return None
    end = min(boundary.start if boundary is not None else len(norm), start + 400)
    row, at = cells(norm, start, end)
    if any(b.sign == ">" and a.kind == b.kind == "number" and not b.depth for a, b in pairwise(row)):
        return None  # "9 > 22 > 91": a time series
    flagged = any(cell.kind == "flag" for cell in row)
    if norm[at:end].strip(" ,;.|)]") and not (flagged and _in_capitals(text, row)):
        return None
    record = assigned(row, analyte, start + len(norm[start:at].rstrip(" ,;:|=\n")))
    if record is None:
        return None
    if len(record.values) > 1:
        slashes, dates = (sum(cell.kind == kind for cell in row) for kind in ("slash", "date"))
        return record if dates == len(record.values) or slashes == len(record.values) - 1 > 1 else None
    apart = any(cell.kind == "unit" for cell in row)
    return record if flagged or record.limits or apart or start > tokens[i].end else None


_PLAIN = re.compile(  # a value without a flag or range
    rf"[ :=]{{0,3}}{NUMBER}(?: ?(?!h\b|l\b){_UNIT})?(?:[,;]|\.?\s?$|"
    rf"\.?\s(?!(?:hh?|ll?|high|low|crit\w*|abn\w*|{_REFERENCE})\b)[a-z])",
    re.M,
)
_QUALIFIER = r"(?:whole blood|absolute|count|serum|plasma|blood|ser/plas|venous|arterial|total|random|fasting|level)"
_ALIAS = re.compile(rf"(?:,? {_QUALIFIER}\b){{1,2}}|\s*\([a-z][a-z -]{{0,24}}\)")


def _past_alias(norm: str, start: int) -> int:
    """The offset after a second name in brackets: "ALT (SGPT) 412"."""
    match = _ALIAS.match(norm, start)
    return match.end() if match else start


def _in_capitals(text: str, row: list[Cell]) -> bool:
    return all(
        text[cell.start : cell.end].strip().isupper() or len(cell.text) > 1 for cell in row if cell.kind == "flag"
    )
