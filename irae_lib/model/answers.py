"""What a model wrote, and what can be read of it: never repaired, never guessed."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import ValidationError

from ..errors import explain
from ..schemas import Assessment, Record


class Answer(Record):
    """What a model wrote and what could be read of it. `assessment` is None when the answer is unscored.

    An unreadable answer is neither a wrong assessment nor "no irAE": it is counted apart, with its reason. `legal_mass`
    is the mean share of the model's probability on tokens that keep to the schema (1.0 where nothing was constrained),
    `confidence` how probable the model found each scored field that it gave (empty where nothing was constrained), and
    `certainty` its reasoning and its labels together (0 where nothing was constrained).
    """

    text: str
    assessment: Assessment | None = None
    unscored: str = ""
    legal_mass: float = 1.0
    confidence: dict[str, float] = {}
    certainty: float = 0.0


def parse_answer(text: str) -> Answer:
    """Read a model's answer, or say why it cannot be read. Never raises, never repairs.

    Two liberties, taken for every model alike: a Markdown code fence around the whole answer, which chat models add
    by habit, and the thinking that MedGemma 1.5 writes before it (between two of Gemma's unused tokens). Neither
    carries meaning. Anything else outside the schema is unscored.
    """
    body = _THINKING.sub("", text).strip()
    if body.startswith("```") and body.endswith("```") and len(body) > 6:
        body = body[3:-3].removeprefix("json").strip()
    try:
        data = json.loads(body, object_pairs_hook=_no_duplicate_keys, parse_constant=_no_constant)
        return Answer(text=text, assessment=Assessment.model_validate_json(json.dumps(data), strict=True))
    except json.JSONDecodeError as error:
        why = f"not JSON: {error.msg} at character {error.pos}" if body else "the answer is empty"
    except ValidationError as error:
        why = explain(error)
    except (ValueError, RecursionError) as error:
        why = str(error) or type(error).__name__
    return Answer(text=text, unscored=why)


_THINKING = re.compile(r"\A\s*<unused94>.*?<unused95>", re.DOTALL)


def _no_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key occurs twice")
    return fields


def _no_constant(name: str):
    raise ValueError(f"{name} is not JSON")
