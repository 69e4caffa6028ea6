"""The release gate: thresholds that an adapter must meet before publication, and verification of its report.

The thresholds are data (`data/gate.json`), each with its reason. `verify` checks a report's seal, answers, cases and
adapter, and recounts its numbers from the answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..cases import read_cases, validated_cases
from ..errors import AdapterError, NotPublished, RunError
from ..files import DATA, file_sha256
from ..schemas import Record
from .report import ArmSummary, Report, summarize_results
from .scoring import Graded

ANSWERS = "answers.jsonl"


class GateLine(Record):
    """One threshold of the gate: the value in the report, the value required, and whether the threshold holds."""

    claim: str
    found: float | None
    wanted: str
    holds: bool
    why: str


def verify(report: Report, run: Path, adapter: Path) -> None:
    """Verify that a report was measured in this run, on its cases, with this adapter.

    Raises:
        RunError: the report was edited, its answers or cases are not those of the run, or its numbers do not match.
        AdapterError: the report names another adapter. NotPublished: it was measured on the user's own file.
    """
    if report != report.signed():
        raise RunError("report.json was changed after it was written; run 03_validate again")
    if report.own_test:
        raise NotPublished(
            "validated on your own file; nothing is published. To publish, run 03_validate without test_file and "
            "contrast_file first"
        )
    if file_sha256(adapter / "adapter_model.safetensors") != report.adapters["full"]:
        raise AdapterError("the adapter is not the one in report.json; run 03_validate again")
    if file_sha256(run / ANSWERS) != report.answers_sha256:
        raise RunError(f"{ANSWERS} is not the file report.json was counted from; run 03_validate again")
    if _count_again(report, run) != report.results:
        raise RunError("the numbers of report.json do not follow from its answers; run 03_validate again")


def _count_again(report: Report, run: Path) -> dict[str, dict[str, ArmSummary]]:
    splits = {"validated": validated_cases()}
    for split, digest in (("test", report.test_sha256), ("contrast", report.contrast_sha256)):
        path = run / "data" / f"{split}_cases.jsonl"
        if file_sha256(path) != digest:
            raise RunError(f"{path.name} of the run is not what report.json was made on; run 03_validate again")
        splits[split] = read_cases(path)
    graded: dict[tuple[str, str], list[Graded]] = {}
    with (run / ANSWERS).open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            graded.setdefault((row.pop("split"), row.pop("arm")), []).append(Graded.model_validate(row))
    return summarize_results(splits, graded)


def thresholds() -> list[dict[str, Any]]:
    """The thresholds of `data/gate.json`."""
    return json.loads((DATA / "gate.json").read_text(encoding="utf-8"))["thresholds"]


def check(report: Report, rows: list[dict[str, Any]] | None = None) -> list[GateLine]:
    """Check every threshold against the report; a value missing from the report fails its threshold.

    Raises:
        RunError: a threshold does not name exactly one of `at_least` and `at_most`.
    """
    values, lines = report.model_dump(mode="json"), []
    for row in thresholds() if rows is None else rows:
        kinds = [kind for kind in ("at_least", "at_most") if kind in row]
        if len(kinds) != 1:
            raise RunError(f"the threshold {row['claim']!r} needs one of at_least and at_most")
        found, bound = _value_at(values, row["value"]), row[kinds[0]]
        limit = _value_at(values, bound) if isinstance(bound, str) else bound
        known = found is not None and limit is not None
        holds = known and (found >= limit if kinds[0] == "at_least" else found <= limit)
        wanted = f"{kinds[0].replace('_', ' ')} {limit if limit is not None else bound}"
        lines.append(GateLine(claim=row["claim"], found=found, wanted=wanted, holds=bool(holds), why=row["why"]))
    return lines


def _value_at(values: Any, path: str) -> float | None:
    """The number at a dotted path of JSON keys; None if absent."""
    for key in path.split("."):
        values = values.get(key) if isinstance(values, Mapping) else None
    return values
