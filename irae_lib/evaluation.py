"""How good are the answers: five fields a case, counted with n, unscored answers apart, before and after the rules.

Neither torch nor a model in here: answers come in, numbers go out. A `Summary` is what the report, the
figures and the model card print; nothing is computed twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .cases import LabelledCase
from .safety import NOTHING, review
from .schemas import FIELDS, Answer, Assessment, Record, Score, differing

SCHEMA_VERSION = 1


def score(final: Assessment | None, expected: Assessment, *, unscored: str = "") -> Score:
    """Compare an assessment with its label: five fields exactly, organ systems as sets.

    None is an answer that could not be read: no field is right, and `Score.unscored` says why.
    """
    if final is None:
        return Score(**dict.fromkeys(FIELDS, False), unscored=unscored or "no assessment")
    wrong = differing(final, expected)
    return Score(**{name: name not in wrong for name in FIELDS})


class Graded(Record):
    """One answer with its scores before (`raw`) and after (`safety`) the floors, and what the floors raised."""

    id: str
    raw: Score
    safety: Score
    answer: Answer
    final: Assessment
    raised: tuple[str, ...] = ()


def grade_answers(cases: Sequence[LabelledCase], answers: Sequence[Answer]) -> list[Graded]:
    """Score every answer against its case.

    After the floors an unreadable answer stays unscored: rules that say something where the model said nothing
    must not make a broken model look better.
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
            )
        )
    return graded


class Interval(Record):
    """A two-sided 95 % confidence interval of a rate."""

    low: float
    high: float


class Summary(Record):
    """Rates over `n` cases. `passed` counts cases with 4 or 5 fields right; unscored answers count as wrong."""

    n: int
    unscored: int
    passed: int
    passed_interval: Interval | None
    field_accuracy: float | None
    field_accuracy_interval: Interval | None
    fields: dict[str, float]
    under_triaged: int
    over_triaged: int


def summarize(cases: Sequence[LabelledCase], graded: Sequence[Graded], *, stage: str) -> Summary:
    """The rates of one stage ("raw" or "safety"); None where there is no case to take a rate over.

    Under- and over-triage count readable answers whose urgency is below or above the label.
    """
    scores = [getattr(one, stage) for one in graded]
    n = len(scores)
    passed = sum(one.passed for one in scores)
    told = [
        (one.final if stage == "safety" else one.answer.assessment, case.expected)
        for case, one in zip(cases, graded, strict=True)
        if one.answer.assessment is not None
    ]
    return Summary(
        n=n,
        unscored=sum(bool(one.unscored) for one in scores),
        passed=passed,
        passed_interval=wilson(passed, n),
        field_accuracy=_rounded(sum(one.total for one in scores) / (5 * n)) if n else None,
        field_accuracy_interval=_mean_interval([one.total / 5 for one in scores]),
        fields={name: _rounded(sum(getattr(one, name) for one in scores) / n) for name in FIELDS} if n else {},
        under_triaged=sum(final.urgency < expected.urgency for final, expected in told),
        over_triaged=sum(final.urgency > expected.urgency for final, expected in told),
    )


def wilson(successes: int, n: int) -> Interval | None:
    """Wilson score interval (95 %) of a proportion; None when n is 0. Honest at 0 and at n, where Wald is not."""
    if n == 0:
        return None
    z = 1.959964
    rate, spread = successes / n, z * math.sqrt(successes * (n - successes) / n**3 + z**2 / (4 * n**2))
    centre, scale = rate + z**2 / (2 * n), 1 + z**2 / n
    return Interval(
        low=_rounded(max(0.0, (centre - spread) / scale)), high=_rounded(min(1.0, (centre + spread) / scale))
    )


def _mean_interval(values: list[float]) -> Interval | None:
    """Normal interval of a mean over cases: the five fields of one case stand or fall together, cases do not."""
    n = len(values)
    if n < 2:
        return None
    mean = sum(values) / n
    half = 1.959964 * math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n)
    return Interval(low=_rounded(max(0.0, mean - half)), high=_rounded(min(1.0, mean + half)))


def _rounded(value: float) -> float:
    return round(value, 4)


def report_section(cases: Sequence[LabelledCase], graded: Sequence[Graded]) -> dict:
    """`{"raw": ..., "safety": ...}` for one system on one split, as plain JSON types; `pairs` where there are any."""
    section = {stage: summarize(cases, graded, stage=stage).model_dump(mode="json") for stage in ("raw", "safety")}
    if all(case.pair for case in cases):
        for stage in ("raw", "safety"):
            section[stage]["pairs"] = summarize_pairs(cases, graded, stage=stage).model_dump(mode="json")
    return section


def rules_alone(cases: Sequence[LabelledCase]) -> list[Graded]:
    """The rules without a model, in the form of a model's answers: `raw` is nothing proposed, `safety` the rules."""
    return grade_answers(cases, [Answer(text=NOTHING.to_json(), assessment=NOTHING)] * len(cases))


class PairSummary(Record):
    """Minimal pairs: both sides pass; every field that must flip does; no field flips that must not."""

    n: int
    both_passed: int
    flipped: int
    kept: int


def summarize_pairs(cases: Sequence[LabelledCase], graded: Sequence[Graded], *, stage: str) -> PairSummary:
    """What of the minimal pairs a system gets right; an unscored side counts as wrong."""
    by_pair: dict[str, list[tuple[LabelledCase, Graded]]] = {}
    for case, one in zip(cases, graded, strict=True):
        by_pair.setdefault(case.pair, []).append((case, one))
    passed = flipped = kept = 0
    for (case_a, a), (case_b, b) in by_pair.values():
        passed += getattr(a, stage).passed and getattr(b, stage).passed
        if not (a.answer.assessment and b.answer.assessment):
            continue
        must = set(differing(case_a.expected, case_b.expected))
        does = set(differing(*(one.final if stage == "safety" else one.answer.assessment for one in (a, b))))
        flipped += must <= does
        kept += does <= must
    return PairSummary(n=len(by_pair), both_passed=passed, flipped=flipped, kept=kept)


def positives(cases: Sequence[LabelledCase], graded: Sequence[Graded]) -> tuple[list[LabelledCase], list[Graded]]:
    """The cases whose label is an irAE, with their scores."""
    pairs = [(case, one) for case, one in zip(cases, graded, strict=True) if case.expected.irae_detected]
    return [case for case, _ in pairs], [one for _, one in pairs]
