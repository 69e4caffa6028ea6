"""Read and write labeled cases: JSON lines, CSV, and the eleven validated cases.

Reading a case file returns every case, or raises an error that names file, line and field. A half-written file never
exists under its final name.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from .errors import SchemaError, explain
from .files import DATA, read_lines, read_text, write_lines
from .schemas import FIELDS, SECTIONS, Assessment, Case, Likelihood, Record, Severity, Urgency

TEXT_COLUMNS = ("text", *SECTIONS)  # at least one of them holds the note
CASE_COLUMNS = ("id", "age", "cancer_type", *TEXT_COLUMNS)
_LONGEST_CELL = 10_000_000  # characters; Python's default limit would fail on one long note


# irae; as irae, but exposure not documented; another cause; never exposed; treatment only planned; well; resolved
KINDS = ("irae", "undocumented", "mimic", "never", "planned", "well", "resolved")


class LabelledCase(Record):
    """A case with its label.

    `kind` is the row of the contract that it follows (one of `KINDS`), `family` its pool of phrasings, `topic` the
    illness, `pair` its minimal pair. These four are for counting, never for the model. A label
    that contradicts itself is a validation error, from whichever file or form it comes (see `contradiction`).
    """

    case: Case
    expected: Assessment
    kind: str = "irae"
    family: str = ""
    topic: str = ""
    pair: str = ""

    @model_validator(mode="after")
    def _fields_agree(self) -> LabelledCase:
        if problem := contradiction(self.expected):
            raise ValueError(problem)
        return self


def contradiction(label: Assessment) -> str:
    """Why the fields of a label cannot all be true (data/README.md gives the rules), or ""."""
    if label.irae_detected:
        return "" if label.affected_systems else "an irAE needs at least one organ system"
    if label.affected_systems or label.overall_severity is not Severity.UNKNOWN:
        return "without an irAE there is no organ system and no grade: choose irAE yes, or clear both"
    if label.causality.likelihood in (Likelihood.HIGHLY_LIKELY, Likelihood.POSSIBLE):
        return "without an irAE, causality is Unlikely or Uncertain: choose one of these, or irAE yes"
    return ""


def validated_cases() -> list[LabelledCase]:
    """The eleven hand-written cases with their labels, in the order of the file."""
    return read_cases(DATA / "cases" / "validated.jsonl")


def texts_by_id(cases: Iterable[LabelledCase]) -> dict[str, str]:
    """The notes of cases, by id."""
    return {case.case.id: case.case.text for case in cases}


def write_cases(path: Path, cases: Iterable[LabelledCase]) -> Path:
    """Write labeled cases as JSON lines, keeping sections."""
    return write_lines(path, (_to_row(case) for case in cases))


def read_cases(path: Path) -> list[LabelledCase]:
    """The labeled cases of a file: JSON lines, or CSV with a header (data/README.md describes the format).

    A row without an id gets one from the file's name and the row's number.

    Raises:
        SchemaError: the file is missing or empty, or a row is invalid; names the file, the line or row, and the field.
    """
    path = Path(path)
    is_csv = path.suffix.lower() == ".csv"
    unit = "row" if is_csv else "line"
    cases, ids = [], {}
    for number, row in _read_csv(path) if is_csv else read_lines(path):
        where = f"{path.name} {unit} {number}"
        case = _from_row({"id": f"{path.stem}-{number}"} | row, where)
        if case.case.id in ids:
            raise SchemaError(f"{where}: id {case.case.id!r} is already on {unit} {ids[case.case.id]}")
        for i, quote in enumerate(case.expected.evidence, start=1):
            if quote not in case.case.text:
                raise SchemaError(f"{where}: expected.evidence, quote {i} does not occur verbatim in the note")
        ids[case.case.id] = number
        cases.append(case)
    return cases


_COLUMNS = (*CASE_COLUMNS, *FIELDS, "evidence", "reasoning", "actions", "kind")
_LISTS = {"affected_systems": ";", "evidence": "|", "actions": "|"}
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def csv_rows(
    lines: Iterable[str],
    name: str,
    known: Collection[str],
    check_header: Callable[[list[str]], None] = lambda columns: None,
) -> Iterator[tuple[int, dict[str, str] | None]]:
    """Row numbers as in a spreadsheet (the header is row 1) and cells by column.

    Columns are separated by commas, semicolons or tabs: by whichever gives the header one of the `known` columns. The
    cells are None if their number differs from that of the columns. `check_header` raises on invalid columns.

    Raises:
        SchemaError: the file is not CSV; `name` is its name.
    """
    csv.field_size_limit(_LONGEST_CELL)
    lines = iter(lines)
    header = next(lines, "")
    if header.lower().startswith("sep="):  # how a spreadsheet is told the separator
        header = next(lines, "")
    mark = next((m for m in ",;\t" if any(c.strip(' "\r\n') in known for c in header.split(m))), ",")
    # Strict: a misplaced quote would join two patients' notes.
    table = csv.DictReader(chain([header], lines), delimiter=mark, strict=True)
    try:
        table.fieldnames = [column.strip() for column in table.fieldnames or ()]
        if twice := sorted(name for name in known if table.fieldnames.count(name) > 1):
            raise SchemaError(f"{name}: two columns are called {twice[0]!r}; rename one of them")
        check_header(table.fieldnames)
        for number, row in enumerate(table, start=2):
            yield number, None if None in row or None in row.values() else row
    except csv.Error as error:
        raise SchemaError(
            f"{name}: not CSV after line {table.line_num} ({error}); check for an unclosed quote"
        ) from None


def _read_csv(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Rows of a CSV file, with their numbers, in the form of a JSON line."""

    def check_header(columns: list[str]) -> None:
        unknown = [name for name in columns if name not in _COLUMNS]
        missing = [name for name in FIELDS if name not in columns]
        if unknown or missing:
            problem = f"column {unknown[0]!r} is not known" if unknown else f"column {missing[0]} is missing"
            raise SchemaError(f"{path.name} row 1: {problem}; columns are {', '.join(_COLUMNS)}")

    table = csv_rows(io.StringIO(read_text(path, "a CSV file")), path.name, FIELDS, check_header)
    rows = [(number, _from_csv(row, f"{path.name} row {number}")) for number, row in table]
    if not rows:
        raise SchemaError(f"{path.name} is empty; expected at least one row")
    return rows


def _from_csv(row: dict[str, str] | None, where: str) -> dict[str, Any]:
    if row is None:
        raise SchemaError(f"{where}: the number of cells differs from the header; quote any text that contains commas")
    cells = {name: value.strip() for name, value in row.items() if value.strip()}
    truth = cells.get("irae_detected", "").lower()
    if truth not in _TRUTH:
        raise SchemaError(f"{where}: irae_detected must be true or false")
    label = {name: cells.pop(name) for name in (*FIELDS, "evidence", "reasoning", "actions") if name in cells}
    label |= {"irae_detected": _TRUTH[truth], "causality": {"likelihood": label.pop("likelihood", None)}}
    for name, mark in _LISTS.items():
        label[name] = [part.strip() for part in label.get(name, "").split(mark) if part.strip()]
    return cells | {"expected": label}


_EXTRA = ("kind", "family", "topic", "pair")


def kind_of(label: Assessment) -> str:
    """The kind of a case whose row does not say: a negative that needs no action is "well", any other a "mimic".

    The labels alone do not tell who was never exposed, or whose irAE has resolved.
    """
    if label.irae_detected:
        return "irae"
    return "well" if label.urgency is Urgency.ROUTINE else "mimic"


def _to_row(case: LabelledCase) -> dict[str, Any]:
    note = case.case.model_dump(mode="json", exclude_defaults=True)
    if note.keys() & set(SECTIONS):
        del note["text"]  # sections, age and cancer type give it again
    extra = {name: getattr(case, name) for name in _EXTRA if getattr(case, name)}
    return {**note, "expected": case.expected.model_dump(mode="json"), **extra}


def _from_row(row: dict[str, Any], where: str) -> LabelledCase:
    if "expected" not in row:
        raise SchemaError(f"{where}: field expected is missing; a labelled case needs its assessment")
    note = {key: value for key, value in row.items() if key not in ("expected", *_EXTRA)}
    extra = {key: row[key] for key in _EXTRA if row.get(key)}
    if extra.get("kind", KINDS[0]) not in KINDS:
        raise SchemaError(
            f"{where}: kind must be one of {', '.join(KINDS)}, or absent: it then follows from the labels"
        )
    try:
        case = LabelledCase(
            case=Case.model_validate(note), expected=Assessment.model_validate(row["expected"]), **extra
        )
    except ValidationError as error:
        raise SchemaError(f"{where}: {explain(error)}") from None
    if "kind" not in extra or (case.kind == "irae" and not case.expected.irae_detected):
        case = case.model_copy(update={"kind": kind_of(case.expected)})
    return case
