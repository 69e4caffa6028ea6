"""Score external cases with partial labels: rates per field, without a case pass.

`data/cases/outside.jsonl` holds paraphrased published cases and adversarial sentences, none of them from the generator
of training and test data. A field counts where its label is set, and is right if its value is in the accepted set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..files import DATA
from ..model.answers import Answer
from ..safety.floors import NOTHING, review
from ..schemas import FIELDS, Assessment, Case, Likelihood, Record, Severity, System, Urgency
from .statistics import Interval, Rate, paired_bootstrap, rate, rounded

_PATH = DATA / "cases" / "outside.jsonl"


class OutsideCase(NamedTuple):
    """One case with the accepted values of each labeled field; for organ systems, those that must be named."""

    case: Case
    accepted: Mapping[str, frozenset]

    def right(self, said: Assessment | None) -> dict[str, bool]:
        """Which labeled fields of an answer are right; an unreadable answer (None) has none right."""
        return {field: said is not None and self._holds(field, said.scored()[field]) for field in self.accepted}

    def _holds(self, field: str, value: Any) -> bool:
        wanted = self.accepted[field]
        if field == "affected_systems":
            return wanted <= value if wanted else not value
        return value in wanted


def read_outside(n: int | None = None) -> list[OutsideCase]:
    """The outside cases: all, or at most `n` spread evenly over the file."""
    rows = [json.loads(line) for line in _PATH.read_text(encoding="utf-8").splitlines()]
    n = len(rows) if n is None else min(n, len(rows))
    chosen = [rows[i * len(rows) // n] for i in range(n)]
    return [OutsideCase(Case(id=row["id"], text=row["text"]), _accepted(row["expected"])) for row in chosen]


def _accepted(expected: Mapping[str, Any]) -> dict[str, frozenset]:
    def values(name: str) -> list[Any]:
        one = expected[name]
        return expected.get(f"{name}_in") or ([] if one is None else [one])

    # By contract, a case without an irAE has no grade.
    grades = [None] if expected["irae_detected"] is False else values("grade")
    found = {
        "irae_detected": values("irae_detected"),
        "overall_severity": map(Severity.from_grade, grades),
        "urgency": map(Urgency, values("urgency")),
        "likelihood": map(Likelihood, values("likelihood")),
    }
    settled = {field: accepted for field, some in found.items() if (accepted := frozenset(some))}
    if expected["systems"] is not None:
        settled["affected_systems"] = frozenset(map(System, expected["systems"]))
    return settled


class OutsideArm(Record):
    """One arm at one stage: hits of n for every field, and over all labeled fields together."""

    fields: dict[str, Rate]
    together: Rate


class OutsideReport(Record):
    """Results on `cases` outside cases, by arm and stage ("raw", "safety"); tuned model minus base, before the rules.

    The interval is a paired bootstrap over cases. Before the rules, the arm `rules` is the always-negative baseline:
    "no irAE, routine" for every case.
    """

    cases: int
    arms: dict[str, dict[str, OutsideArm]]
    difference: float | None
    difference_interval: Interval | None


def report_outside(cases: Sequence[OutsideCase], answers: Mapping[str, Sequence[Answer]]) -> OutsideReport:
    """The rates of every arm in `answers`, and of the rules alone; with "base" and "full", also their difference."""
    told = {"rules": [Answer(text=NOTHING.to_json(), assessment=NOTHING)] * len(cases), **answers}
    rows = {arm: _right(cases, said) for arm, said in told.items()}
    arms = {arm: {stage: _summary(some) for stage, some in stages.items()} for arm, stages in rows.items()}
    difference = interval = None
    if {"base", "full"} <= set(answers):
        shares = [[sum(row.values()) / len(row) for row in rows[arm]["raw"] if row] for arm in ("base", "full")]
        difference = rounded((sum(shares[1]) - sum(shares[0])) / len(shares[0]))
        interval = paired_bootstrap(*shares)
    return OutsideReport(cases=len(cases), arms=arms, difference=difference, difference_interval=interval)


def _right(cases: Sequence[OutsideCase], said: Sequence[Answer]) -> dict[str, list[dict[str, bool]]]:
    pairs = [(one, answer.assessment) for one, answer in zip(cases, said, strict=True)]
    final = [(one, answer and review(one.case, answer).final) for one, answer in pairs]
    return {stage: [one.right(answer) for one, answer in some] for stage, some in (("raw", pairs), ("safety", final))}


def _summary(rows: Sequence[Mapping[str, bool]]) -> OutsideArm:
    fields = {field: [row[field] for row in rows if field in row] for field in FIELDS}
    everything = [hit for hits in fields.values() for hit in hits]
    rates = {field: rate(sum(hits), len(hits)) for field, hits in fields.items()}
    return OutsideArm(fields=rates, together=rate(sum(everything), len(everything)))
