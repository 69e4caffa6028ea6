"""The exceptions of the library, and the wording of validation errors."""

from __future__ import annotations

from pydantic import ValidationError


class IraeError(Exception):
    """Base class of all exceptions that this library raises. A notebook shows its message without a traceback."""

    def _render_traceback_(self) -> list[str]:  # IPython asks for it
        return [f"{type(self).__name__}: {self}"]


class SchemaError(IraeError, ValueError):
    """A case, an answer or a file does not match its schema."""


class LeakError(IraeError):
    """The training data contains held-out data."""


class AccessError(IraeError):
    """A token or an accepted license is missing, or a server cannot be reached."""


class AdapterError(IraeError):
    """Adapter, base model, prompt or data do not match."""


class NotPublished(AdapterError):
    """An adapter or its report involves the user's own notes: everything is done, and nothing is published."""


class RunError(IraeError):
    """A run folder is missing, or a notebook of a run is missing or failed."""


def explain(error: ValidationError) -> str:
    """The first problems of a pydantic error as "field: what was expected", without the offending value.

    The value may be note text, which must never appear in a message.
    """
    problems = []
    for item in error.errors(include_input=False, include_url=False)[:3]:
        field = ".".join(str(part) for part in item["loc"]) or "case"
        expected = item.get("ctx", {}).get("expected")
        allowed = (
            f"must be one of {expected}"
            if item["type"] == "enum" and expected
            else item["msg"].removeprefix("Value error, ")
        )
        problems.append(f"{field}: {allowed}")
    return "; ".join(problems)
