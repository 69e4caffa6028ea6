"""Calibrate a model's confidence, and abstain where its certainty is too low.

Everything is fitted on the calibration split and then evaluated on the test split. A model trained on hard labels is
overconfident. One temperature per field (Guo et al. 2017, here applied to the odds of the given value) corrects that
without changing any answer. An answer whose certainty (reasoning and labels together) is below a threshold is referred
to a person.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..model.answers import Answer
from ..schemas import FIELDS, Record
from .scoring import Score
from .statistics import Interval, Rate, bootstrap, rate, rounded

_CLIP = 1e-6


class Calibration(Record):
    """Temperatures by field, and the certainty below which a case is referred to a person.

    `threshold` is the lowest at which at most `target_risk` of the answered calibration cases fail (fewer than 4 of 5
    fields right). It is 0 where all may be answered, and None where no threshold meets the target. `n` counts
    calibration cases.
    """

    temperatures: dict[str, float]
    threshold: float | None
    target_risk: float
    n: int


class FieldReport(Record):
    """Calibration of one field on held-out cases: expected calibration error and Brier score."""

    n: int
    temperature: float
    ece_before: float | None
    ece: float | None
    ece_interval: Interval | None
    brier_before: float | None
    brier: float | None
    brier_interval: Interval | None


class CalibrationReport(Record):
    """A calibration evaluated on held-out cases: per field, and how abstention trades coverage for risk."""

    calibration: Calibration
    fields: dict[str, FieldReport]
    answered: Rate
    failed_of_answered: Rate
    failed_of_all: Rate


def judged(fitted: Calibration | None, answer: Answer) -> tuple[dict[str, float], bool]:
    """The confidence of each field (temperature-scaled if a calibration is given), and whether to refer the case."""
    if fitted is None:
        return dict(answer.confidence), False
    sure = {field: cooled(c, fitted.temperatures[field]) for field, c in answer.confidence.items()}
    return sure, bool(fitted.threshold and answer.certainty < fitted.threshold)


def cooled(confidence: float, temperature: float) -> float:
    """A temperature-scaled confidence: its log odds divided by the temperature. Above 1, confidence falls."""
    clipped = min(1 - _CLIP, max(_CLIP, confidence))
    return 1 / (1 + math.exp(-math.log(clipped / (1 - clipped)) / temperature))


def fit_temperature(confidences: Sequence[float], hits: Sequence[bool]) -> float:
    """The maximum-likelihood temperature (0.05 to 20) for the hits; 1.0 without data."""
    if not hits:
        return 1.0

    def loss(log_temperature: float) -> float:
        said = [cooled(c, math.exp(log_temperature)) for c in confidences]
        return -sum(math.log(max(_CLIP, c if hit else 1 - c)) for c, hit in zip(said, hits, strict=True))

    # The loss has one minimum in 1 / temperature, so in its logarithm too: golden-section search finds it.
    low, high, golden = math.log(0.05), math.log(20.0), (math.sqrt(5) - 1) / 2
    for _ in range(60):
        a, b = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, b) if loss(a) <= loss(b) else (a, high)
    return round(math.exp((low + high) / 2), 4)


def fit(answers: Sequence[Answer], scores: Sequence[Score], *, target_risk: float = 0.05) -> Calibration:
    """Fit temperatures and threshold on answers to the calibration split; unscored answers are ignored."""
    told = _told(answers, scores)
    temperatures = {
        name: fit_temperature([a.confidence[name] for a, _ in told], [getattr(s, name) for _, s in told])
        for name in FIELDS
    }
    points = risk_coverage([(a.certainty, s.passed) for a, s in told])
    good = [(0.0 if share == 1.0 else least) for least, share, risk in points if risk <= target_risk]
    threshold = good[-1] if good else None
    return Calibration(temperatures=temperatures, threshold=threshold, target_risk=target_risk, n=len(told))


def _told(answers: Sequence[Answer], scores: Sequence[Score]) -> list[tuple[Answer, Score]]:
    """The readable answers that have a confidence, with their scores."""
    return [(a, s) for a, s in zip(answers, scores, strict=True) if a.confidence and not s.unscored]


def risk_coverage(sure: Sequence[tuple[float, bool]]) -> list[tuple[float, float, float]]:
    """(threshold, share answered, failure rate of those answered), most confident first; ties are answered together."""
    ordered = sorted(sure, reverse=True)
    points, failed = [], 0
    for i, (confidence, passed) in enumerate(ordered, start=1):
        failed += not passed
        if i == len(ordered) or ordered[i][0] < confidence:
            points.append((confidence, i / len(ordered), failed / i))
    return points


def judge(calibration: Calibration, answers: Sequence[Answer], scores: Sequence[Score]) -> CalibrationReport:
    """Evaluate a calibration on cases that it was not fitted on."""
    told = _told(answers, scores)
    fields = {}
    for name in FIELDS:
        before = [a.confidence[name] for a, _ in told]
        hits = [getattr(s, name) for _, s in told]
        after = [cooled(c, calibration.temperatures[name]) for c in before]
        pairs = list(zip(after, hits, strict=True))
        fields[name] = FieldReport(
            n=len(told),
            temperature=calibration.temperatures[name],
            ece_before=calibration_error(before, hits),
            ece=calibration_error(after, hits),
            ece_interval=bootstrap(pairs, lambda drawn: calibration_error(*zip(*drawn, strict=True))),
            brier_before=brier(before, hits),
            brier=brier(after, hits),
            brier_interval=bootstrap(pairs, lambda drawn: brier(*zip(*drawn, strict=True))),
        )
    least = math.inf if calibration.threshold is None else calibration.threshold
    kept = [s for a, s in told if a.certainty >= least]
    return CalibrationReport(
        calibration=calibration,
        fields=fields,
        answered=rate(len(kept), len(scores)),
        failed_of_answered=rate(sum(not s.passed for s in kept), len(kept)),
        failed_of_all=rate(sum(not s.passed for s in scores), len(scores)),
    )


def brier(confidences: Sequence[float], hits: Sequence[bool]) -> float | None:
    """Mean squared distance between confidence and outcome (1 or 0): 0 is best."""
    if not hits:
        return None
    return rounded(sum((c - hit) ** 2 for c, hit in zip(confidences, hits, strict=True)) / len(hits))


def calibration_error(confidences: Sequence[float], hits: Sequence[bool]) -> float | None:
    """Expected calibration error over ten equal-width bins: the mean gap between confidence and accuracy."""
    if not hits:
        return None
    return rounded(sum(n * abs(c - h) for c, h, n in reliability(confidences, hits)) / len(hits))


def reliability(
    confidences: Sequence[float], hits: Sequence[bool], *, bins: int = 10
) -> list[tuple[float, float, int]]:
    """(mean confidence, share right, n) of each non-empty bin; a bin includes its upper edge."""
    held: dict[int, list[tuple[float, bool]]] = {}
    for confidence, hit in zip(confidences, hits, strict=True):
        held.setdefault(min(bins - 1, max(0, math.ceil(confidence * bins) - 1)), []).append((confidence, hit))
    return [
        (sum(c for c, _ in members) / len(members), sum(h for _, h in members) / len(members), len(members))
        for _, members in sorted(held.items())
    ]
