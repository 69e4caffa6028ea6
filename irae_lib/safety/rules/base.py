"""The parts of a rule: its floors and advice, the sources they cite, and the registry of all rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ...schemas import Finding, System, Urgency
from ..chart import Chart

CTCAE = "NCI CTCAE v5.0 (27 Nov 2017)"
CTCAE6 = "NCI CTCAE v6.0 (10 Jul 2025)"
ASCO = "ASCO 2021 (doi 10.1200/JCO.21.01440)"
LABEL = "US and HK prescribing information (dose modification tables)"
POLICY = "project policy"
ADA = "ADA/EASD/JBDS/AACE/DTS 2024 consensus on hyperglycemic crises"
_BASIS = {CTCAE: "CTCAE", CTCAE6: "CTCAE v6", ASCO: "ASCO", LABEL: "label", POLICY: "policy", ADA: "ADA"}
_SCALES = {ASCO: "ASCO 2021", POLICY: "project policy"}

ROUTINE, SOON, URGENT, EMERGENCY = Urgency
# The generic floors of the original safety layer: no label stays below the urgency of its grade and organ systems.
URGENCY_BY_GRADE = {0: ROUTINE, 1: ROUTINE, 2: SOON, 3: URGENT, 4: EMERGENCY}
URGENT_SYSTEMS = frozenset((System.CARDIAC, System.NEUROLOGIC))


class Floor(NamedTuple):
    """The minimum grade (0 for none), urgency and organ system that one rule demands.

    `scale` is the scale of the grade; `finding` is the span of the note that a clinician checks.
    """

    rule: str
    reason: str
    finding: Finding | None = None
    grade: int = 0
    urgency: Urgency = ROUTINE
    system: System | None = None
    source: str = CTCAE
    scale: str = "CTCAE v5.0"


class Advice(NamedTuple):
    """Advice for the reader that raises nothing."""

    rule: str
    text: str
    finding: Finding | None = None


def raise_to(
    grade: int,
    urgency: Urgency,
    system: System | None,
    finding: Finding,
    reason: str,
    source: str = "",
    scale: str = "",
) -> Floor:
    """A floor as a check yields it; `Rule.apply` adds the rule's id, and the source and scale if they are missing."""
    return Floor("", reason, finding, grade, urgency, system, source, scale)


def advise(finding: Finding, text: str) -> Advice:
    """Advice as a check yields it."""
    return Advice("", text, finding)


Check = Callable[[Chart], Iterable[Floor | Advice]]


class Rule(NamedTuple):
    """A rule with its description for clinicians and the check that applies it. Its floors cite `cites`."""

    id: str
    title: str
    basis: str
    source: str
    triggers: frozenset[str]
    check: Check
    cites: str

    def apply(self, chart: Chart) -> Iterator[Floor | Advice]:
        """The floors and advice of the check, completed with the rule's id, source and scale."""
        for result in self.check(chart):
            if isinstance(result, Floor):
                source = result.source or self.cites
                result = result._replace(source=source, scale=result.scale or _scale_of(source))
            yield result._replace(rule=self.id)


def _scale_of(source: str) -> str:
    return _SCALES.get(source, "CTCAE v6.0" if CTCAE6 in source else "CTCAE v5.0")


RULES: dict[str, Rule] = {}


def rule(rule_id: str, *triggers: str, source: str, cites: str = CTCAE, basis: str = "") -> Callable[[Check], Check]:
    """Register a check under its id; its docstring is the rule's title.

    Args:
        triggers: names of findings; the check runs only on charts that hold at least one of them.
        source: origin of the rule, for the rule table. `basis`, its short form, is derived from it by default.
        cites: the default source of the floors.
    """

    def register(check: Check) -> Check:
        if rule_id in RULES:
            raise ValueError(f"rule {rule_id} is defined twice")
        title = " ".join((check.__doc__ or "").split()).removesuffix(".")
        RULES[rule_id] = Rule(rule_id, title, basis or _basis_of(source), source, frozenset(triggers), check, cites)
        return check

    return register


def _basis_of(source: str) -> str:
    cited = sorted((name for name in _BASIS if name in source), key=source.find)
    return ", ".join(_BASIS[name] for name in cited)
