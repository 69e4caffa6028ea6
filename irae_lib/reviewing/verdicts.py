"""Verdicts of people on cases: one case file a reviewer, and how far two of them agree.

A verdict is a labelled case, so the file can be given to 01 as cases of one's own and to 03 as a test set as it is. It
holds notes: it stays in the folder it was written to and goes nowhere by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ..cases import LabelledCase, read_cases, write_cases
from ..errors import SchemaError
from ..evaluation.statistics import kappa, weighted_kappa
from ..schemas import FIELDS, Assessment, Case, Record, Severity, Urgency


class Agreement(Record):
    """How far two sets of verdicts on the same cases agree in one field.

    `kappa` is Cohen's, with quadratic weights for grade and urgency; organ systems are compared as sets. None where it
    is not defined (no case in common, or one label throughout).
    """

    field: str
    n: int
    same: int
    kappa: float | None


def verdict(case: Case, said: Assessment, *, kind: str = "") -> LabelledCase:
    """A reviewer's verdict as a labelled case; quotes that do not stand in the note are left out.

    `kind` is the kind of the case it was (see `LabelledCase`); without one it is "irae" or "mimic".

    Raises:
        SchemaError: the fields contradict each other (see data/README.md): an irAE has an organ system; without an irAE
            there is no organ system and no grade.
    """
    if said.irae_detected and not said.affected_systems:
        raise SchemaError("an irAE needs at least one organ system")
    if not said.irae_detected and (said.affected_systems or said.overall_severity is not Severity.UNKNOWN):
        raise SchemaError("without an irAE there is no organ system and no grade: choose irAE yes, or clear both")
    found = tuple(quote for quote in said.evidence if quote in case.text)
    if not kind or (kind == "irae") is not said.irae_detected:
        kind = "irae" if said.irae_detected else "mimic"
    return LabelledCase(case=case, expected=said.model_copy(update={"evidence": found}), kind=kind)


def verdict_file(folder: Path, reviewer: str) -> Path:
    """The file of one reviewer.

    Raises:
        SchemaError: the name is not made of letters, digits, "-" and "_".
    """
    if not re.fullmatch(r"[\w-]{1,40}", reviewer):
        raise SchemaError(f"reviewer {reviewer!r}: a short name of letters, digits, '-' and '_', as it names a file")
    return Path(folder) / f"{reviewer}.jsonl"


def read_verdicts(path: Path) -> dict[str, LabelledCase]:
    """The verdicts of a file by case id, in the order given; none where there is no file yet."""
    return {case.case.id: case for case in read_cases(path)} if Path(path).is_file() else {}


def save_verdict(path: Path, one: LabelledCase) -> None:
    """Add a verdict, or replace the one on the same case; the file is whole at every moment."""
    write_cases(path, (read_verdicts(path) | {one.case.id: one}).values())


def agreement(a: Mapping[str, Assessment], b: Mapping[str, Assessment]) -> list[Agreement]:
    """Field by field over the cases that both have, in the order of `FIELDS`."""
    both = [name for name in a if name in b]
    rows = []
    for field in FIELDS:
        mine, theirs = ([one[name].scored()[field] for name in both] for one in (a, b))
        levels = {"overall_severity": len(Severity), "urgency": len(Urgency)}.get(field)
        found = (
            weighted_kappa([one.level for one in mine], [one.level for one in theirs], levels)
            if levels
            else kappa(mine, theirs)
        )
        same = sum(x == y for x, y in zip(mine, theirs, strict=True))
        rows.append(Agreement(field=field, n=len(both), same=same, kappa=found))
    return rows
