"""What a validated adapter must reach before it may leave, and the proof that the report is what was measured.

Thresholds are data (`data/gate.json`), each with its reason. A report is sealed when it is written and checked before
it is believed: its own seal, the answers it was counted from, the cases and the adapter it names. Its numbers are then
counted again from the answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..cases import read_cases, validated_cases
from ..errors import AdapterError, RunError
from ..files import DATA, file_sha256
from ..schemas import Record
from .scoring import Graded, results_of

ANSWERS = "answers.jsonl"


class GateLine(Record):
    """One threshold of the gate: what was found, what was wanted, and whether it holds."""

    claim: str
    found: float | None
    wanted: str
    holds: bool
    why: str


def seal(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report with `seal`, the SHA-256 of everything else in it; finds editing, not forgery."""
    body = {key: value for key, value in report.items() if key != "seal"}
    text = json.dumps(body, sort_keys=True, ensure_ascii=False)
    return {**body, "seal": hashlib.sha256(text.encode()).hexdigest()}


def verify(report: Mapping[str, Any], run: Path, adapter: Path) -> None:
    """Check that a report is the one measured in this run, on its cases, with this adapter.

    Raises:
        RunError: it was edited, or its answers or cases are not those of the run, or do not give its numbers.
        AdapterError: the adapter is another one.
    """
    if report.get("seal") != seal(report)["seal"]:
        raise RunError("report.json was changed after it was written; run 03_validate again")
    if file_sha256(adapter / "adapter_model.safetensors") != report["adapters"]["full"]:
        raise AdapterError("the adapter is not the one in report.json; run 03_validate again")
    if file_sha256(run / ANSWERS) != report["answers_sha256"]:
        raise RunError(f"{ANSWERS} is not the file report.json was counted from; run 03_validate again")
    counted = _count_again(report, run)
    if counted != report["results"]:
        raise RunError("the numbers of report.json do not follow from its answers; run 03_validate again")


def _count_again(report: Mapping[str, Any], run: Path) -> dict[str, dict]:
    splits = {"validated": validated_cases()}
    for split in ("test", "contrast"):
        path = run / "data" / f"{split}_cases.jsonl"
        if file_sha256(path) != report[f"{split}_sha256"]:
            raise RunError(f"{path.name} of the run is not what report.json was made on; run 03_validate again")
        splits[split] = read_cases(path)
    graded: dict[tuple[str, str], list[Graded]] = {}
    with (run / ANSWERS).open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            graded.setdefault((row.pop("split"), row.pop("system")), []).append(Graded.model_validate(row))
    return results_of(splits, graded)


def thresholds(path: Path = DATA / "gate.json") -> list[dict[str, Any]]:
    """The thresholds of a gate file."""
    return json.loads(path.read_text(encoding="utf-8"))["thresholds"]


def check(report: Mapping[str, Any], rows: list[dict[str, Any]] | None = None) -> list[GateLine]:
    """Every threshold against the report; what cannot be found there does not hold.

    Raises:
        RunError: a threshold names neither `at_least` nor `at_most`.
    """
    out = []
    for row in thresholds() if rows is None else rows:
        kinds = [kind for kind in ("at_least", "at_most") if kind in row]
        if len(kinds) != 1:
            raise RunError(f"the threshold {row['claim']!r} needs one of at_least and at_most")
        found, bound = _at(report, row["value"]), row[kinds[0]]
        limit = _at(report, bound) if isinstance(bound, str) else bound
        known = found is not None and limit is not None
        holds = known and (found >= limit if kinds[0] == "at_least" else found <= limit)
        wanted = f"{kinds[0].replace('_', ' ')} {limit if limit is not None else bound}"
        out.append(GateLine(claim=row["claim"], found=found, wanted=wanted, holds=bool(holds), why=row["why"]))
    return out


def _at(report: Mapping[str, Any], path: str) -> float | None:
    here: Any = report
    for key in path.split("."):
        if not isinstance(here, Mapping) or key not in here:
            return None
        here = here[key]
    return here
