"""Build training rows from cases, read them from files, and measure their length in tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .. import prompts
from ..cases import LabelledCase
from ..errors import SchemaError, explain
from ..files import read_lines
from ..schemas import Assessment


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
    try:
        Assessment.model_validate(json.loads(completion[-1]["content"]))
    except json.JSONDecodeError as error:
        raise SchemaError(f"{where}: completion is not JSON: {error.msg} at character {error.pos}") from None
    except ValidationError as error:
        raise SchemaError(f"{where}: completion.{explain(error)}") from None
    return {"id": str(row.get("id", where)), "prompt": prompt, "completion": completion}


def _check_turns(turns: Any, where: str, *, last: str) -> None:
    def is_turn(turn: Any) -> bool:
        text = isinstance(turn, dict) and isinstance(turn.get("content"), str)
        return text and turn.get("role") in ("user", "assistant")

    if not (isinstance(turns, list) and turns and all(map(is_turn, turns))):
        raise SchemaError(f"{where} must be a list of turns, each with role (user or assistant) and content")
    if turns[-1]["role"] != last:
        raise SchemaError(f"{where} must end with the role {last}, found {turns[-1]['role']}")


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
