"""Measure medical knowledge with multiple-choice questions, scored by the likelihood of the four letters.

LoRA is said to preserve the base model's knowledge. This measures it: base and tuned model answer the same questions,
with an interval for the difference. The questions (`data/retention.jsonl`) are this project's own and unrelated to
checkpoint inhibitors. A model without medical knowledge, such as the rehearsal base, scores near one in four.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from ..errors import AdapterError, SchemaError, explain
from ..files import DATA, read_lines
from ..schemas import Record
from .statistics import Interval, Rate, mcnemar, paired_bootstrap, rate

LETTERS = "ABCD"


class Question(Record):
    """One question with four options and the index of the correct option."""

    id: str
    topic: str
    question: str
    options: Annotated[tuple[str, ...], Field(min_length=4, max_length=4)]
    answer: Annotated[int, Field(ge=0, le=3)]


class Retention(Record):
    """Accuracy of both models on the same questions, and the 95 % interval of tuned minus base (paired)."""

    base: Rate
    tuned: Rate
    difference_interval: Interval | None
    p_value: float


def read_questions(path: Path = DATA / "retention.jsonl") -> list[Question]:
    """The questions of a file. Raises SchemaError with file, line and field."""
    questions = []
    for number, row in read_lines(Path(path)):
        try:
            questions.append(Question.model_validate(row))
        except ValidationError as error:
            raise SchemaError(f"{Path(path).name} line {number}: {explain(error)}") from None
    return questions


def letter_shares(model, tokenizer, questions: Sequence[Question], *, batch_size: int = 16) -> list[list[float]]:
    """Probability of each of the four letters as the first answer token, per question; one forward pass per batch.

    Raises:
        AdapterError: the tokenizer splits a letter into several tokens.
    """
    import torch

    letters = [tokenizer.encode(letter, add_special_tokens=False) for letter in LETTERS]
    if any(len(ids) != 1 for ids in letters):
        raise AdapterError("the tokenizer splits single letters; the likelihood of an option cannot be read off")
    turns = [[{"role": "user", "content": _prompt(one)}] for one in questions]
    texts = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    out = []
    for start in range(0, len(texts), batch_size):
        some = texts[start : start + batch_size]
        batch = tokenizer(some, add_special_tokens=False, padding=True, return_tensors="pt").to(model.device)
        mask = batch["attention_mask"]
        with torch.inference_mode():
            logits = model(
                input_ids=batch["input_ids"],
                attention_mask=mask,
                position_ids=(mask.cumsum(1) - 1).clamp(min=0),
                logits_to_keep=1,
            ).logits[:, -1]
        out += logits[:, [ids[0] for ids in letters]].float().softmax(-1).tolist()
    return out


def _prompt(question: Question) -> str:
    options = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, question.options, strict=True))
    return f"{question.question}\n{options}\nAnswer with one letter."


def compare_retention(
    questions: Sequence[Question], base: Sequence[Sequence[float]], tuned: Sequence[Sequence[float]]
) -> Retention:
    """Compare both models' answers (the most likely letter) with the correct ones."""
    right = [
        [max(range(4), key=shares.__getitem__) == one.answer for one, shares in zip(questions, said, strict=True)]
        for said in (base, tuned)
    ]
    return Retention(
        base=rate(sum(right[0]), len(questions)),
        tuned=rate(sum(right[1]), len(questions)),
        difference_interval=paired_bootstrap(*([float(hit) for hit in one] for one in right)),
        p_value=mcnemar(*right),
    )
