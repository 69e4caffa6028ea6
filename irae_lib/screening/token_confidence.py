"""Confidence of a served model, from the log probabilities that a server sends with an answer.

vLLM (0.33, according to its source) computes them after schema masking, even those that it calls raw. With a schema, a
value's probability is therefore relative to the allowed tokens, as in the notebooks. The probability mass on allowed
tokens is then unknown; without a schema, the keys show it.
"""

from __future__ import annotations

import math
import re
from itertools import accumulate
from typing import Any

from ..model.grammar import confidences
from ..schemas import Assessment, Causality

_KEY = re.compile(rf'"(?:{"|".join((*Assessment.model_fields, *Causality.model_fields))})":'.encode())


def read_confidence(text: str, logprobs: Any, *, constrained: bool) -> dict[str, Any]:
    """Read `confidence` by field, `certainty` of reasoning and labels, `legal_mass`; empty if none can be read.

    Args:
        text: the answer.
        logprobs: those of a chat completion choice: `{"content": [{"token", "bytes", "logprob"}, ...]}`.
        constrained: the server applied a schema; `legal_mass` is then unknown.

    `legal_mass` is the mean probability of the tokens in the schema's keys, where the format allows nothing else. Near
    1, the model follows the format by itself.
    """
    try:
        tokens = [(_bytes(token), math.exp(float(token["logprob"]))) for token in logprobs["content"]]
        answer = text.encode()
    except (TypeError, AttributeError, KeyError, ValueError, OverflowError):
        return {}
    pieces, probabilities = [piece for piece, _ in tokens], [probability for _, probability in tokens]
    if not all(0 <= probability <= 1.001 for probability in probabilities):  # also NaN
        return {}
    if not b"".join(pieces).startswith(answer):  # the tokens do not spell the answer
        return {}
    try:
        fields, whole = confidences(pieces, list(enumerate(probabilities)))
    except ValueError:  # a missing or spaced key: not the compact training format
        return {}
    confidence = {
        "confidence": {name: round(probability, 6) for name, probability in fields.items()},
        "certainty": float(f"{whole:.4g}"),
    }
    keys = [] if constrained else [p for p, in_key in zip(probabilities, _in_keys(pieces), strict=True) if in_key]
    return confidence | ({"legal_mass": round(sum(keys) / len(keys), 4)} if keys else {})


def _in_keys(pieces: list[bytes]) -> list[bool]:
    """Whether each token lies entirely inside a schema key, quotes and colon included."""
    spans = [key.span() for key in _KEY.finditer(b"".join(pieces))]
    ends = list(accumulate(map(len, pieces)))
    return [
        any(start <= end - len(piece) and end <= stop for start, stop in spans)
        for piece, end in zip(pieces, ends, strict=True)
    ]


def _bytes(token: dict[str, Any]) -> bytes:
    return bytes(token["bytes"]) if token.get("bytes") is not None else str(token["token"]).encode()
