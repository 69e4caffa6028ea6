"""Open what a reviewer reads: labeled cases, notes without labels, or the notes of a screening run's worklist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..cases import LabelledCase, read_cases, validated_cases
from ..errors import SchemaError
from ..files import encoding_of
from ..schemas import Assessment, Case
from ..screening.notes import Note, read_notes
from ..screening.worklist import Task, read_worklist


class ToReview(NamedTuple):
    """A case to review. `kind` and `label` are those of a labeled case; `why` says why it is on a worklist.

    `assessed` is False if the screening did not assess the note: then no field is filled in, whatever is assumed here.
    """

    case: Case
    kind: str = ""
    label: Assessment | None = None
    why: str = ""
    assessed: bool = True


class Opened(NamedTuple):
    """The cases to review, in order, and a sentence for each thing that the reader of the files should know."""

    cases: list[ToReview]
    remarks: list[str]

    @property
    def labels(self) -> dict[str, Assessment]:
        """The labels by case id; empty for notes without labels."""
        return {item.case.id: item.label for item in self.cases if item.label}


def to_review(cases: Iterable[LabelledCase]) -> list[ToReview]:
    """Labeled cases as cases to review."""
    return [ToReview(case.case, case.kind, case.expected) for case in cases]


def open_cases(cases_file: str | Path = "", worklist_file: str | Path = "") -> Opened:
    """Open the cases of a file, by default the eleven validated ones.

    Args:
        cases_file: labeled cases (data/README.md), or notes as screening reads them (JSON lines, CSV, Parquet).
        worklist_file: a worklist of the screening run that read `cases_file`: only its notes, in its order.

    Raises:
        SchemaError: a file is missing or damaged, holds no note, or the worklist is that of another file.
    """
    if worklist_file and not cases_file:
        raise SchemaError("a worklist holds no notes; give the file that was screened as cases_file, too")
    if worklist_file:
        return _open_worklist(Path(cases_file), Path(worklist_file))
    if not cases_file:
        return Opened(to_review(validated_cases()), [])
    path = Path(cases_file)
    if has_labels(path):
        return Opened(to_review(read_cases(path)), [])
    notes, remarks = _readable(read_notes(path))
    if not notes:
        raise SchemaError(f"{path.name}: no row holds a note; expected at least one. {' '.join(remarks)}".strip())
    return Opened(_named(ToReview(_with_id(note)) for note in notes), ["no labels in this file", *remarks])


def has_labels(path: Path) -> bool:
    """Whether a file holds labeled cases, judged by its header or first line; False where that cannot be read."""
    try:
        with path.open(encoding=encoding_of(path), errors="replace") as lines:
            first = next(filter(str.strip, lines), "")
        if path.suffix.lower() == ".csv":
            return "irae_detected" in {column.strip(' "\n') for column in re.split("[,;\t]", first)}
        return path.suffix.lower() != ".parquet" and "expected" in json.loads(first)
    except (OSError, ValueError, TypeError):
        return False


def _open_worklist(path: Path, worklist: Path) -> Opened:
    tasks = read_worklist(worklist)
    if not tasks:
        raise SchemaError(f"{worklist.name} has no rows: no note of that run needs a person")
    places = {task.place for task in tasks}
    notes = {note.place: note for note in read_notes(path, wanted=places.__contains__)}
    for task in tasks:
        if task.place not in notes or notes[task.place].id != task.id:
            raise SchemaError(
                f"{worklist.name} belongs to another file: its note {task.id!r} is not in row {task.place + 1} of "
                f"{path.name}. Give the file that was screened as cases_file"
            )
    readable, remarks = _readable(notes[task.place] for task in tasks)
    left = {note.place for note in readable}
    numbered = [(number, task) for number, task in enumerate(tasks, start=1) if task.place in left]
    items = (
        ToReview(_with_id(notes[t.place]), why=_why(number, len(tasks), t), assessed=t.assessed)
        for number, t in numbered
    )
    return Opened(_named(items), [f"the {len(tasks)} notes of {worklist.name}, worst first", *remarks])


def _why(number: int, total: int, task: Task) -> str:
    """Why the note is on the worklist, in one line."""
    found = ", ".join(filter(None, (task.urgency, task.grade, task.organ_systems)))
    said = found if task.assessed else f"not assessed: {task.not_understood}"
    return f"{number} of {total} on the worklist: {said}{f'. {task.reason}' if task.reason else ''}"


def _readable(notes: Iterable[Note]) -> tuple[list[Note], list[str]]:
    """The rows that are notes, and a remark on those that are not: how many, and the first one's reason."""
    notes = list(notes)
    good, bad = [note for note in notes if note.case], [note for note in notes if not note.case]
    first = (
        f"{len(bad)} of {len(notes)} rows are not notes and are left out, first: row {bad[0].place + 1}, "
        if bad
        else ""
    )
    return good, [first + bad[0].problem] if bad else []


def _with_id(note: Note) -> Case:
    return note.case.model_copy(update={"id": note.id})


def _named(items: Iterable[ToReview]) -> list[ToReview]:
    """The cases with ids of their own: a second note with the same id gets its number, so that none is lost."""
    return list(_renamed(items))


def _renamed(items: Iterable[ToReview]) -> Iterator[ToReview]:
    seen: dict[str, int] = {}
    for item in items:
        name = item.case.id
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            item = item._replace(case=item.case.model_copy(update={"id": f"{name} (note {seen[name]} of this id)"}))
        yield item
