"""The two prompts, their versions, and the messages built from them.

`guided` is the alternative to training: role, CTCAE and urgency rules, worked examples. `compact` is for the fine-tuned
model and is identical in training, validation and serving. An adapter records its prompt version and cannot be loaded
with an unknown version. Any change of wording is a new version.

The wording is in `data/prompts/`. Chat templates and special tokens come from the model.
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
    """Versioned instructions; `examples` are (note, answer) pairs shown before the case."""

    version: str
    instructions: str
    examples: tuple[tuple[str, Assessment], ...] = ()


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8").removesuffix("\n")


# Neither validated cases nor generated cases: the examples must never reveal the answers.
_EXAMPLES = tuple(
    (example["note"], Assessment.model_validate(example["answer"]))
    for example in json.loads(_read("guided_examples.json"))
)
NOTE = "Note:\n"  # begins a note
LONGEST_NOTE = 20_000  # characters that a server or the page sends to a model; a long discharge letter has about 8,000
COMPACT = Prompt(version="compact-1", instructions=_read("compact.txt"))
GUIDED = Prompt(version="guided-1", instructions=_read("guided.txt"), examples=_EXAMPLES)

PROMPTS = {prompt.version: prompt for prompt in (COMPACT, GUIDED)}


def get_prompt(name: str) -> Prompt:
    """The prompt called `name`: a version ("compact-1") or a kind ("compact", "guided").

    Raises:
        SchemaError: the prompt is unknown, e.g. a version of an adapter that this library does not have.
    """
    prompt = PROMPTS.get(name) or {"compact": COMPACT, "guided": GUIDED}.get(name)
    if prompt is None:
        raise SchemaError(f"prompt {name!r} is not known; expected one of {', '.join(PROMPTS)}")
    return prompt


# Gemma's control tokens in a note would become real turns. A look-alike bracket keeps the text readable for a person
# and harmless for the tokenizer. The safety layer always reads the original note.
CONTROL = re.compile(
    r"<(?=/?(?:start_of_turn|end_of_turn|bos|eos|pad|unk|mask|start_of_image|end_of_image|"
    r"image_soft_token|unused\d+)>)"
)


def messages(case: Case, prompt: Prompt = COMPACT) -> list[dict[str, str]]:
    """The conversation that requests an assessment of `case`, as role/content dicts ending with the user's turn."""
    turns = []
    for note, answer in prompt.examples:
        turns += [_turn("user", f"{NOTE}{note}"), _turn("assistant", answer.to_json())]
    turns.append(_turn("user", f"{NOTE}{CONTROL.sub('‹', case.text)}"))
    # Gemma has no system role: its template would also merge a system prompt into the first user turn.
    turns[0] = _turn("user", f"{prompt.instructions}\n\n{turns[0]['content']}")
    return turns


def target(answer: Assessment) -> list[dict[str, str]]:
    """The training target: one assistant turn with the compact JSON."""
    return [_turn("assistant", answer.to_json())]


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
