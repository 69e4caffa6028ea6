"""Write a worklist as FHIR R4: a bundle of DetectedIssue resources, checked by `fhir.resources`."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import RunError
from ...files import write_text
from ..worklist import JSON_NAME, Task, read_worklist

if TYPE_CHECKING:
    from fhir.resources.R4B.bundle import Bundle

FHIR_NAME = "worklist.fhir.json"
_SEVERITY = {"emergency": "high", "urgent": "high", "soon": "moderate", "routine": "low"}
_SPACE = uuid.UUID("6d1c2a52-3f7e-5b0e-9a44-8a3f0c9f5f10")  # the same task has the same address in every run
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_DAY = re.compile(r"\d{4}(-\d\d){0,2}|undated")


def worklist_fhir(tasks: Iterable[Task], *, references: bool) -> Bundle:
    """The tasks as DetectedIssue resources in their order, worst first, in a collection bundle.

    `severity` is high for emergency and urgent, moderate for soon, low for routine; a note that was not assessed has
    none, and says so. `evidence` holds the reason, and the encounter where it is known.

    Args:
        references: the ids are "patient/encounter", as `read_fhir` writes them: refer to both.

    Raises:
        RunError: `fhir.resources` is not installed.
    """
    try:
        from fhir.resources.R4B.bundle import Bundle
    except ImportError:
        raise RunError("a worklist as FHIR needs fhir.resources: pip install 'fhir.resources>=8'") from None
    entries = [{"fullUrl": _address(task), "resource": _issue(task, references)} for task in tasks]
    return Bundle.model_validate({"resourceType": "Bundle", "type": "collection", "entry": entries})


def write_worklist_fhir(out: Path, *, references: bool) -> Path:
    """Write the worklist of a screening folder as `worklist.fhir.json`; returns its path.

    Raises:
        RunError: `fhir.resources` is not installed.
    """
    lines = Path(out) / JSON_NAME
    tasks = read_worklist(lines) if lines.is_file() and lines.stat().st_size else []
    bundle = worklist_fhir(tasks, references=references)
    return write_text(Path(out) / FHIR_NAME, bundle.model_dump_json(indent=1) + "\n")


def _address(task: Task) -> str:
    return f"urn:uuid:{uuid.uuid5(_SPACE, f'{task.place} {task.id}')}"


def _issue(task: Task, references: bool) -> dict[str, Any]:
    patient, encounter = _references(task.id) if references else (None, None)
    words = "Suspected immune-related adverse event" if task.assessed else "Note not assessed; a person must read it"
    called = ", ".join(filter(None, (task.grade, task.urgency, task.organ_systems)))
    reasons = "; ".join(filter(None, (task.reason, task.not_understood)))
    evidence: dict[str, Any] = {"code": [{"text": reasons}]} if reasons else {}
    if encounter:
        evidence["detail"] = [encounter]
    issue = {
        "resourceType": "DetectedIssue",
        "identifier": [{"system": "urn:irae:case", "value": task.id}],
        "status": "preliminary",
        "code": {"text": words},
        "severity": _SEVERITY.get(task.urgency),
        "patient": patient,
        "evidence": [evidence] if evidence else None,
        "detail": f"{called}. Quote: {task.quote}" if task.quote else called,
    }
    return {key: value for key, value in issue.items() if value is not None}


def _references(id: str) -> Iterator[dict[str, str] | None]:
    """References to patient and encounter of a case id; None for a day, or a name that no FHIR id can have."""
    for kind, part in zip(("Patient", "Encounter"), (*id.split("/"), "", ""), strict=False):
        known = _ID.fullmatch(part) and not (kind == "Encounter" and _DAY.fullmatch(part))
        yield {"reference": f"{kind}/{part}"} if known else None
