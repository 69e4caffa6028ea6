"""The typed validation report: count it from answers, sign it and read it.

`report.json` is this record as JSON. Every consumer of a report (tables, figures, card, page, gate, monitor) takes a
`Report`. So a missing or misspelled number fails on reading, not halfway through a card.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_serializer

from ..cases import LabelledCase
from ..errors import RunError, explain
from ..schemas import Record, differing
from .calibration import Calibration, CalibrationReport
from .general_knowledge import Retention
from .outside import OutsideReport
from .robustness import Flips
from .scoring import Comparison, Graded, Summary, said_at, summarize
from .statistics import Rate

SCHEMA_VERSION = 3


class PairSummary(Record):
    """Minimal pairs: both sides pass, every field that must flip does (`flipped`), no other field flips (`kept`)."""

    n: int
    both_passed: int
    flipped: int
    kept: int


class StageSummary(Summary):
    """Rates of one arm at one stage; `pairs` is set where the cases are minimal pairs."""

    pairs: PairSummary | None = None

    @model_serializer(mode="wrap")
    def _without_absent_pairs(self, serialize) -> dict[str, Any]:
        return {key: value for key, value in serialize(self).items() if key != "pairs" or value is not None}


class ArmSummary(Record):
    """One arm (base, full, rules ...) on one split, before and after the safety layer."""

    raw: StageSummary
    safety: StageSummary


class Report(Record):
    """A validation run: `results` by split and arm, checksums of its inputs, and additional measurements.

    `improvements` is by split, arm and goal; `behaviour` by arm, stage and kind of changed note. `outside` holds the
    results on outside cases. `retention` and `flips` are None if the run did not measure them. `own_test`: test
    or contrast are the user's own file; left out where False. `seal` is the SHA-256 of everything else ("" while
    unsigned).
    """

    schema_version: int = SCHEMA_VERSION
    profile: str
    rehearsal: bool
    base_model: str
    prompt: str
    test_sha256: str
    contrast_sha256: str
    answers_sha256: str
    adapters: dict[str, str]
    results: dict[str, dict[str, ArmSummary]]
    comparisons: dict[str, Comparison]
    calibration: CalibrationReport
    improvements: dict[str, dict[str, dict[str, Rate]]]
    behaviour: dict[str, dict[str, dict[str, Rate]]]
    outside: OutsideReport | None = None
    retention: Retention | None = None
    flips: Flips | None = None
    own_test: bool = False
    seal: str = ""

    @model_serializer(mode="wrap")
    def _without_default(self, serialize) -> dict[str, Any]:
        return {key: value for key, value in serialize(self).items() if key != "own_test" or value}

    @property
    def label(self) -> str:
        """The base model; for a rehearsal, a warning instead."""
        warning = "rehearsal: these numbers prove the pipeline, not a clinical model"
        return warning if self.rehearsal else self.base_model

    def signed(self) -> Report:
        """The report with its `seal`. The seal detects edits, not forgery."""
        body = self.model_dump(mode="json", exclude={"seal"})
        text = json.dumps(body, sort_keys=True, ensure_ascii=False)
        return self.model_copy(update={"seal": hashlib.sha256(text.encode()).hexdigest()})


def read_report(path: Path) -> Report:
    """Read a report from a file.

    Raises:
        RunError: the file is missing, not JSON, or not a report of this version; the error names the field.
    """
    path = Path(path)
    try:
        return Report.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path.name} is not in {path.parent.name}/; run 03_validate") from None
    except ValidationError as error:
        raise RunError(f"{path.name} is not a report of version {SCHEMA_VERSION}: {explain(error)}") from None


def read_calibration(path: Path) -> Calibration | None:
    """The calibration in a report file; None if the file does not exist. Raises RunError as `read_report`."""
    return read_report(path).calibration.calibration if Path(path).is_file() else None


def summarize_arm(cases: Sequence[LabelledCase], graded: Sequence[Graded]) -> ArmSummary:
    """The rates of one arm on one split at both stages; pairs are counted if every case is one side of a pair."""
    paired = all(case.pair for case in cases)

    def at(stage: str) -> StageSummary:
        pairs = summarize_pairs(cases, graded, stage=stage) if paired else None
        return StageSummary(**dict(summarize(cases, graded, stage=stage)), pairs=pairs)

    return ArmSummary(raw=at("raw"), safety=at("safety"))


def summarize_results(
    splits: Mapping[str, Sequence[LabelledCase]], graded: Mapping[tuple[str, str], Sequence[Graded]]
) -> dict[str, dict[str, ArmSummary]]:
    """The results of a report by split and arm, from graded answers by (split, arm); other splits are ignored.

    `test_irae` holds the cases of `test` whose label is an irAE.
    """
    results: dict[str, dict[str, ArmSummary]] = {name: {} for name in (*splits, "test_irae")}
    for (split, arm), answers in graded.items():
        if split in splits:
            results[split][arm] = summarize_arm(splits[split], answers)
        if split == "test":
            results["test_irae"][arm] = summarize_arm(*positives(splits[split], answers))
    return results


def summarize_pairs(cases: Sequence[LabelledCase], graded: Sequence[Graded], *, stage: str) -> PairSummary:
    """Count the minimal pairs that an arm gets right; an unscored side counts as wrong."""
    by_pair: dict[str, list[tuple[LabelledCase, Graded]]] = {}
    for case, answer in zip(cases, graded, strict=True):
        by_pair.setdefault(case.pair, []).append((case, answer))
    passed = flipped = kept = 0
    for (case_a, a), (case_b, b) in by_pair.values():
        passed += getattr(a, stage).passed and getattr(b, stage).passed
        if not (a.answer.assessment and b.answer.assessment):
            continue
        must = set(differing(case_a.expected, case_b.expected))
        does = set(differing(said_at(a, stage), said_at(b, stage)))
        flipped += must <= does
        kept += does <= must
    return PairSummary(n=len(by_pair), both_passed=passed, flipped=flipped, kept=kept)


def positives(cases: Sequence[LabelledCase], graded: Sequence[Graded]) -> tuple[list[LabelledCase], list[Graded]]:
    """The cases whose label is an irAE, with their graded answers."""
    pairs = [(case, answer) for case, answer in zip(cases, graded, strict=True) if case.expected.irae_detected]
    return [case for case, _ in pairs], [answer for _, answer in pairs]
