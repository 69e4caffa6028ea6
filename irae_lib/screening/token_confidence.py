"""Confidence of a served model, from the log probabilities that a server sends with an answer.

vLLM (0.33, read in its source) computes them after the schema has removed tokens, even those that it calls raw. So with
a schema a value's probability is among the allowed tokens, as in the notebooks. The share of the model's wish that was
allowed is then unknown; without a schema the keys show it.
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
    """`confidence` by field, `certainty` of reasoning and labels, `legal_mass`; empty where the server sent nothing.

    Args:
        text: the answer.
        logprobs: of the choice of a chat completion: `{"content": [{"token", "bytes", "logprob"}, ...]}`.
        constrained: the server applied a schema; `legal_mass` is then unknown.

    `legal_mass` is the mean probability of the tokens that spell the schema's keys, where the format allows nothing
    else: near 1 the model writes the format by itself.
    """
    try:
        tokens = [(_bytes(token), math.exp(float(token["logprob"]))) for token in logprobs["content"]]
        answer = text.encode()
    except (TypeError, AttributeError, KeyError, ValueError, OverflowError):
        return {}
    pieces, probabilities = [piece for piece, _ in tokens], [probability for _, probability in tokens]
    if not all(0 <= probability <= 1.001 for probability in probabilities):  # also NaN
        return {}
    if not b"".join(pieces).startswith(answer):  # another tokenization than that of the answer
        return {}
    try:
        fields, whole = confidences(pieces, list(enumerate(probabilities)))
    except ValueError:  # a key is missing or spaced: not the compact form that training teaches
        return {}
    confidence = {
        "confidence": {name: round(probability, 6) for name, probability in fields.items()},
        "certainty": float(f"{whole:.4g}"),
    }
    keys = [] if constrained else [p for p, in_key in zip(probabilities, _in_keys(pieces), strict=True) if in_key]
    return confidence | ({"legal_mass": round(sum(keys) / len(keys), 4)} if keys else {})


def _in_keys(pieces: list[bytes]) -> list[bool]:
    """Which tokens lie wholly inside a key of the schema, quotes and colon included."""
    spans = [key.span() for key in _KEY.finditer(b"".join(pieces))]
    ends = list(accumulate(map(len, pieces)))
    return [
        any(start <= end - len(piece) and end <= stop for start, stop in spans)
        for piece, end in zip(pieces, ends, strict=True)
    ]


def _bytes(token: dict[str, Any]) -> bytes:
    return bytes(token["bytes"]) if token.get("bytes") is not None else str(token["token"]).encode()
