"""What keeps a server's answers in form: a JSON schema, or the grammar of the notebooks.

Most servers accept a schema. vLLM with the guidance backend also accepts a grammar. The notebooks decode with it: quotes
are then word for word in the note, and the answers those that 03 validated.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import create_model

from ..model.grammar import assessment_grammar
from ..schemas import Assessment, Record


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with every key required, as strict servers demand; trained answers have all keys."""
    return schema | {"required": list(schema["properties"])}


FULL = _strict(Assessment.model_json_schema())
# The labels: the fields without a default.
_LABELS = {name: (field.annotation, field) for name, field in Assessment.model_fields.items() if field.is_required()}
SHORT = create_model("Labels", __base__=Record, **_LABELS).model_json_schema()
_KEPT = {
    "type": "object",
    "properties": {"kept": {"const": "yes"}},
    "required": ["kept"],
    "additionalProperties": False,
}
KEPT = '{"kept":"yes"}'  # the only text that the last probe allows


def in_schema(*, short: bool = False) -> dict[str, Any]:
    """The part of a request that asks for an answer in the schema; `short` for the five labels alone."""
    return _schema(SHORT if short else FULL)


def in_grammar(note: str, *, short: bool = False) -> dict[str, Any]:
    """The part of a request that asks for an answer in the grammar, whose quotes are spans of the note."""
    return _grammar(assessment_grammar(note, short=short))


def probes(grammar: bool) -> list[dict[str, Any]]:
    """Request parts to try before the first note: strict servers refuse some keywords. The last allows only `KEPT`."""
    if grammar:
        return [in_grammar("Say no."), in_grammar("", short=True), _grammar(f"start: {json.dumps(KEPT)}")]
    return [in_schema(), in_schema(short=True), _schema(_KEPT)]


def fingerprint(grammar: bool = False) -> str:
    """SHA-256 of what constrains the answers, for the manifest."""
    text = assessment_grammar() if grammar else json.dumps(FULL, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    named = {"name": "assessment", "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _grammar(grammar: str) -> dict[str, Any]:
    return {"structured_outputs": {"grammar": grammar}}
