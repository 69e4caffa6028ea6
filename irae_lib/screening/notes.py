"""Read notes row by row; a row that cannot be read is reported with its place and the reason.

JSON lines, CSV or Parquet with `id` and `text`, or sections as in data/README.md. Labels are ignored. Memory does not
grow with the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from ..cases import CASE_COLUMNS, TEXT_COLUMNS, csv_rows
from ..errors import SchemaError, explain
from ..files import UTF_8, encoding_of, file_sha256, refuse_document
from ..schemas import SECTIONS, Case

FROM_NOTE = "note"  # exposure as the note states it
_CELLS = {True: "yes y true 1 1.0", False: "no n false 0 0.0", None: "unknown na n/a nan none"}
_EXPOSED = {"": None} | {word: known for known, words in _CELLS.items() for word in words.split()}
_EXPECTED = f"expected text, or {', '.join(SECTIONS)}"


class Note(NamedTuple):
    """One row: its place in the file (from 0), an id, and the case. Without a case, `problem` is the reason.

    `exposed` is checkpoint inhibitor exposure known from elsewhere; None leaves it to the note.
    """

    place: int
    id: str
    case: Case | None
    problem: str = ""
    site: str = ""
    date: str = ""
    exposed: bool | None = None


def read_notes(
    path: Path,
    *,
    site: str = "",
    date: str = "",
    exposed: str = FROM_NOTE,
    wanted: Callable[[int], bool] = lambda place: True,
) -> Iterator[Note]:
    """Read every row of a file, in order.

    Args:
        site, date: columns that `monitor` counts alerts by; stored with the row, never shown to a model. Of a date,
            only the day is stored (its first ten characters).
        exposed: whether the patients are on or after a checkpoint inhibitor: "yes" for all, "note" to go by each
            note, else the name of a column with yes, no or nothing.
        wanted: whether a place (from 0) is wanted; other rows are skipped.

    Raises:
        SchemaError: the file is missing, damaged, in another format, or lacks one of these columns. A bad row is not an
            error but a `Note` without a case.
    """
    path = _checked(path)
    rows = _rows_of(path)
    column = "" if exposed in ("yes", FROM_NOTE) else exposed
    _check_columns(path, {"site": site, "date": date, "exposed": column})
    return (
        _with_exposure(_note(place, row, path.stem, site, date), row, exposed)
        for place, row in enumerate(rows)
        if wanted(place)
    )


def hash_of(path: Path) -> str:
    """SHA-256 of a file of notes. Raises SchemaError like `read_notes`."""
    return file_sha256(_checked(path))


def encoding_of_notes(path: Path) -> str:
    """How a file of notes is decoded (see `files.encoding_of`). Raises SchemaError like `read_notes`."""
    return UTF_8 if _checked(path).suffix.lower() == ".parquet" else encoding_of(path)


def count_rows(path: Path) -> int:
    """Number of rows in a file, readable or not. Raises SchemaError like `read_notes`."""
    return sum(1 for _ in _rows_of(_checked(path)))


def _checked(path: Path) -> Path:
    path = Path(path)
    if path.suffix.lower() not in _READERS:
        raise SchemaError(
            f"{path.name}: unknown file type; expected a name that ends in one of {', '.join(_READERS)}. From Excel, save "
            "as CSV UTF-8"
        )
    if not path.is_file():
        raise SchemaError(f"{path.name} not found in {path.parent.name or '.'}/")
    return path


def _check_columns(path: Path, columns: dict[str, str]) -> None:
    """Reject a misspelled column before the run: it would count all rows as one unnamed group."""
    missing = {name: column for name, column in columns.items() if column}
    for row in islice(_rows_of(path), 10_000) if missing else ():
        if isinstance(row, dict):
            missing = {name: column for name, column in missing.items() if column not in row}
        if not missing:
            return
    for name, column in missing.items():
        raise SchemaError(f"{path.name}: no column {column!r} to count by ({name}) in its first 10,000 rows")


def _note(place: int, row: dict[str, Any] | str, stem: str, site: str, date: str) -> Note:
    note = Note(place, f"{stem}-{place + 1}", None)
    if isinstance(row, str):
        return note._replace(problem=row)
    cells = {name: _given(row.get(name)) for name in CASE_COLUMNS}
    cells = {name: value for name, value in cells.items() if value not in (None, "", [])}
    note = note._replace(
        id=_plain(cells.get("id", note.id))[:200],
        site=_plain(row.get(site)) if site else "",
        date=_plain(row.get(date))[:10] if date else "",
    )
    if cells.keys().isdisjoint(TEXT_COLUMNS):
        # Columns are counted, not named: in a file without a header, the column names are note text.
        return note._replace(problem=f"no note in it: {_EXPECTED}; {len(row)} columns are there")
    try:
        return note._replace(case=_case(cells | {"id": note.id}))
    except ValidationError as error:
        return note._replace(problem=explain(error))


def _case(cells: dict[str, Any]) -> Case:
    """The case of a row. A cell about the patient that cannot be read is left out: the note is what matters."""
    try:
        return Case.model_validate(cells)
    except ValidationError as error:
        unread = {problem["loc"][0] for problem in error.errors(include_input=False) if problem["loc"]}
        if not unread <= {"age", "cancer_type"} or not unread:
            raise
        return Case.model_validate({name: value for name, value in cells.items() if name not in unread})


def _given(value: Any) -> Any:
    """A cell without the missing values of data frames: NaN, and None within a list."""
    if isinstance(value, list):
        return [item for item in value if item not in (None, "")]
    return None if isinstance(value, float) and math.isnan(value) else value


def _with_exposure(note: Note, row: dict[str, Any] | str, exposed: str) -> Note:
    """Add the known checkpoint inhibitor exposure; a cell other than yes, no or nothing makes a bad row."""
    if note.case is None or exposed == FROM_NOTE:
        return note
    if exposed == "yes":
        return note._replace(exposed=True)
    cell = _plain(row.get(exposed)).strip().lower()
    if cell not in _EXPOSED:
        problem = f"column {exposed!r} says neither yes nor no; expected yes, no or nothing"
        return note._replace(case=None, problem=problem)
    return note._replace(exposed=_EXPOSED[cell])


def _plain(value: object) -> str:
    """A cell as encodable text: half a surrogate pair, as in broken exports, becomes "?"."""
    return "" if value is None else str(value).encode("utf-8", "replace").decode()


def _rows_of(path: Path) -> Iterator[dict[str, Any] | str]:
    """Rows by column name; for an unreadable row, a description of the problem."""
    return _READERS[path.suffix.lower()](path)


def _json_rows(path: Path) -> Iterator[dict[str, Any] | str]:
    with path.open(encoding=encoding_of(path), errors="replace", newline="\n") as lines:
        first = True
        for line in filter(str.strip, lines):
            if first:
                refuse_document(path, line)
                first = False
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:  # also a 5,000-digit number or a thousand brackets
                yield f"not JSON ({type(error).__name__})"
                continue
            yield row if isinstance(row, dict) else f"expected a JSON object, found {type(row).__name__}"


def _csv_rows(path: Path) -> Iterator[dict[str, Any] | str]:
    with path.open(encoding=encoding_of(path), errors="replace", newline="") as lines:
        for _, row in csv_rows(lines, path.name, TEXT_COLUMNS, lambda columns: _check_header(path, columns)):
            yield row or "not as many cells as the header has columns"


def _parquet_rows(path: Path) -> Iterator[dict[str, Any] | str]:
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            _check_header(path, file.schema_arrow.names)
            for batch in file.iter_batches(batch_size=256):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise SchemaError(f"{path.name}: not a Parquet file, or a damaged one ({type(error).__name__})") from None


_READERS = {".jsonl": _json_rows, ".csv": _csv_rows, ".tsv": _csv_rows, ".parquet": _parquet_rows}


def _check_header(path: Path, columns: Iterable[str]) -> None:
    """Reject a table without a note column: none of its rows could be read."""
    if set(columns).isdisjoint(TEXT_COLUMNS):
        raise SchemaError(
            f"{path.name}: no column holds a note; {_EXPECTED}, with commas, semicolons or tabs between columns"
        )
