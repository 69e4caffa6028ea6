"""Score answers: five fields per case, rates with n and interval, before and after the safety layer.

Unscored answers are counted separately. A `Summary` holds the numbers that the report, the figures and the model card
print. This module does not load a model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..cases import LabelledCase
from ..model.answers import Answer
from ..safety.floors import NOTHING, review
from ..schemas import FIELDS, Assessment, Record, Severity, Urgency, differing
from .statistics import (
    F1,
    Interval,
    Rate,
    mcnemar,
    mean_interval,
    multilabel_f1,
    paired_bootstrap,
    rate,
    rounded,
    weighted_kappa,
    wilson,
)


class Score(Record):
    """Which of the five fields are right. An unscored answer has none right, and `unscored` holds the reason."""

    irae_detected: bool
    affected_systems: bool
    overall_severity: bool
    urgency: bool
    likelihood: bool
    unscored: str = ""

    @property
    def total(self) -> int:
        """Number of correct fields, 0-5."""
        return sum(getattr(self, name) for name in FIELDS)

    @property
    def passed(self) -> bool:
        """The case pass of the original protocol: at least 4 of 5 fields right."""
        return self.total >= 4


def score(final: Assessment | None, expected: Assessment, *, unscored: str = "") -> Score:
    """Compare the five fields of an assessment with its label, by exact match; organ systems as sets.

    `final` is None for an unreadable answer: no field is right, and `Score.unscored` holds the reason.
    """
    if final is None:
        return Score(**dict.fromkeys(FIELDS, False), unscored=unscored or "no assessment")
    wrong = differing(final, expected)
    return Score(**{name: name not in wrong for name in FIELDS})


def lowers(before: Assessment, after: Assessment) -> bool:
    """Whether `after` is below `before` anywhere: irAE withdrawn, organ system removed, grade or urgency lowered."""
    return (
        after.irae_detected < before.irae_detected
        or not set(before.affected_systems) <= set(after.affected_systems)
        or after.overall_severity < before.overall_severity
        or after.urgency < before.urgency
    )


class Graded(Record):
    """One answer with its scores before (`raw`) and after (`safety`) the floors, the raises, and whether the rules
    understood the note (`assessed`)."""

    id: str
    raw: Score
    safety: Score
    answer: Answer
    final: Assessment
    raised: tuple[str, ...] = ()
    assessed: bool = True


def grade_answers(cases: Sequence[LabelledCase], answers: Sequence[Answer]) -> list[Graded]:
    """Score every answer against its case.

    After the floors an unreadable answer stays unscored: the rules must not make a broken model look better by
    answering in its place.
    """
    graded = []
    for case, answer in zip(cases, answers, strict=True):
        result = review(case.case, answer.assessment)
        readable = answer.assessment is not None
        graded.append(
            Graded(
                id=case.case.id,
                raw=score(answer.assessment, case.expected, unscored=answer.unscored),
                safety=score(result.final if readable else None, case.expected, unscored=answer.unscored),
                answer=answer,
                final=result.final,
                raised=tuple(f"{c.field}: {c.before} -> {c.after} ({c.rule})" for c in result.corrections),
                assessed=result.assessed,
            )
        )
    return graded


class Triage(Record):
    """Safety metrics of readable answers; unscored answers are counted in `Summary.unscored`.

    Under- and over-triage: urgency below or above the label; severe: two levels or more. `missed_irae` and
    `missed_emergency` count an unscored answer as a miss. The specificities are the shares of notes without an irAE for
    which the answer calls none. `alerts` are answers that call an irAE or require action the same day. `quotes_found`
    counts evidence quotes that occur word for word in their note.
    """

    under: Rate
    severe_under: Rate
    severe_under_grade_3_up: Rate
    over: Rate
    missed_irae: Rate
    missed_emergency: Rate
    specificity_unexposed: Rate
    specificity_mimics: Rate
    specificity_well: Rate
    alerts: Rate
    quotes_found: Rate
    organs: F1
    grade_kappa: float | None
    urgency_kappa: float | None


class Summary(Record):
    """Rates over `n` cases. `passed` counts cases with 4 or 5 fields right; unscored answers count as wrong. After the
    rules, `not_assessed` counts the notes that the rules did not understand; they are scored like the others."""

    n: int
    unscored: int
    passed: int
    passed_interval: Interval | None
    field_accuracy: float | None
    field_accuracy_interval: Interval | None
    fields: dict[str, float]
    triage: Triage
    not_assessed: int = 0


def summarize(cases: Sequence[LabelledCase], graded: Sequence[Graded], *, stage: str) -> Summary:
    """The rates of one stage ("raw" or "safety"); None for a rate over zero cases."""
    scores = [getattr(one, stage) for one in graded]
    n = len(scores)
    passed = sum(one.passed for one in scores)
    return Summary(
        n=n,
        unscored=sum(bool(one.unscored) for one in scores),
        passed=passed,
        passed_interval=wilson(passed, n),
        field_accuracy=rounded(sum(one.total for one in scores) / (5 * n)) if n else None,
        # The five fields of a case are correlated, cases are not: the interval is over cases.
        field_accuracy_interval=mean_interval([one.total / 5 for one in scores]),
        fields={name: rounded(sum(getattr(one, name) for one in scores) / n) for name in FIELDS} if n else {},
        triage=triage_of(cases, [said_at(one, stage) for one in graded]),
        not_assessed=sum(not one.assessed for one in graded) if stage == "safety" else 0,
    )


def said_at(one: Graded, stage: str) -> Assessment | None:
    """The assessment of an answer at a stage ("raw" or "safety"); None if the answer is unreadable."""
    if one.answer.assessment is None:
        return None
    return one.final if stage == "safety" else one.answer.assessment


def steps_off(cases: Sequence[LabelledCase], said: Sequence[Assessment | None], field: str) -> list[int | None]:
    """Levels of grade or urgency above (+) or below (-) the label, case by case; None for an unscored answer."""
    return [
        None if answer is None else getattr(answer, field).level - getattr(case.expected, field).level
        for case, answer in zip(cases, said, strict=True)
    ]


def triage_of(cases: Sequence[LabelledCase], said: Sequence[Assessment | None]) -> Triage:
    """The safety metrics of a set of answers, see `Triage`; an unscored answer is None."""
    everyone = list(zip(cases, said, strict=True))
    told = [(case, answer) for case, answer in everyone if answer is not None]
    steps = [step for step in steps_off(cases, said, "urgency") if step is not None]
    grave = [
        step for (case, _), step in zip(told, steps, strict=True) if case.expected.overall_severity >= Severity.GRADE_3
    ]

    def clear_of(*kinds: str) -> Rate:
        mine = [answer for case, answer in told if case.kind in kinds and not case.expected.irae_detected]
        return rate(sum(not answer.irae_detected for answer in mine), len(mine))

    def missed(wanted: Callable[[Assessment], bool]) -> Rate:
        mine = [answer for case, answer in everyone if wanted(case.expected)]
        return rate(sum(answer is None or not wanted(answer) for answer in mine), len(mine))

    def kappa_of(field: str, scale: type) -> float | None:
        levels = [(getattr(answer, field).level, getattr(case.expected, field).level) for case, answer in told]
        return weighted_kappa([a for a, _ in levels], [b for _, b in levels], len(scale))

    quotes = [quote in case.case.text for case, answer in told for quote in answer.evidence]
    return Triage(
        under=rate(sum(step < 0 for step in steps), len(steps)),
        severe_under=rate(sum(step < -1 for step in steps), len(steps)),
        severe_under_grade_3_up=rate(sum(step < -1 for step in grave), len(grave)),
        over=rate(sum(step > 0 for step in steps), len(steps)),
        missed_irae=missed(lambda one: one.irae_detected),
        missed_emergency=missed(lambda one: one.urgency is Urgency.EMERGENCY),
        specificity_unexposed=clear_of("never", "planned"),
        specificity_mimics=clear_of("mimic"),
        specificity_well=clear_of("well", "resolved"),
        alerts=rate(sum(answer.is_alert for _, answer in told), len(told)),
        quotes_found=rate(sum(quotes), len(quotes)),
        organs=multilabel_f1(
            [set(answer.affected_systems) for _, answer in told],
            [set(case.expected.affected_systems) for case, _ in told],
        ),
        grade_kappa=kappa_of("overall_severity", Severity),
        urgency_kappa=kappa_of("urgency", Urgency),
    )


class Comparison(Record):
    """Two arms on the same cases: b minus a in field accuracy, and whether they pass equally often (McNemar)."""

    n: int
    difference: float | None
    difference_interval: Interval | None
    only_a_passes: int
    only_b_passes: int
    p_value: float


def compare(a: Sequence[Score], b: Sequence[Score]) -> Comparison:
    """Paired comparison of the scores of two arms on the same cases in the same order."""
    shares = [[one.total / 5 for one in scores] for scores in (a, b)]
    passes = [[one.passed for one in scores] for scores in (a, b)]
    n = len(passes[0])
    return Comparison(
        n=n,
        difference=rounded((sum(shares[1]) - sum(shares[0])) / n) if n else None,
        difference_interval=paired_bootstrap(*shares),
        only_a_passes=sum(x and not y for x, y in zip(*passes, strict=True)),
        only_b_passes=sum(y and not x for x, y in zip(*passes, strict=True)),
        p_value=mcnemar(*passes),
    )


def rules_alone(cases: Sequence[LabelledCase]) -> list[Graded]:
    """The rules without a model, as graded answers: `raw` is the always-negative baseline, `safety` the rules."""
    return grade_answers(cases, [Answer(text=NOTHING.to_json(), assessment=NOTHING)] * len(cases))
