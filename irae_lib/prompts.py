"""The two prompts, their versions, and the messages built from them.

`guided` is the alternative to training: role, CTCAE and urgency rules, worked examples. `compact` is for the
fine-tuned model and is used word for word in training, validation and serving: an adapter remembers the
version it was trained with and refuses another. Any change of wording is a new version.

The wording is in `data/prompts/`. Chat templates and special tokens belong to the model.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from .errors import SchemaError
from .files import DATA
from .schemas import Assessment, Case

FOLDER = DATA / "prompts"


class Prompt(NamedTuple):
    """Instructions with a version; `examples` are (note, answer) pairs shown before the case."""

    version: str
    instructions: str
    examples: tuple[tuple[str, Assessment], ...] = ()


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8").removesuffix("\n")


# Not among the eleven validated cases and not from the generator: the examples must never be an answer key.
_EXAMPLES = tuple(
    (example["note"], Assessment.model_validate(example["answer"]))
    for example in json.loads(_read("guided_examples.json"))
)
COMPACT = Prompt(version="compact-1", instructions=_read("compact.txt"))
GUIDED = Prompt(version="guided-1", instructions=_read("guided.txt"), examples=_EXAMPLES)

PROMPTS = {prompt.version: prompt for prompt in (COMPACT, GUIDED)}


def get_prompt(name: str) -> Prompt:
    """The prompt called `name`: a version ("compact-1") or a kind ("compact", "guided").

    Raises:
        SchemaError: no such prompt; an adapter trained with a version this library does not have.
    """
    prompt = PROMPTS.get(name) or {"compact": COMPACT, "guided": GUIDED}.get(name)
    if prompt is None:
        raise SchemaError(f"prompt {name!r} is not known here; known are {', '.join(PROMPTS)}")
    return prompt


# Gemma's control tokens, written into a note, would become real turns. A look-alike bracket keeps the text
# readable for a person and harmless for the tokenizer; the safety layer always reads the note itself.
_CONTROL = re.compile(
    r"<(?=/?(?:start_of_turn|end_of_turn|bos|eos|pad|unk|mask|start_of_image|end_of_image|"
    r"image_soft_token|unused\d+)>)"
)


def messages(case: Case, prompt: Prompt = COMPACT) -> list[dict[str, str]]:
    """The conversation that asks for an assessment of `case`, as role/content dicts ending with the user's turn."""
    turns = []
    for note, answer in prompt.examples:
        turns += [_turn("user", f"Note:\n{note}"), _turn("assistant", answer.to_json())]
    turns.append(_turn("user", f"Note:\n{_CONTROL.sub('‹', case.text)}"))
    # Gemma has no system role: its template would fold a system text into the first user turn all the same.
    turns[0] = _turn("user", f"{prompt.instructions}\n\n{turns[0]['content']}")
    return turns


def target(answer: Assessment) -> list[dict[str, str]]:
    """The completion a model is trained to give: one assistant turn with the compact JSON."""
    return [_turn("assistant", answer.to_json())]


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
