"""The error tree of the library, and the wording of validation errors."""

from __future__ import annotations

from pydantic import ValidationError


class IraeError(Exception):
    """Root of every error this library raises on purpose."""


class SchemaError(IraeError, ValueError):
    """A case, an answer or a file does not have the form it must have."""


class LeakError(IraeError):
    """Something held out was found in the training data."""


class AccessError(IraeError):
    """A token, an accepted licence or a reachable server is missing."""


class AdapterError(IraeError):
    """Adapter, base model, prompt or data do not belong together."""


class RunError(IraeError):
    """A run folder or a notebook of a run is missing or failed."""


def explain(error: ValidationError) -> str:
    """The first problems of a pydantic error as "field: what was expected", without the offending value.

    The value may be note text, and note text never goes into a message.
    """
    problems = []
    for item in error.errors(include_input=False, include_url=False)[:3]:
        field = ".".join(str(part) for part in item["loc"]) or "case"
        expected = item.get("ctx", {}).get("expected")
        allowed = f"must be one of {expected}" if item["type"] == "enum" and expected else item["msg"]
        problems.append(f"{field}: {allowed}")
    return "; ".join(problems)
