"""How sure a served model was: from the log probabilities that a server sends along with an answer.

vLLM (0.33, read in its source) computes them after the schema has taken away what is not allowed, even those that it
calls raw. So with a schema a value's probability is the one that notebooks report, among the allowed tokens, and how
much of the model's wish was allowed cannot be seen; without a schema that can be seen, at the keys.
"""

from __future__ import annotations

import math
import re
from itertools import accumulate
from typing import Any

from ..model.grammar import confidences
from ..schemas import Assessment, Causality

_KEY = re.compile(rf'"(?:{"|".join((*Assessment.model_fields, *Causality.model_fields))})":'.encode())


def read_chances(text: str, sent: Any, *, constrained: bool) -> dict[str, Any]:
    """`confidence` by field, `certainty` of reasoning and labels, `legal_mass`; empty where the server sent nothing.

    Args:
        text: the answer.
        sent: `choices[0].logprobs` of a chat completion: `{"content": [{"token", "bytes", "logprob"}, ...]}`.
        constrained: a schema was laid over the answer; `legal_mass` is not known then.

    `legal_mass` is the mean probability of the tokens that spell the schema's keys, where the form allows nothing else:
    near 1 the model writes the form by itself.
    """
    try:
        tokens = [(_bytes(one), math.exp(float(one["logprob"]))) for one in sent["content"]]
        answer = text.encode()
    except (TypeError, AttributeError, KeyError, ValueError, OverflowError):
        return {}
    pieces = [piece for piece, _ in tokens]
    if not all(0 <= chance <= 1.001 for _, chance in tokens):  # also what is no number
        return {}
    if not b"".join(pieces).startswith(answer):  # another tokenization than that of the answer
        return {}
    try:
        fields, whole = confidences(pieces, list(enumerate(chance for _, chance in tokens)))
    except ValueError:  # a key is missing or spaced: not the compact form that training teaches
        return {}
    found = {
        "confidence": {name: round(chance, 6) for name, chance in fields.items()},
        "certainty": float(f"{whole:.4g}"),
    }
    if constrained:
        return found
    forced = [chance for (_, chance), of_key in zip(tokens, _of_keys(pieces), strict=True) if of_key]
    return found | ({"legal_mass": round(sum(forced) / len(forced), 4)} if forced else {})


def _of_keys(pieces: list[bytes]) -> list[bool]:
    """Which tokens lie wholly inside a key of the schema, quotes and colon included."""
    spans = [found.span() for found in _KEY.finditer(b"".join(pieces))]
    ends = list(accumulate(map(len, pieces)))
    return [
        any(start <= end - len(piece) and end <= stop for start, stop in spans)
        for piece, end in zip(pieces, ends, strict=True)
    ]


def _bytes(token: dict[str, Any]) -> bytes:
    return bytes(token["bytes"]) if token.get("bytes") is not None else str(token["token"]).encode()
