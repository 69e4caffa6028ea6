"""Parse model answers strictly, without repair or guessing."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import ValidationError

from ..errors import explain
from ..schemas import Assessment, Record


class Answer(Record):
    """A model's text and the assessment parsed from it. `assessment` is None when the answer is unscored.

    An unreadable answer is neither a wrong assessment nor "no irAE": it is counted separately, with the reason.

    `legal_mass` is the mean probability that the model puts on tokens the schema allows. `confidence` is the model's
    probability of each scored field in its answer. `certainty` is that of its reasoning and labels together. For
    unconstrained answers they are 1.0, empty and 0.
    """

    text: str
    assessment: Assessment | None = None
    unscored: str = ""
    legal_mass: float = 1.0
    confidence: dict[str, float] = {}
    certainty: float = 0.0


def parse_answer(text: str) -> Answer:
    """Parse a model's answer, or record why it cannot be parsed. Never raises or repairs.

    Two additions are ignored for every model, as neither carries meaning. Chat models often put a Markdown code fence
    around the whole answer. MedGemma 1.5 first writes its thinking, between two of Gemma's unused tokens. Anything else
    outside the schema leaves the answer unscored.
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
