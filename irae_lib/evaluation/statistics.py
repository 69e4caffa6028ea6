"""Evaluation statistics on plain numbers: rates with intervals, agreement and comparisons.

The functions are independent of notes and models; `tests/evaluation/test_statistics.py` checks each against an
independent implementation. A rate over zero cases is None.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Sequence, Set
from typing import TypeVar

from ..schemas import Record

T = TypeVar("T")
_Z = 1.959964  # two-sided 95 %


class Interval(Record):
    """A two-sided 95 % confidence interval."""

    low: float
    high: float


class Rate(Record):
    """`hits` of `n` with the Wilson interval; `rate` and `interval` are None when n is 0."""

    hits: int
    n: int
    rate: float | None
    interval: Interval | None


class F1(Record):
    """F1 over several labels per case: `micro` pools all decisions, `macro` is the mean over the labels that occur."""

    micro: float | None
    macro: float | None
    labels: dict[str, float]


def rounded(value: float) -> float:
    """Round to four decimal places, as stored in a report."""
    return round(value, 4)


def rate(hits: int, n: int) -> Rate:
    """A proportion with its interval."""
    return Rate(hits=hits, n=n, rate=rounded(hits / n) if n else None, interval=wilson(hits, n))


def wilson(successes: int, n: int) -> Interval | None:
    """Wilson score interval (95 %) of a proportion; None when n is 0. Valid at 0 and n hits, unlike Wald."""
    if n == 0:
        return None
    share, spread = successes / n, _Z * math.sqrt(successes * (n - successes) / n**3 + _Z**2 / (4 * n**2))
    centre, scale = share + _Z**2 / (2 * n), 1 + _Z**2 / n
    return Interval(low=rounded(max(0.0, (centre - spread) / scale)), high=rounded(min(1.0, (centre + spread) / scale)))


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Normal interval of a mean of shares, clipped to 0 and 1; None for fewer than two values."""
    n = len(values)
    if n < 2:
        return None
    mean = sum(values) / n
    half = _Z * math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1) / n)
    return Interval(low=rounded(max(0.0, mean - half)), high=rounded(min(1.0, mean + half)))


def weighted_kappa(a: Sequence[int], b: Sequence[int], levels: int) -> float | None:
    """Cohen's kappa with quadratic weights over ordered levels 0 ... levels - 1.

    None if undefined: without pairs, or if both always give the same single level.
    """
    n = len(a)
    observed = sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
    share_a, share_b = ([list(one).count(level) for level in range(levels)] for one in (a, b))
    expected = sum((i - j) ** 2 * p * q for i, p in enumerate(share_a) for j, q in enumerate(share_b))
    return rounded(1 - observed * n / expected) if expected else None


def kappa(a: Sequence[Hashable], b: Sequence[Hashable]) -> float | None:
    """Cohen's kappa of two raters over unordered labels; None if undefined, as in `weighted_kappa`."""
    n = len(a)
    same = sum(x == y for x, y in zip(a, b, strict=True))
    by_chance = sum(list(a).count(label) * list(b).count(label) for label in set(a)) / n if n else 0.0
    return rounded((same - by_chance) / (n - by_chance)) if n != by_chance else None


def confusion(expected: Sequence[int], said: Sequence[int | None], levels: int) -> list[list[int]]:
    """Confusion matrix of expected (rows) and predicted level (columns); the last column counts unscored answers."""
    matrix = [[0] * (levels + 1) for _ in range(levels)]
    for label, answer in zip(expected, said, strict=True):
        matrix[label][levels if answer is None else answer] += 1
    return matrix


def multilabel_f1(predicted: Sequence[Set[str]], expected: Sequence[Set[str]]) -> F1:
    """F1 of label sets. A label that neither side ever names is omitted; None if neither side names any label."""
    pairs = list(zip(predicted, expected, strict=True))
    counts = {
        label: (sum(label in p and label in e for p, e in pairs), sum((label in p) + (label in e) for p, e in pairs))
        for label in sorted(set().union(*predicted, *expected))
    }
    labels = {label: rounded(2 * hit / named) for label, (hit, named) in counts.items()}
    named = sum(n for _, n in counts.values())
    return F1(
        micro=rounded(2 * sum(hit for hit, _ in counts.values()) / named) if named else None,
        macro=rounded(sum(2 * hit / n for hit, n in counts.values()) / len(counts)) if counts else None,
        labels=labels,
    )


def mcnemar(a: Sequence[bool], b: Sequence[bool]) -> float:
    """Exact two-sided p value that two arms pass equally often on the same cases; 1.0 if they never differ."""
    only_a = sum(x and not y for x, y in zip(a, b, strict=True))
    only_b = sum(y and not x for x, y in zip(a, b, strict=True))
    n, fewer = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n
    return rounded(min(1.0, 2 * tail))


def bootstrap(
    cases: Sequence[T], statistic: Callable[[Sequence[T]], float], *, resamples: int = 1000, seed: int = 0
) -> Interval | None:
    """Percentile interval (95 %) of a statistic, by resampling cases with replacement; None without cases."""
    if not cases:
        return None
    rng = random.Random(seed)
    drawn = sorted(statistic(rng.choices(cases, k=len(cases))) for _ in range(resamples))
    return Interval(low=rounded(drawn[int(0.025 * resamples)]), high=rounded(drawn[int(0.975 * resamples) - 1]))


def paired_bootstrap(
    a: Sequence[float], b: Sequence[float], *, resamples: int = 2000, seed: int = 0
) -> Interval | None:
    """Percentile interval (95 %) of the mean of b - a over the same cases."""
    differences = [y - x for x, y in zip(a, b, strict=True)]
    return bootstrap(differences, lambda drawn: sum(drawn) / len(drawn), resamples=resamples, seed=seed)
