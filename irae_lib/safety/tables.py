"""Tables of results: rows of cells under a header, detected by pipes, tabs or aligned columns.

A header names roles ("Result", "Flag", "Reference range"), dates or analytes. `Tables.record` gives the record of a
name in a table; without a header the row is read as a record with its cells in any order.
"""

from __future__ import annotations

import bisect
import functools
import re
from itertools import pairwise
from typing import NamedTuple

from .lab_records import Cell, Record, assigned, cells
from .lexicon import Analyte
from .quantities import MONTH, order
from .tokens import Token

_PERIOD = r"(?:d|days?|w|wks?|weeks?|m|mo|mths?|months?|y|yrs?|years?)"
_ROLES = tuple(
    (role, re.compile(rf"(?:{pattern})\b.*", re.I))
    for role, pattern in (
        ("multiple", r"(?:x ?ulns?|times ulns?|ulns? ?(?:multiple|ratio)|(?:fold|multiple|ratio)\b.*\buln|ratio|fold)"),
        ("previous", r"(?:prior|prev|previous|last|old|older|earlier|before)"),
        ("baseline", r"(?:baseline|b/?line|pre[- ]?(?:treatment|therapy|dose|c1|ici|immuno\w*|rx|tx))"),
        ("previous", rf"(?:[-~] ?)?\d{{1,2}} ?{_PERIOD}(?: (?:ago|back|earlier|before|prior))?$"),
        (
            "range",
            r"(?:ref\.?|reference|normal|range|limits?|interval|expected|biological ref|[ul]ln|upper limit|lower limit|rr|nr)",
        ),
        ("unit", r"(?:units?|uom)"),
        ("flag", r"(?:flags?|abn\w*|interp\w*|ind(?:icator)?|h/l|status|severity)"),
        (
            "value",
            r"(?:results?|values?|your (?:value|result)|reading|measured|findings?|current|today|now|latest|outcome|level)",
        ),
        (
            "name",
            r"(?:tests?|analyte|component|name|lab\w*|parameter|investigation|observation|exam\w*|item|description|procedure|type|marker|vital)",
        ),
        ("date", r"(?:date|time|collected|drawn|performed|day|visit)"),
        (
            "other",
            r"(?:code|loinc|cpt|id|no\.?|number|method|specimen|comments?|notes?|details|site|facility|ordered|provider)",
        ),
    )
)
_DATE = re.compile(
    rf"(\d{{4}}-\d\d-\d\d|\d{{1,2}}[/.]\d{{1,2}}(?:[/.]\d{{2,4}})?|\d{{1,2}}[ -]{MONTH}(?:[ ,-]{{1,2}}\d{{4}})?|"
    rf"{MONTH} \d{{1,2}}(?:, ?\d{{4}})?)(?:[ t,]+\d{{1,2}}:\d\d(?::\d\d)?(?: ?[ap]m)?)?"
)
_MOST_CELLS, _MOST_ROWS = 60, 400  # of one row; under one header
_PLAIN_NUMBER = re.compile(r"[<>]?\d+(?:\.\d+)?")
_RULE = re.compile(r"[\s|:+=_-]+")


class Box(NamedTuple):
    """One cell of a table: its span and its text without surrounding spaces."""

    start: int
    end: int
    text: str


class Row(NamedTuple):
    """One line of a table; `boxes` keeps empty cells if a pipe or tab marks them."""

    start: int
    end: int
    style: str
    boxes: list[Box]


class Tables:
    """Every table of the view, indexed by offset."""

    def __init__(self, text: str, norm: str, tokens: list[Token]):
        self.norm, self.tokens = norm, tokens
        self._token_starts = [token.start for token in tokens]
        self._rows: list[Row] = []
        self._header: dict[int, Row] = {}  # by start of the row
        self._below: dict[int, list[Row]] = {}  # rows under a header, by the header's start
        if "|" in text or "\t" in text or "   " in text or re.search(r"\S {2,}\S", text):
            self._read(text)
        self._starts = [row.start for row in self._rows]

    def _read(self, text: str) -> None:
        start, block = 0, []
        for line in text.split("\n"):
            row = _row(line, start)
            if row is not None and not (_RULE.fullmatch(line)):
                block.append(row)
            elif row is None and not _RULE.fullmatch(line or "-"):
                self._add(block)
                block = []
            start += len(line) + 1
        self._add(block)

    def _add(self, block: list[Row]) -> None:
        block = [row for row in block if 1 < len(row.boxes) <= _MOST_CELLS]
        if not block:
            return
        header = None
        for row in block:
            self._rows.append(row)
            if self._is_header(row):
                header = row
            elif header is not None:
                self._header[row.start] = header
                below = self._below.setdefault(header.start, [])
                if len(below) < _MOST_ROWS:
                    below.append(row)

    def _is_header(self, row: Row) -> bool:
        """Whether a row only labels the rows below it: roles, dates or analytes, and no values."""
        if any(_PLAIN_NUMBER.fullmatch(box.text) for box in row.boxes):
            return False
        named = [box for box in row.boxes if box.text]
        known = [box for box in named if _role(box.text) or _DATE.fullmatch(box.text.lower()) or self._lab(box)]
        return len(known) >= 2 and len(known) >= len(named) - 1

    def _lab(self, box: Box) -> Token | None:
        """The laboratory name in a cell."""
        if not box.text:
            return None
        at = bisect.bisect_left(self._token_starts, box.start)
        for token in self.tokens[at : at + 3]:
            if token.start >= box.end:
                return None
            if token.kind in ("lab", "vital"):
                return token if not re.search(r"\d", self.norm[box.start : token.start]) else None
        return None

    def row_of(self, at: int) -> Row | None:
        """The table row at an offset."""
        k = bisect.bisect_right(self._starts, at) - 1
        return self._rows[k] if k >= 0 and at < self._rows[k].end else None

    def record(self, token: Token, analyte: Analyte) -> Record | None:
        """The record of the name `token`; None if it is not in a table, or not a row of one."""
        row = self.row_of(token.start) if self._rows else None
        if row is None:
            return None
        if row.start in self._below:
            return self._column(row, token, analyte)
        own = next((box for box in row.boxes if box.start <= token.start < box.end), None)
        names = [box for box in row.boxes if self._lab(box)]
        if own is None or len(names) != 1:
            return None
        header = self._header.get(row.start)
        record = None
        if header is not None:
            above = _columns(row, header, own)
            record = self._dated(row, above, own, analyte) or self._by_role(row, above, own, analyte)
        return record or self._any_order(row, own, token, analyte)

    def _cells(self, box: Box) -> list[Cell]:
        found, at = cells(self.norm, box.start, box.end)
        return found if not self.norm[at : box.end].strip(" .") else [c for c in found if c.kind == "flag"]

    def _any_order(self, row: Row, own: Box, token: Token, analyte: Analyte) -> Record | None:
        inside, at = cells(self.norm, token.end, own.end)
        found = inside if not self.norm[at : own.end].strip(" .:,)") else []
        for box in row.boxes:
            if box is not own:
                found += self._cells(box)
        return assigned(found, analyte, max((cell.end for cell in found), default=token.end))

    def _by_role(self, row: Row, above: list[Box | None], own: Box, analyte: Analyte) -> Record | None:
        """The record by the roles that the header names; it has no values if the value cell has none."""
        boxes = [(_role(over.text), box) for box, over in zip(row.boxes, above, strict=True) if over and box is not own]
        if not any(role == "value" for role, _ in boxes):
            return None
        found: list[Cell] = []
        columns: dict[str, list[Cell]] = {"previous": [], "baseline": []}
        for role, box in boxes:
            if role in ("value", "unit", "flag"):
                found += self._cells(box)
            elif role in ("previous", "baseline"):
                columns[role] += [c for c in self._cells(box) if c.kind == "number"]
            elif role in ("range", "other"):
                found += [c._replace(limit=True) for c in self._cells(box) if role == "range" or c.kind == "interval"]
        end = max((cell.end for cell in found), default=own.end)
        record = assigned(found, analyte, end)
        if record is not None and len(record.values) == 1:
            record.add_earlier(**columns)
        return record or Record([], own.end)

    def _dated(self, row: Row, above: list[Box | None], own: Box, analyte: Analyte) -> Record | None:
        """The record of a row whose columns are dates: the newest value, or all if the order is unclear."""
        columns = []
        rest: list[Cell] = []
        for box, over in zip(row.boxes, above, strict=True):
            date = _DATE.fullmatch(over.text.lower()) if over is not None else None
            if box is own or not box.text:
                continue
            if date is None:
                extra = self._cells(box)
                rest += [cell._replace(limit=True) for cell in extra]
            elif any(cell.kind == "number" for cell in self._cells(box)):
                columns.append((date[1], box))
        if len(columns) < 2 and not (columns and rest):
            return None
        found = [next(cell for cell in self._cells(box) if cell.kind == "number") for _, box in columns]
        return self._ordered(found, [date for date, _ in columns], rest, analyte)

    def _ordered(self, found: list[Cell], dates: list[str], rest: list[Cell], analyte: Analyte) -> Record | None:
        first = assigned([found[0], *rest], analyte, found[0].end)
        if first is None:
            return None
        record = Record(
            [cell if cell.unit else cell._replace(unit=first.values[0].unit) for cell in found], found[-1].end
        )
        record.limits, record.days = first.limits, order(dates) if dates else None
        return record

    def _column(self, header: Row, token: Token, analyte: Analyte) -> Record | None:
        """The record of an analyte named in the header: one value in each row below."""
        found: list[Cell] = []
        dates: list[str] = []
        box = next(b for b in header.boxes if b.start <= token.start < b.end)
        for row in self._below[header.start]:
            above = _columns(row, header, None)
            below = next((b for b, over in zip(row.boxes, above, strict=True) if over is box), None)
            numbers = [c for c in self._cells(below) if c.kind == "number"] if below is not None else []
            if numbers:
                found.append(numbers[0])
                dated = next((m for b in row.boxes if (m := _DATE.fullmatch(b.text.lower()))), None)
                dates.append(dated[1] if dated else "")
        if not found:
            return None
        unit, _ = cells(self.norm, token.end, box.end)
        return self._ordered(found, dates if all(dates) else [], unit, analyte)


@functools.lru_cache(maxsize=2048)
def _role(text: str) -> str:
    text = text.strip("()[] ")
    return next((role for role, pattern in _ROLES if pattern.fullmatch(text)), "") if len(text) < 40 else ""


def _columns(row: Row, header: Row, name: Box | None) -> list[Box | None]:
    """The header cell above each cell: by number if borders mark empty cells, by position in aligned columns.

    A row with fewer cells (a date that spans several rows) is shifted so that its name falls in a column of names.
    """
    if row.style != header.style or row.style == "spaces":
        return [_nearest(box, row, header) for box in row.boxes]
    shift, missing = 0, len(header.boxes) - len(row.boxes)
    if missing > 0 and name is not None:
        k = row.boxes.index(name)
        shift = next((d for d in range(missing + 1) if _role(header.boxes[k + d].text) == "name"), 0)
    return [header.boxes[k + shift] if k + shift < len(header.boxes) else None for k in range(len(row.boxes))]


def _nearest(box: Box, row: Row, header: Row) -> Box:
    middle = (box.start + box.end) / 2 - row.start
    return min(header.boxes, key=lambda b: abs((b.start + b.end) / 2 - header.start - middle))


def _row(line: str, start: int) -> Row | None:
    """The cells of a line; None if the line is not a row."""
    if "|" in line:
        style, cuts = "pipes", [m.span() for m in re.finditer(r"\|", line)]
    elif "\t" in line:
        style, cuts = "tabs", [m.span() for m in re.finditer(r"\t", line)]
    elif "  " in line and (cuts := [m.span() for m in re.finditer(r" {2,}", line)]):
        style = "spaces"
    else:
        return None
    edges = [(0, 0), *cuts, (len(line), len(line))]
    boxes = []
    for (_, first), (last, _) in pairwise(edges):
        piece = line[first:last]
        text = piece.strip()
        left = first + len(piece) - len(piece.lstrip()) if text else first
        boxes.append(Box(start + left, start + left + len(text), text))
    if style == "pipes" and boxes and not boxes[0].text:
        boxes = boxes[1:]
    if style == "spaces" or (style == "pipes" and boxes and not boxes[-1].text):
        boxes = [box for box in boxes if box.text] if style == "spaces" else boxes[:-1]
    return Row(start, start + len(line), style, boxes)
