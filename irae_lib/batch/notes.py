"""Notes by the million: a file is read row by row, and a row that is no note is an answer too, with its reason.

JSON lines (`id`, and `text` or sections, as in data/README.md), CSV with the same columns, or Parquet. Labels, where
there are any, are left aside. Memory does not grow with the file.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from ..cases import file_sha256
from ..schemas import SECTIONS, Case, SchemaError, explain

LONGEST = 20_000  # characters; a long discharge letter has about 8,000
FORMS = (".jsonl", ".csv", ".parquet")
_FIELDS = ("id", "age", "cancer_type", "text", *SECTIONS)


class Note(NamedTuple):
    """One row: its place in the file (from 0), an id, and the case; or no case, and the reason."""

    place: int
    id: str
    case: Case | None
    problem: str = ""
    site: str = ""
    date: str = ""


def read_notes(
    path: Path, *, site: str = "", date: str = "", wanted: Callable[[int], bool] = lambda place: True
) -> Iterator[Note]:
    """Every row of a file, in order.

    Args:
        site, date: names of columns to count alerts by in `monitor`; kept with the row, never shown to a model. Of a
            date the day, its first ten characters.
        wanted: by place (from 0); a row that is not is passed over unread.

    Raises:
        SchemaError: the file is not there or of another form. A bad row is no error but a `Note` without case.
    """
    path = _checked(path)
    rows = {".jsonl": _json_rows, ".csv": _csv_rows, ".parquet": _parquet_rows}[path.suffix.lower()](path)
    return (_note(place, row, path.stem, site, date) for place, row in enumerate(rows) if wanted(place))


def hash_of(path: Path) -> str:
    """SHA-256 of a file of notes. Raises SchemaError as `read_notes`."""
    return file_sha256(_checked(path))


def _checked(path: Path) -> Path:
    path = Path(path)
    if path.suffix.lower() not in FORMS:
        raise SchemaError(f"{path.name}: the form is told by the ending; expected one of {', '.join(FORMS)}")
    if not path.is_file():
        raise SchemaError(f"{path.name} not found in {path.parent.name or '.'}/")
    return path


def _note(place: int, row: dict[str, Any] | str, stem: str, site: str, date: str) -> Note:
    name = f"{stem}-{place + 1}"
    if isinstance(row, str):
        return Note(place, name, None, row)
    found = {key: value for key, value in row.items() if key in _FIELDS and value not in (None, "", [])}
    about = {"site": str(row.get(site, "")) if site else "", "date": str(row.get(date, ""))[:10] if date else ""}
    name = str(found.get("id", name))[:200]
    if not found.keys() & {"text", *SECTIONS}:
        there = ", ".join(sorted(map(str, row))[:8]) or "nothing"
        return Note(
            place, name, None, f"no note in it: expected text, or {', '.join(SECTIONS)}; found {there}", **about
        )
    try:
        case = Case.model_validate(found | {"id": name})
    except ValidationError as error:
        return Note(place, name, None, explain(error), **about)
    if len(case.text) > LONGEST:
        return Note(
            place, name, None, f"{len(case.text):,} characters, more than {LONGEST:,}; cut it in parts", **about
        )
    return Note(place, name, case, **about)


def _json_rows(path: Path) -> Iterator[dict[str, Any] | str]:
    with path.open("rb") as lines:
        for line in lines:
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (UnicodeDecodeError, json.JSONDecodeError) as error:
                yield f"not JSON ({type(error).__name__})"
                continue
            yield row if isinstance(row, dict) else f"expected a JSON object, found {type(row).__name__}"


def _csv_rows(path: Path) -> Iterator[dict[str, Any] | str]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        for row in csv.DictReader(file):
            if None in row or None in row.values():
                yield "not as many cells as the header has columns"
            else:
                yield {key.strip(): value for key, value in row.items()}


def _parquet_rows(path: Path) -> Iterator[dict[str, Any] | str]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=256):
            yield from batch.to_pylist()
