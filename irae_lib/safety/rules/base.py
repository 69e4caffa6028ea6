"""What a rule is: a named pure function from a chart to floors, with its basis and source for people to check."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ...schemas import Finding, System, Urgency
from ..chart import Chart

CTCAE = "NCI CTCAE v5.0 (27 Nov 2017)"
CTCAE6 = "NCI CTCAE v6.0 (10 Jul 2025)"
ASCO = "ASCO 2021 (doi 10.1200/JCO.21.01440)"
LABEL = "US and HK prescribing information (dose modification tables)"
POLICY = "project policy"
ADA = "ADA/EASD/JBDS/AACE/DTS 2024 consensus on hyperglycemic crises"

SOON, URGENT, EMERGENCY = Urgency.SOON, Urgency.URGENT, Urgency.EMERGENCY


class Floor(NamedTuple):
    """One demand of one rule: grade (0 for none), urgency and organ system must be at least these.

    `scale` is the scale the grade was taken from; `finding` is the span of the note a clinician checks.
    """

    rule: str
    reason: str
    finding: Finding | None = None
    grade: int = 0
    urgency: Urgency = Urgency.ROUTINE
    system: System | None = None
    source: str = CTCAE
    scale: str = "CTCAE v5.0"


class Advice(NamedTuple):
    """Something to tell the reader that raises nothing."""

    rule: str
    text: str
    finding: Finding | None = None


Check = Callable[[Chart], Iterable[Floor | Advice]]


class Rule(NamedTuple):
    """A rule as a clinician reads it in the table, and the function that applies it."""

    id: str
    title: str
    basis: str
    source: str
    triggers: frozenset[str]
    check: Check


RULES: dict[str, Rule] = {}


def rule(rule_id: str, title: str, *triggers: str, basis: str, source: str) -> Callable[[Check], Check]:
    """Register a check under its id. It runs only on charts that hold one of the `triggers` (finding names)."""

    def register(check: Check) -> Check:
        if rule_id in RULES:
            raise ValueError(f"rule {rule_id} is defined twice")
        RULES[rule_id] = Rule(rule_id, title, basis, source, frozenset(triggers), check)
        return check

    return register
