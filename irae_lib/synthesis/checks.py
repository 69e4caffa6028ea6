"""Checks that fail a build: quotes, labels against the rules, variety, balance.

Labels are correct by construction; these checks compare them with the safety layer's reading of the finished note.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import product
from typing import NamedTuple

from ..cases import LabelledCase
from ..errors import SchemaError
from ..safety.floors import review
from ..safety.rules.base import URGENCY_BY_GRADE, URGENT_SYSTEMS
from ..schemas import Severity, Urgency
from .illnesses import ILLNESSES
from .leakage import frame_shares

MOST_FRAME = 0.02
# Minimum share of notes where the rules do not exceed the label, by detail. In long notes, the rest are false alarms of
# the reader on background text: 3% when this was set, 7% of a small split.
LEAST_AGREEMENT = {"short": 0.97, "full": 0.90}


class RuleAgreement(NamedTuple):
    """Agreement of the rules alone with labeled notes.

    `irae` counts notes labeled as an irAE, `fired` those where a rule fired, `exact` those where grade and urgency
    equal the label. `above` lists those where the rules exceed the label (id, topic, what). `negatives` and `raised`
    count notes without an irAE, per kind, and those where a rule fired anyway.
    """

    irae: int
    fired: int
    exact: int
    above: tuple[tuple[str, str, str], ...]
    negatives: dict[str, int]
    raised: dict[str, int]

    @property
    def share(self) -> float:
        """Share of the notes with a fired rule where the rules do not exceed the label."""
        return 1 - len(self.above) / self.fired if self.fired else 1.0


def rule_agreement(cases: Iterable[LabelledCase]) -> RuleAgreement:
    """Apply the rules to every note, without a model. Rules rightly fire on mimics, which are only counted."""
    irae = fired = exact = 0
    above: list[tuple[str, str, str]] = []
    negatives: Counter[str] = Counter()
    raised: Counter[str] = Counter()
    for case in cases:
        result, label = review(case.case), case.expected
        found = result.final
        if not label.irae_detected:
            negatives[case.kind] += 1
            raised[case.kind] += bool(result.corrections)
            continue
        irae += 1
        fired += bool(result.corrections)
        exact += found.overall_severity == label.overall_severity and found.urgency == label.urgency
        extra = [s.value for s in found.affected_systems if s not in label.affected_systems]
        if found.overall_severity > label.overall_severity or found.urgency > label.urgency or extra:
            rules = ", ".join(sorted({c.rule for c in result.corrections}))
            what = f"{rules}: {found.overall_severity.value}, {found.urgency.value}"
            above.append((case.case.id, case.topic, what + (f", also {', '.join(extra)}" if extra else "")))
    return RuleAgreement(irae, fired, exact, tuple(above), dict(negatives), dict(raised))


def check_cases(cases: Iterable[LabelledCase], *, detail: str = "short") -> dict[str, float]:
    """Check a split and return its facts.

    Raises:
        SchemaError: a quote is not in its note, or the rules exceed the label more often than `LEAST_AGREEMENT`
            allows, of the irAE notes where they fire (a single note is tolerated).
    """
    cases = list(cases)
    for case in cases:
        for number, quote in enumerate(case.expected.evidence, start=1):
            if quote not in case.case.text:
                raise SchemaError(f"{case.case.id}: evidence quote {number} is not in the note")
    agreement = rule_agreement(cases)
    if agreement.share < LEAST_AGREEMENT[detail] and len(agreement.above) > 1:
        shown = "; ".join(f"{case_id} ({topic}): {what}" for case_id, topic, what in agreement.above[:5])
        raise SchemaError(
            f"the minimum of a rule exceeds the label in {len(agreement.above)} of {agreement.fired}: {shown}"
        )
    return {
        "notes": len(cases),
        "quotes": sum(len(case.expected.evidence) for case in cases),
        "rules_fired": agreement.fired,
        "rules_at_most_the_label": round(agreement.share, 4),
    }


def check_variety(cases: Iterable[LabelledCase]) -> float:
    """Share of notes that hold the commonest sentence frame. Use it on a whole data set, not on a small split.

    Raises:
        SchemaError: over 2%; shows the frame, which comes from the generator and never from a patient's note.
    """
    frame, share = next(iter(frame_shares(cases)), ("", 0.0))
    if share > MOST_FRAME:
        raise SchemaError(f"one sentence frame occurs in {share:.1%} of the notes: {frame!r}")
    return round(share, 4)


def balance(cases: Iterable[LabelledCase]) -> Counter[tuple[str, Severity, str]]:
    """Notes labeled as an irAE by organ system, grade and likelihood; a multi-organ note counts for each organ."""
    return Counter(
        (system.value, case.expected.overall_severity, case.expected.causality.likelihood.value)
        for case in cases
        if case.expected.irae_detected
        for system in case.expected.affected_systems
    )


def check_balance(cases: Iterable[LabelledCase]) -> None:
    """Check that every organ system occurs at each of its grades, and as both Highly likely and Possible.

    Raises:
        SchemaError: names the missing combinations.
    """
    counts = balance(cases)
    cells = {(system.value, Severity.from_grade(i.grade)) for i in ILLNESSES for system in i.systems}
    missing = sorted(f"{system}, {grade.value}" for system, grade in cells - {cell[:2] for cell in counts})
    causes = {(system, likelihood) for system, _, likelihood in counts}
    wanted = product(sorted({system for system, _ in cells}), ("Highly likely", "Possible"))
    missing += [f"{system}, {likelihood}" for system, likelihood in wanted if (system, likelihood) not in causes]
    if missing:
        raise SchemaError(f"the split has no case of: {'; '.join(missing)}")


def check_urgency() -> None:
    """Check that no illness is labeled below the generic floors, except F44 (an asymptomatic laboratory value).

    Raises:
        SchemaError: names the illness.
    """
    for illness in ILLNESSES:
        floor = URGENCY_BY_GRADE[illness.grade]
        if not URGENT_SYSTEMS.isdisjoint(illness.systems):
            floor = max(floor, Urgency.URGENT)
        if illness.urgency < floor and not (illness.grade == 3 and illness.urgency is Urgency.SOON):
            raise SchemaError(f"{illness.term}, Grade {illness.grade} is labelled {illness.urgency}, below {floor}")
