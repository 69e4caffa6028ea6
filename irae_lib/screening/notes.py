"""Notes by the million: a file is read row by row, and a row that is no note is an answer too, with its reason.

JSON lines (`id`, and `text` or sections, as in data/README.md), CSV with the same columns, or Parquet. Labels, where
there are any, are left aside. Memory does not grow with the file.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from ..errors import SchemaError, explain
from ..files import file_sha256
from ..schemas import SECTIONS, Case

LONGEST = 20_000  # characters; a long discharge letter has about 8,000
FROM_NOTE = "note"  # of exposure: as the note says
_CELLS = {True: "yes y true 1 1.0", False: "no n false 0 0.0", None: "unknown na n/a nan none"}
_EXPOSED = {"": None} | {word: known for known, words in _CELLS.items() for word in words.split()}
FORMS = (".jsonl", ".csv", ".parquet")
_TEXTS = {"text", *SECTIONS}
_FIELDS = {"id", "age", "cancer_type"} | _TEXTS
_EXPECTED = f"expected text, or {', '.join(SECTIONS)}"
_CELL = 10_000_000  # characters; Python's own limit would end the file at a cell that only is too long a note


class Note(NamedTuple):
    """One row: its place in the file (from 0), an id, and the case; or no case, and the reason.

    `exposed` is what is known from elsewhere of a checkpoint inhibitor; None leaves it to the note.
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
    """Every row of a file, in order.

    Args:
        site, date: names of columns to count alerts by in `monitor`; kept with the row, never shown to a model. Of a
            date the day, its first ten characters.
        exposed: whether the patients are on or after a checkpoint inhibitor: "yes" for all, "note" as each note says,
            else the name of a column with yes, no or nothing.
        wanted: by place (from 0); no note is made of a row that is not.

    Raises:
        SchemaError: the file is not there, of another form, broken, or has no column of these names. A bad row is no
            error but a `Note` without case.
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
    """SHA-256 of a file of notes. Raises SchemaError as `read_notes`."""
    return file_sha256(_checked(path))


def count_rows(path: Path) -> int:
    """How many rows a file has, notes or not. Raises SchemaError as `read_notes`."""
    return sum(1 for _ in _rows_of(_checked(path)))


def _checked(path: Path) -> Path:
    path = Path(path)
    if path.suffix.lower() not in FORMS:
        raise SchemaError(f"{path.name}: the form is told by the ending; expected one of {', '.join(FORMS)}")
    if not path.is_file():
        raise SchemaError(f"{path.name} not found in {path.parent.name or '.'}/")
    return path


def _check_columns(path: Path, asked: dict[str, str]) -> None:
    """A column that is misspelt would be counted as one group without a name, after a night's work."""
    missing = {what: column for what, column in asked.items() if column}
    rows = islice(_rows_of(path), 10_000) if missing else ()
    for row in rows:
        if isinstance(row, dict):
            missing = {what: column for what, column in missing.items() if column not in row}
        if not missing:
            return
    for what, column in missing.items():
        raise SchemaError(f"{path.name}: no column {column!r} to count by ({what}) in its first 10,000 rows")


def _note(place: int, row: dict[str, Any] | str, stem: str, site: str, date: str) -> Note:
    name = f"{stem}-{place + 1}"
    if isinstance(row, str):
        return Note(place, name, None, row)
    found = {key: value for key, value in row.items() if key in _FIELDS and value not in (None, "", [])}
    about = {"site": _plain(row.get(site)) if site else "", "date": _plain(row.get(date))[:10] if date else ""}
    name = _plain(found.get("id", name))[:200]
    if not found.keys() & _TEXTS:
        # Columns are counted, not named: where a header is missing, their names are a note.
        return Note(place, name, None, f"no note in it: {_EXPECTED}; {len(row)} columns are there", **about)
    try:
        case = Case.model_validate(found | {"id": name})
    except ValidationError as error:
        return Note(place, name, None, explain(error), **about)
    if len(case.text) > LONGEST:
        return Note(
            place, name, None, f"{len(case.text):,} characters, more than {LONGEST:,}; cut it in parts", **about
        )
    return Note(place, name, case, **about)


def _with_exposure(note: Note, row: dict[str, Any] | str, exposed: str) -> Note:
    """The note with what is known of a checkpoint inhibitor; a cell that says neither yes nor no is a bad row."""
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
    """A cell as text that can be written: half a surrogate pair, as broken exports have them, becomes "?"."""
    return "" if value is None else str(value).encode("utf-8", "replace").decode()


def _rows_of(path: Path) -> Iterator[dict[str, Any] | str]:
    return {".jsonl": _json_rows, ".csv": _csv_rows, ".parquet": _parquet_rows}[path.suffix.lower()](path)


def _json_rows(path: Path) -> Iterator[dict[str, Any] | str]:
    with path.open("rb") as lines:
        for line in lines:
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:  # also a number of 5,000 digits, and a thousand brackets
                yield f"not JSON ({type(error).__name__})"
                continue
            yield row if isinstance(row, dict) else f"expected a JSON object, found {type(row).__name__}"


def _csv_rows(path: Path) -> Iterator[dict[str, Any] | str]:
    csv.field_size_limit(_CELL)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.DictReader(file, strict=True)  # a quote in the wrong place would join two patients' notes
        try:
            _check_header(path, map(str.strip, rows.fieldnames or ()))
            for row in rows:
                if None in row or None in row.values():
                    yield "not as many cells as the header has columns"
                else:
                    yield {key.strip(): value for key, value in row.items()}
        except csv.Error as error:
            raise SchemaError(
                f"{path.name}: no CSV after line {rows.line_num} ({error}); is a quote not closed?"
            ) from None


def _parquet_rows(path: Path) -> Iterator[dict[str, Any] | str]:
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            _check_header(path, file.schema_arrow.names)
            for batch in file.iter_batches(batch_size=256):
                yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise SchemaError(f"{path.name}: no Parquet, or a broken one ({type(error).__name__})") from None


def _check_header(path: Path, names: Iterable[str]) -> None:
    """Of a table: without a column for the note not one row can be read."""
    if _TEXTS.isdisjoint(names):
        raise SchemaError(f"{path.name}: no column holds a note; {_EXPECTED}, with commas between columns in CSV")
