"""The worklist of a screening run: the notes that a person must read, worst first, as a table, JSON lines and a page.

`write_worklist` reads the stored rows, not the notes. The files hold no note text except the quotes of the rules and of
the model. Memory grows with the worklist, not with the run.
"""

from __future__ import annotations

import csv
import heapq
import io
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..cases import csv_rows
from ..errors import SchemaError, explain
from ..files import read_lines, read_text, replace_file, write_lines, write_text
from ..safety.reviews import NOT_ASSESSED
from ..schemas import Record, Severity, Urgency
from .shards import Shards
from .worklist_page import worklist_page

CSV_NAME, JSON_NAME, PAGE_NAME = "worklist.csv", "worklist.jsonl", "worklist.html"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run a cell that begins with one of these
_MOST_REASONS = 3


class Task(Record):
    """A note that a person must read: an alert, or a note that was not assessed.

    `place` is the row in the file of notes, from 0. `grade` and `urgency` are "not assessed" where the rules did not
    understand the note and called nothing; `not_understood` says why. `reason` and `quote` come from the rules that
    raised, else from the model.
    """

    place: int
    id: str
    site: str = ""
    date: str = ""
    grade: str
    urgency: str
    organ_systems: str = ""
    reason: str = ""
    quote: str = ""
    assessed: bool = True
    not_understood: str = ""


def write_worklist(out: Path) -> list[Path]:
    """Write `worklist.csv`, `worklist.jsonl` and `worklist.html` of a screening folder; returns their paths.

    The model's row of a note counts where there is one, else the row of the rules. Order: emergency, urgent, not
    assessed, soon, routine; within these by grade, then as in the file.
    """
    tasks = sorted(_tasks(Path(out)), key=_rank)
    rows = [task.model_dump() for task in tasks]
    table = Path(out) / CSV_NAME
    with replace_file(table) as aside, aside.open("w", encoding="utf-8-sig", newline="") as file:  # as Excel expects it
        writer = csv.DictWriter(file, Task.model_fields)
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    lines = write_lines(Path(out) / JSON_NAME, rows)
    page = worklist_page(tasks, run=Path(out).resolve().name, table=CSV_NAME)
    return [table, lines, write_text(Path(out) / PAGE_NAME, page)]


def read_worklist(path: Path) -> list[Task]:
    """The tasks of a worklist in their order, from CSV or JSON lines.

    Raises:
        SchemaError: the file is missing, empty, or not a worklist.
    """
    path = Path(path)
    if path.suffix.lower() == ".csv":
        lines = io.StringIO(read_text(path, "a worklist of a screening run"))
        cells = csv_rows(lines, path.name, Task.model_fields)
        rows = [(number, row and {name: _plain(cell) for name, cell in row.items()}) for number, row in cells]
    else:
        rows = read_lines(path)
    tasks = []
    for number, row in rows:
        try:
            tasks.append(Task.model_validate(row))
        except ValidationError as error:
            raise SchemaError(f"{path.name} row {number}: not a row of a worklist ({explain(error)})") from None
    return tasks


def _tasks(out: Path) -> Iterator[Task]:
    stages = (Shards(out / name).rows() for name in ("model", "rules"))  # of equal places, merge yields the first's
    for _, rows in groupby(heapq.merge(*stages, key=itemgetter("place")), itemgetter("place")):
        row = next(rows)
        if row.get("final", {}).get("alert") or "not_assessed" in row:
            yield _task(row)


def _task(row: Mapping[str, Any]) -> Task:
    called = row.get("at_least", row["final"])
    raises = sorted(row["raises"], key=lambda one: one["to"].get("urgency") != called["urgency"])[:_MOST_REASONS]
    reasons, quotes = [one["reason"] for one in raises], [one["quote"] for one in raises if one["quote"]]
    if not raises and "model" in row:
        reasons, quotes = [f"model: {row['model']['reasoning']}"], row["model"]["evidence"][:1]
    systems = called["affected_systems"]
    return Task(
        **{name: row[name] for name in ("place", "id", "site", "date") if name in row},
        grade=called["overall_severity"],
        urgency=called["urgency"],
        organ_systems="" if systems == NOT_ASSESSED else ", ".join(systems),
        reason="; ".join(reasons),
        quote=" | ".join(quotes),
        assessed="not_assessed" not in row,
        not_understood="; ".join(row.get("not_assessed", ())),
    )


_UNREAD = Urgency.SOON.level + 0.5  # not assessed: it may hold anything, so it goes before what can wait a day


def _rank(task: Task) -> tuple[float, int, int]:
    """Sort key: the smallest is read first."""
    urgency = Urgency(task.urgency).level if task.urgency != NOT_ASSESSED else 0
    grade = Severity(task.grade).level if task.grade != NOT_ASSESSED else 0
    return -max(urgency, 0 if task.assessed else _UNREAD), -grade, task.place


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
