"""Verdicts of reviewers on cases, one case file per reviewer, and the agreement of two reviewers.

A verdict is a labeled case, so 01 reads the file as own cases and 03 as a test set. The file holds notes and is never
sent anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..cases import LabelledCase, contradiction, kind_of, read_cases, write_cases
from ..errors import SchemaError
from ..evaluation.statistics import kappa, weighted_kappa
from ..reporting.verdict import labels
from ..schemas import FIELD_NAMES, FIELDS, Assessment, Case, Record, Severity, Urgency, differing


class FieldAgreement(Record):
    """Agreement of two sets of verdicts on the same cases in one field.

    `kappa` is Cohen's, with quadratic weights for grade and urgency; organ systems are compared as sets. None if it is
    undefined (no common cases, or only one label).
    """

    field: str
    n: int
    same: int
    kappa: float | None


def verdict(case: Case, assessment: Assessment, *, kind: str = "") -> LabelledCase:
    """A reviewer's verdict as a labeled case, without quotes that do not occur in the note.

    `kind` is that of the reviewed case (one of `cases.KINDS`); where the labels contradict it, it follows from them.

    Raises:
        SchemaError: the fields contradict each other (`cases.contradiction`).
    """
    if problem := contradiction(assessment):
        raise SchemaError(problem)
    evidence = tuple(quote for quote in assessment.evidence if quote in case.text)
    if not kind or (kind in ("irae", "undocumented")) is not assessment.irae_detected:
        kind = kind_of(assessment)
    return LabelledCase(case=case, expected=assessment.model_copy(update={"evidence": evidence}), kind=kind)


def verdict_file(folder: Path, reviewer: str) -> Path:
    """The file of one reviewer.

    Raises:
        SchemaError: the name is not made of letters, digits, "-" and "_".
    """
    if not re.fullmatch(r"[\w-]{1,40}", reviewer):
        raise SchemaError(f"reviewer {reviewer!r}: a short name of letters, digits, '-' and '_', as it names a file")
    return Path(folder) / f"{reviewer}.jsonl"


def read_verdicts(path: Path) -> dict[str, LabelledCase]:
    """The verdicts of a file by case id, in the order given; empty if the file does not exist."""
    return {case.case.id: case for case in read_cases(path)} if Path(path).is_file() else {}


def save_verdict(path: Path, verdict: LabelledCase) -> None:
    """Add a verdict, or replace the verdict on the same case; the file is written atomically."""
    write_cases(path, (read_verdicts(path) | {verdict.case.id: verdict}).values())


def restore_verdict(path: Path, case_id: str, verdict: LabelledCase | None) -> None:
    """Put an earlier verdict on a case back, or remove the verdict if there was none."""
    others = {name: other for name, other in read_verdicts(path).items() if name != case_id or verdict}
    rows = others | ({case_id: verdict} if verdict else {})
    if rows:
        write_cases(path, rows.values())
    else:
        Path(path).unlink(missing_ok=True)


class Difference(NamedTuple):
    """A field in which two reviewers differ on a case, with what each chose, as shown to a reader."""

    case_id: str
    field: str
    first: str
    second: str


def differences(a: Mapping[str, Assessment], b: Mapping[str, Assessment]) -> list[Difference]:
    """Every field in which two sets of verdicts differ, case by case, over the cases in both."""
    return [
        Difference(case_id, FIELD_NAMES[field], labels(a[case_id])[field], labels(b[case_id])[field])
        for case_id in a
        if case_id in b
        for field in differing(a[case_id], b[case_id])
    ]


def agreement(a: Mapping[str, Assessment], b: Mapping[str, Assessment]) -> list[FieldAgreement]:
    """Agreement by field over the cases in both; verdicts are keyed by case id."""
    ids = [case_id for case_id in a if case_id in b]
    rows = []
    for field in FIELDS:
        labels_a, labels_b = ([verdicts[case_id].scored()[field] for case_id in ids] for verdicts in (a, b))
        same = sum(x == y for x, y in zip(labels_a, labels_b, strict=True))
        if scale := {"overall_severity": Severity, "urgency": Urgency}.get(field):
            value = weighted_kappa([a.level for a in labels_a], [b.level for b in labels_b], len(scale))
        else:
            value = kappa(labels_a, labels_b)
        rows.append(FieldAgreement(field=field, n=len(ids), same=same, kappa=value))
    return rows
