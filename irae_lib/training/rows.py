"""Build training rows from cases, read them from files, and measure their length in tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .. import prompts
from ..cases import LabelledCase
from ..errors import SchemaError, explain
from ..files import file_sha256, read_lines
from ..schemas import Assessment

TRAINING_FILE = "training_file.txt"  # in a run folder: the path of the training file given to 02


def to_prompt_completion(case: LabelledCase) -> dict[str, Any]:
    """A row in TRL's conversational prompt/completion form, so that the loss covers the answer only."""
    return {"id": case.case.id, "prompt": prompts.messages(case.case), "completion": prompts.target(case.expected)}


def to_messages(case: LabelledCase) -> dict[str, Any]:
    """A row in `messages` form, the instruction-tuning format that most trainers read."""
    return {"id": case.case.id, "messages": prompts.messages(case.case) + prompts.target(case.expected)}


def read_training_file(path: Path) -> list[dict[str, Any]]:
    """Rows of a training file as `{"id", "prompt", "completion"}`, from either of the two forms.

    Every completion must parse as an `Assessment`, so that a model never learns an answer the library would refuse.

    Raises:
        SchemaError: names the file, the line, the field and its allowed values.
    """
    return [_training_row(row, f"{Path(path).name} line {number}") for number, row in read_lines(Path(path))]


def _training_row(row: dict[str, Any], where: str) -> dict[str, Any]:
    if "messages" in row:
        turns = row["messages"]
        prompt, completion = (turns[:-1], turns[-1:]) if isinstance(turns, list) else (turns, None)
    else:
        for key in ("prompt", "completion"):
            if key not in row:
                raise SchemaError(f"{where}: field {key} is missing; expected prompt and completion, or messages")
        prompt, completion = row["prompt"], row["completion"]
    _check_turns(prompt, f"{where}: prompt", last="user")
    _check_turns(completion, f"{where}: completion", last="assistant")
    _check_order(prompt + completion, where)
    try:
        Assessment.model_validate(json.loads(completion[-1]["content"]))
    except json.JSONDecodeError as error:
        raise SchemaError(f"{where}: completion is not JSON: {error.msg} at character {error.pos}") from None
    except ValidationError as error:
        raise SchemaError(f"{where}: completion.{explain(error)}") from None
    return {"id": str(row.get("id", where)), "prompt": prompt, "completion": completion}


_OTHER_ROLES = {"system": "Gemma has no such role: begin the first user turn with its text", "model": "write assistant"}


def _check_turns(turns: Any, where: str, *, last: str) -> None:
    """Check the form of each turn, without repeating its text."""
    if not (isinstance(turns, list) and turns and all(isinstance(turn, dict) for turn in turns)):
        raise SchemaError(f"{where} must be a list of turns, each with role (user or assistant) and content")
    for number, turn in enumerate(turns, start=1):
        role, content = turn.get("role"), turn.get("content")
        if role not in ("user", "assistant"):
            advice = _OTHER_ROLES.get(role if isinstance(role, str) else "", "expected user or assistant")
            raise SchemaError(f"{where}, turn {number}: the role is neither user nor assistant; {advice}")
        if not isinstance(content, str):
            advice = "join the texts of its parts into one" if isinstance(content, list) else "write the text there"
            raise SchemaError(f"{where}, turn {number}: content is a {type(content).__name__}, expected text; {advice}")
        if prompts.CONTROL.search(content):
            raise SchemaError(
                f"{where}, turn {number}: content holds a control token of Gemma such as <end_of_turn>; remove it, the "
                "chat template adds them"
            )
    if turns[-1]["role"] != last:
        raise SchemaError(f"{where} must end with the role {last}, found {turns[-1]['role']}")


def _check_order(turns: list[dict[str, str]], where: str) -> None:
    """Gemma's chat template accepts turns of user and assistant by turns only, and fails without naming the row."""
    for number, turn in enumerate(turns, start=1):
        expected = "user" if number % 2 else "assistant"
        if turn["role"] != expected:
            raise SchemaError(
                f"{where}, turn {number}: the role is {turn['role']}, expected {expected}: turns alternate, user first. "
                "Join turns of one role, or remove the one too many"
            )


def notes_of(rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    """The notes of training rows by id: the last question, without the instructions of this project's prompts."""
    asked = {row["id"]: row["prompt"][-1]["content"] for row in rows}
    return {name: text.partition(prompts.NOTE)[2] or text for name, text in asked.items()}


def notes_trained_on(run: Path, record: dict[str, Any]) -> dict[str, str] | None:
    """The notes that an adapter was trained on, by id, if its training file is that of the run or `TRAINING_FILE`.

    Returns None if neither is the file of the adapter's record: it was moved or changed.
    """
    paths, elsewhere = [run / "data" / "train.jsonl"], run / TRAINING_FILE
    if elsewhere.is_file():
        paths.append(Path(elsewhere.read_text(encoding="utf-8")))
    for path in paths:
        if path.is_file() and file_sha256(path) == record["data_sha256"]:
            return notes_of(read_training_file(path))
    return None


def token_lengths(tokenizer, rows: list[dict[str, Any]]) -> dict[str, int]:
    """Tokens of prompt and answer together, per case id."""
    texts = (tokenizer.apply_chat_template(row["prompt"] + row["completion"], tokenize=False) for row in rows)
    ids = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts)
    return {row["id"]: len(tokens) for row, tokens in zip(rows, ids, strict=True)}


def fitting_length(lengths: dict[str, int], limit: int = 2048) -> int:
    """The `max_length` that the data needs, rounded up to a multiple of 64 tokens.

    Raises:
        SchemaError: a case is longer than `limit`: its answer would be truncated to invalid JSON.
    """
    too_long = [case_id for case_id, length in lengths.items() if length > limit]
    if too_long:
        names = ", ".join(too_long[:5])
        raise SchemaError(f"{len(too_long)} cases are longer than {limit} tokens and would lose their answer: {names}")
    return -(-max(lengths.values()) // 64) * 64


def dataset(rows: list[dict[str, Any]]):
    """Training rows as the `datasets.Dataset` of prompt and completion that TRL expects."""
    from datasets import Dataset

    return Dataset.from_list([{"prompt": row["prompt"], "completion": row["completion"]} for row in rows])
