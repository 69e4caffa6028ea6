"""Cases on disk: labelled cases as JSON lines, the eleven validated ones, and records for training.

A reader of a case file gets every case or an error that names file, line and field; a half-written file
never exists under its final name.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from pydantic import ValidationError

from . import prompts
from .runtime import DATA
from .schemas import SECTIONS, Assessment, Case, Record, SchemaError, explain

VALIDATED = DATA / "cases" / "validated.jsonl"


class LabelledCase(Record):
    """A case with its label. `kind` is the row of the contract it follows (irae, mimic, well ...), `family` the
    pool of phrasings it was written from, `topic` the illness, `pair` the minimal pair it is one side of; all four are
    for counting, never for the model."""

    case: Case
    expected: Assessment
    kind: str = "irae"
    family: str = ""
    topic: str = ""
    pair: str = ""


def validated_cases(path: Path = VALIDATED) -> list[LabelledCase]:
    """The eleven hand-written cases with their labels, in the order of the file."""
    return read_cases(path)


def write_cases(path: Path, cases: Iterable[LabelledCase]) -> Path:
    """Write labelled cases as JSON lines; sections stay sections."""
    return write_lines(path, (_to_row(case) for case in cases))


def read_cases(path: Path) -> list[LabelledCase]:
    """The labelled cases of a file: JSON lines, or CSV with a header (the form is in data/README.md).

    A row without an id gets one from the file's name and its place.

    Raises:
        SchemaError: the file is missing or empty, or a row is not what it must be (file, line or row, field).
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
        lost = [i for i, quote in enumerate(case.expected.evidence, start=1) if quote not in case.case.text]
        if lost:
            raise SchemaError(f"{where}: expected.evidence, quote {lost[0]} does not occur in the note word for word")
        ids[case.case.id] = number
        cases.append(case)
    return cases


_LABELS = ("irae_detected", "affected_systems", "overall_severity", "urgency", "likelihood")
_LISTS = {"affected_systems": ";", "evidence": "|", "actions": "|"}
_COLUMNS = ("id", "age", "cancer_type", "text", *SECTIONS, *_LABELS, "evidence", "reasoning", "actions", "kind")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _read_csv(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Row numbers as a spreadsheet shows them (the header is row 1) and rows in the form of a JSON line."""
    table = csv.DictReader(io.StringIO(_read_text(path, "a CSV file")), strict=True)
    try:
        columns = [name.strip() for name in table.fieldnames or ()]
        unknown = [name for name in columns if name not in _COLUMNS]
        missing = [name for name in _LABELS if name not in columns]
        if unknown or missing:
            what = f"column {unknown[0]!r} is not known" if unknown else f"column {missing[0]} is missing"
            raise SchemaError(f"{path.name} row 1: {what}; columns are {', '.join(_COLUMNS)}")
        table.fieldnames = columns
        rows = [(number, _from_csv(row, f"{path.name} row {number}")) for number, row in enumerate(table, start=2)]
    except csv.Error as error:
        raise SchemaError(f"{path.name}: not CSV near line {table.line_num}: {error}") from None
    if not rows:
        raise SchemaError(f"{path.name} holds no rows")
    return rows


def _from_csv(row: dict[str | None, Any], where: str) -> dict[str, Any]:
    if None in row or None in row.values():
        raise SchemaError(f"{where}: not as many cells as the header has columns; quote a text that holds commas")
    cells = {name: value.strip() for name, value in row.items() if value.strip()}
    truth = cells.get("irae_detected", "").lower()
    if truth not in _TRUTH:
        raise SchemaError(f"{where}: irae_detected must be true or false")
    label = {name: cells.pop(name) for name in (*_LABELS, "evidence", "reasoning", "actions") if name in cells}
    for name, mark in _LISTS.items():
        label[name] = [part.strip() for part in label.get(name, "").split(mark) if part.strip()]
    expected = label | {"irae_detected": _TRUTH[truth], "causality": {"likelihood": label.pop("likelihood", None)}}
    expected.pop("likelihood", None)
    return cells | {"expected": expected}


_EXTRA = ("kind", "family", "topic", "pair")


def _to_row(case: LabelledCase) -> dict[str, Any]:
    note = case.case.model_dump(mode="json", exclude_defaults=True)
    if len(note.keys() - {"id", "text"}) > 0:
        note.pop("text")
    extra = {name: getattr(case, name) for name in _EXTRA if getattr(case, name)}
    return {**note, "expected": case.expected.model_dump(mode="json"), **extra}


def _from_row(row: dict[str, Any], where: str) -> LabelledCase:
    if "expected" not in row:
        raise SchemaError(f"{where}: field expected is missing; a labelled case needs its assessment")
    note = {key: value for key, value in row.items() if key not in ("expected", *_EXTRA)}
    try:
        return LabelledCase(
            case=Case.model_validate(note),
            expected=Assessment.model_validate(row["expected"]),
            **{key: row[key] for key in _EXTRA if key in row},
        )
    except ValidationError as error:
        raise SchemaError(f"{where}: {explain(error)}") from None


# --- records for training -------------------------------------------------------------------------------


def to_prompt_completion(case: LabelledCase, prompt: prompts.Prompt = prompts.COMPACT) -> dict[str, Any]:
    """A row in TRL's conversational prompt/completion form, so that the loss sees the answer only."""
    return {
        "id": case.case.id,
        "prompt": prompts.messages(case.case, prompt),
        "completion": prompts.target(case.expected),
    }


def to_messages(case: LabelledCase, prompt: prompts.Prompt = prompts.COMPACT) -> dict[str, Any]:
    """A row in `messages` form, the instruction-tuning format most trainers read."""
    return {"id": case.case.id, "messages": prompts.messages(case.case, prompt) + prompts.target(case.expected)}


def read_training_file(path: Path) -> list[dict[str, Any]]:
    """Rows of a training file as `{"id", "prompt", "completion"}`, whichever of the two forms the file has.

    Every completion must parse as an `Assessment`: a model is never taught an answer the library would refuse.

    Raises:
        SchemaError: with file, line, field and what is allowed there.
    """
    return [_training_row(row, f"{Path(path).name} line {number}") for number, row in read_lines(Path(path))]


def _training_row(row: dict[str, Any], where: str) -> dict[str, Any]:
    if "messages" in row:
        turns = row["messages"]
        prompt, completion = (turns[:-1], turns[-1:]) if isinstance(turns, list) else (turns, None)
    else:
        missing = [key for key in ("prompt", "completion") if key not in row]
        if missing:
            raise SchemaError(f"{where}: field {missing[0]} is missing; expected prompt and completion, or messages")
        prompt, completion = row["prompt"], row["completion"]
    _check_turns(prompt, f"{where}: prompt", last="user")
    _check_turns(completion, f"{where}: completion", last="assistant")
    try:
        Assessment.model_validate(json.loads(completion[-1]["content"]))
    except json.JSONDecodeError as error:
        raise SchemaError(f"{where}: completion is not JSON: {error.msg} at character {error.pos}") from None
    except ValidationError as error:
        raise SchemaError(f"{where}: completion.{explain(error)}") from None
    return {"id": str(row.get("id", where)), "prompt": prompt, "completion": completion}


def _check_turns(turns: Any, where: str, *, last: str) -> None:
    good = (
        isinstance(turns, list)
        and turns
        and all(
            isinstance(turn, dict)
            and isinstance(turn.get("content"), str)
            and turn.get("role") in ("user", "assistant")
            for turn in turns
        )
    )
    if not good:
        raise SchemaError(f"{where} must be a list of turns, each with role (user or assistant) and content")
    if turns[-1]["role"] != last:
        raise SchemaError(f"{where} must end with the role {last}, found {turns[-1]['role']}")


# --- JSON lines -----------------------------------------------------------------------------------------


def read_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Line numbers (from 1) and decoded objects of a JSON-lines file; blank lines are skipped.

    Raises:
        SchemaError: missing or empty file, bad encoding, or a line that is not one JSON object.
    """
    path = Path(path)
    lines = _read_text(path, "a JSON-lines file").split("\n")  # not splitlines(): U+2028 is legal inside JSON
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise SchemaError(f"{path.name} line {number}: not JSON: {error.msg} at column {error.colno}") from None
        if not isinstance(row, dict):
            raise SchemaError(f"{path.name} line {number}: expected a JSON object, found {type(row).__name__}")
        rows.append((number, row))
    if not rows:
        raise SchemaError(f"{path.name} holds no rows")
    return rows


def _read_text(path: Path, expected: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # spreadsheets put a byte-order mark before UTF-8
    except FileNotFoundError:
        raise SchemaError(f"{path.name} not found in {path.parent.name or '.'}/; expected {expected}") from None
    except UnicodeDecodeError as error:
        raise SchemaError(f"{path.name}: not UTF-8 at byte {error.start}; save the file as UTF-8") from None


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Write JSON lines aside, one by one, and move them into place, so that a broken run leaves no half file."""
    with _aside(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return Path(path)


def write_text(path: Path, text: str) -> Path:
    """Write a text file atomically (UTF-8, newline as given); makes the folder."""
    with _aside(path) as file:
        file.write(text)
    return Path(path)


def write_first(path: Path, text: str) -> Path:
    """As `write_text`, but leave what is there already: of machines that start in one moment, one has written it."""
    with _aside(path, replace=False) as file:
        file.write(text)
    return Path(path)


@contextlib.contextmanager
def _aside(path: Path, *, replace: bool = True) -> Iterator[TextIO]:
    """A file that takes the place of `path` once all of it is written."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")  # machines that share a folder share pids
    try:
        with aside.open("w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or the name may outlive the bytes where the power goes
        if replace or not _linked(aside, path):
            os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _linked(aside: Path, path: Path) -> bool:
    """Give a file its name unless that is taken; False where the file system has no hard links."""
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    except OSError:
        return False
    return True


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as 64 hex digits."""
    with Path(path).open("rb") as file:  # block by block: a file of notes may be larger than memory
        return hashlib.file_digest(file, "sha256").hexdigest()
