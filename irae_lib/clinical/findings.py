"""Build findings fast: the one place that makes a `Finding` from a span of the note."""

from __future__ import annotations

from ..schemas import Finding
from .scan import Token

_DEFAULTS = {name: field.default for name, field in Finding.model_fields.items() if not field.is_required()}
_FIELDS = set(Finding.model_fields)
_set = object.__setattr__


def make(text: str, token: Token, kind: str, name: str, *, end: int = 0, start: int = -1, **fields) -> Finding:
    """A Finding over the span from `token` (or `start`) to `end`, with the token's status.

    The values come from this package and are of the right types; validating them again would take a third of the
    time of a whole review.
    """
    first = token.start if start < 0 else start
    last = max(end, token.end)
    span = {"kind": kind, "name": name, "quote": text[first:last], "start": first, "end": last, "status": token.status}
    return _built({**_DEFAULTS, **span, **fields})


def changed(finding: Finding, **fields) -> Finding:
    """The finding with some fields replaced."""
    return _built({**finding.__dict__, **fields})


def _built(values: dict) -> Finding:
    finding = Finding.__new__(Finding)
    _set(finding, "__dict__", values)
    _set(finding, "__pydantic_fields_set__", _FIELDS)
    _set(finding, "__pydantic_extra__", None)
    _set(finding, "__pydantic_private__", None)
    return finding
