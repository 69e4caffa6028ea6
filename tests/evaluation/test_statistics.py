"""Statistics against independent computations: by hand, by brute force, by scikit-learn where it is installed."""

import itertools
import math
import random

import pytest

from irae_lib.evaluation import calibration, statistics


def test_wilson_against_published_values():
    # 0 of 11: upper bound 0.259 (two-sided 95 %, Wilson); 11 of 11 mirrors it. 81 of 263: Newcombe 1998, table I.
    wilson = statistics.wilson
    assert wilson(0, 11).high == pytest.approx(0.2588, abs=1e-3)
    assert wilson(0, 11).low == 0
    assert wilson(11, 11).low == pytest.approx(0.7412, abs=1e-3)
    assert wilson(11, 11).high == 1
    assert (wilson(81, 263).low, wilson(81, 263).high) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 0) is None
    assert statistics.rate(0, 0).rate is None


def kappa_by_table(a, b, levels):
    """Quadratic kappa from the full table of joint and marginal shares, as Cohen 1968 defines it."""
    n = len(a)
    cells = list(itertools.product(range(levels), repeat=2))
    joint = {(i, j): sum(x == i and y == j for x, y in zip(a, b, strict=True)) / n for i, j in cells}
    rows = [sum(joint[i, j] for j in range(levels)) for i in range(levels)]
    columns = [sum(joint[i, j] for i in range(levels)) for j in range(levels)]
    weight = {(i, j): (i - j) ** 2 / (levels - 1) ** 2 for i, j in joint}
    chance = sum(weight[i, j] * rows[i] * columns[j] for i, j in joint)
    return 1 - sum(weight[cell] * joint[cell] for cell in joint) / chance


@pytest.mark.parametrize("seed", range(20))
def test_weighted_kappa_equals_the_table_of_shares(seed):
    rng = random.Random(seed)
    levels, n = rng.randint(2, 5), rng.randint(5, 60)
    a, b = ([rng.randrange(levels) for _ in range(n)] for _ in range(2))
    assert statistics.weighted_kappa(a, b, levels) == pytest.approx(kappa_by_table(a, b, levels), abs=1e-4)


def test_weighted_kappa_of_equal_opposite_and_undefined():
    assert statistics.weighted_kappa([0, 1, 2, 3], [0, 1, 2, 3], 4) == 1.0
    assert statistics.weighted_kappa([0, 3], [3, 0], 4) == -1.0
    assert statistics.weighted_kappa([], [], 4) is None
    assert statistics.weighted_kappa([2, 2], [2, 2], 4) is None


@pytest.mark.parametrize("seed", range(20))
def test_f1_equals_counting_every_decision(seed):
    rng = random.Random(seed)
    labels = "abcd"
    predicted, expected = ([{x for x in labels if rng.random() < 0.3} for _ in range(25)] for _ in range(2))
    decisions = [(x in p, x in e, x) for p, e in zip(predicted, expected, strict=True) for x in labels]

    def f1(rows):
        hit, false, missed = (sum(r[:2] == kind for r in rows) for kind in ((True, True), (True, False), (False, True)))
        return 2 * hit / (2 * hit + false + missed) if hit + false + missed else None

    found = statistics.multilabel_f1(predicted, expected)
    per_label = [f1([r for r in decisions if r[2] == x]) for x in labels]
    assert found.micro == pytest.approx(f1(decisions), abs=1e-4)
    assert found.macro == pytest.approx(
        sum(x for x in per_label if x is not None) / sum(x is not None for x in per_label), abs=1e-4
    )


def test_f1_of_nothing_named():
    assert statistics.multilabel_f1([set()], [set()]) == statistics.multilabel_f1([], [])
    assert statistics.multilabel_f1([], []).micro is None
    assert statistics.multilabel_f1([{"a"}], [set()]).micro == 0.0


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (0, 5), (3, 8), (6, 6), (1, 2)])
def test_mcnemar_is_the_share_of_coin_throws_at_least_as_one_sided(only_a, only_b):
    n = only_a + only_b
    lopsided = abs(only_a - only_b)
    throws = list(itertools.product((0, 1), repeat=n))
    share = sum(abs(2 * sum(throw) - n) >= lopsided for throw in throws) / len(throws)
    a = [True] * only_a + [False] * only_b + [True, False]
    b = [False] * only_a + [True] * only_b + [True, False]
    assert statistics.mcnemar(a, b) == pytest.approx(share, abs=1e-4)


def test_paired_bootstrap_covers_the_mean_about_as_often_as_it_says():
    rng, inside = random.Random(1), 0
    for seed in range(200):
        a = [rng.random() for _ in range(60)]
        b = [x + 0.1 + rng.gauss(0, 0.3) for x in a]
        interval = statistics.paired_bootstrap(a, b, resamples=400, seed=seed)
        inside += interval.low <= 0.1 <= interval.high
    assert 0.89 <= inside / 200 <= 0.99
    assert statistics.paired_bootstrap([], []) is None
    assert statistics.paired_bootstrap([0.5], [0.5]) == statistics.Interval(low=0, high=0)


def test_brier_and_calibration_error_by_hand():
    assert calibration.brier([0.8, 0.5, 0.9], [True, False, False]) == pytest.approx((0.04 + 0.25 + 0.81) / 3, abs=1e-4)
    # 0.95 in two cases of which one is right; 0.3 in one case that is wrong.
    assert calibration.calibration_error([0.95, 0.95, 0.3], [True, False, False]) == pytest.approx(
        (2 * 0.45 + 0.3) / 3, abs=1e-4
    )
    assert calibration.brier([], []) is None
    assert calibration.calibration_error([], []) is None
    assert calibration.reliability([0.0, 0.1, 1.0], [False, True, True], bins=10) == [(0.05, 0.5, 2), (1.0, 1.0, 1)]


@pytest.mark.parametrize("seed", range(10))
def test_calibration_error_of_honest_confidences_shrinks_with_n(seed):
    rng = random.Random(seed)
    confidences = [rng.random() for _ in range(4000)]
    honest = calibration.calibration_error(confidences, [rng.random() < c for c in confidences])
    boastful = calibration.calibration_error(confidences, [rng.random() < c / 2 for c in confidences])
    assert honest < 0.05 < 0.2 < boastful


@pytest.mark.parametrize("seed", range(10))
def test_against_scikit_learn(seed):
    scores = pytest.importorskip("sklearn.metrics", reason="scikit-learn is in tests/requirements-extra.txt")
    rng = random.Random(seed)
    a, b = ([rng.randrange(5) for _ in range(80)] for _ in range(2))
    assert statistics.weighted_kappa(a, b, 5) == pytest.approx(
        scores.cohen_kappa_score(a, b, labels=range(5), weights="quadratic"), abs=1e-4
    )
    sets = [[{x for x in range(4) if rng.random() < 0.4} for _ in range(80)] for _ in range(2)]
    rows = [[[int(x in one) for x in range(4)] for one in side] for side in sets]
    found = statistics.multilabel_f1(*([{str(x) for x in one} for one in side] for side in sets))
    assert found.micro == pytest.approx(scores.f1_score(rows[1], rows[0], average="micro"), abs=1e-4)
    assert found.macro == pytest.approx(scores.f1_score(rows[1], rows[0], average="macro"), abs=1e-4)
    p = [rng.random() for _ in range(80)]
    hits = [rng.random() < 0.5 for _ in p]
    assert calibration.brier(p, hits) == pytest.approx(scores.brier_score_loss(hits, p), abs=1e-4)
    assert not math.isnan(calibration.calibration_error(p, hits))


def test_confusion_has_a_column_for_answers_that_say_nothing():
    assert statistics.confusion([0, 0, 1, 2], [0, 1, None, 2], 3) == [[1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    assert statistics.confusion([], [], 2) == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("seed", range(5))
def test_confusion_equals_scikit_learn_where_it_is_installed(seed):
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = random.Random(seed)
    label, said = ([rng.randrange(4) for _ in range(50)] for _ in range(2))
    ours = statistics.confusion(label, said, 4)
    assert [row[:4] for row in ours] == sklearn.confusion_matrix(label, said, labels=range(4)).tolist()
    assert all(row[4] == 0 for row in ours)
