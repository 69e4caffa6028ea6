"""Calibration: fitted where it should be, changing no answer, and honest where there is nothing to fit."""

import math
import random

import pytest

from irae_lib.cases import validated_cases
from irae_lib.evaluation import calibration
from irae_lib.evaluation.scoring import Score
from irae_lib.model.answers import Answer
from irae_lib.schemas import FIELDS

LABEL = validated_cases()[0].expected


def answer(confidence: float | dict, certainty: float | None = None) -> Answer:
    each = confidence if isinstance(confidence, dict) else dict.fromkeys(FIELDS, confidence)
    sure = min(each.values()) if certainty is None else certainty
    return Answer(text="", assessment=LABEL, confidence=each, certainty=sure)


def scored(right: int) -> Score:
    return Score(**{name: i < right for i, name in enumerate(FIELDS)})


@pytest.mark.parametrize("truth", [0.5, 1.0, 2.0, 4.0])
def test_the_temperature_that_made_the_confidences_is_found_again(truth):
    rng = random.Random(3)
    honest = [rng.uniform(0.5, 0.99) for _ in range(6000)]
    hits = [rng.random() < p for p in honest]
    said = [calibration.cooled(p, 1 / truth) for p in honest]
    assert calibration.fit_temperature(said, hits) == pytest.approx(truth, rel=0.12)


def test_cooling_keeps_the_order_and_moves_towards_one_half():
    values = [0.0, 0.2, 0.5, 0.7, 0.999, 1.0]
    for temperature in (0.3, 1.0, 5.0):
        out = [calibration.cooled(v, temperature) for v in values]
        assert out == sorted(out)
        assert out[2] == 0.5
        assert all(0 <= v <= 1 for v in out)
    assert calibration.cooled(0.9, 2.0) < 0.9 < calibration.cooled(0.9, 0.5)


def test_risk_and_coverage_by_hand():
    sure = [(0.9, True), (0.8, False), (0.8, True), (0.3, False)]
    assert calibration.risk_coverage(sure) == [
        (0.9, 0.25, 0.0),
        (0.8, 0.75, pytest.approx(1 / 3)),
        (0.3, 1.0, 0.5),
    ]
    assert calibration.risk_coverage([]) == []


def test_threshold_answers_as_many_as_the_target_allows():
    answers = [answer(c) for c in (0.99, 0.9, 0.8, 0.7)]
    scores = [scored(5), scored(4), scored(5), scored(3)]
    fitted = calibration.fit(answers, scores, target_risk=0.0)
    assert [a.certainty >= fitted.threshold for a in answers] == [True, True, True, False]
    assert calibration.fit(answers, scores, target_risk=0.25).threshold == 0.0
    assert calibration.fit(answers[3:], scores[3:], target_risk=0.1).threshold is None


def test_judged_on_other_cases_with_the_threshold_that_was_chosen():
    fitted = calibration.Calibration(temperatures=dict.fromkeys(FIELDS, 1.0), threshold=0.6, target_risk=0.05, n=9)
    mixed = dict.fromkeys(FIELDS, 0.9) | {"urgency": 0.5}
    said = calibration.judge(
        fitted,
        [answer(0.9), answer(0.7), answer(mixed, certainty=0.1), Answer(text="?", unscored="not JSON")],
        [scored(5), scored(2), scored(5), Score(**dict.fromkeys(FIELDS, False), unscored="not JSON")],
    )
    assert (said.answered.hits, said.answered.n) == (2, 4)
    assert (said.failed_of_answered.hits, said.failed_of_answered.n, said.failed_of_all.hits) == (1, 2, 2)
    urgency = said.fields["urgency"]
    # 0.9 right, 0.7 wrong (scored(2) has irAE and system right), 0.5 right.
    assert urgency.n == 3
    assert urgency.brier == pytest.approx((0.01 + 0.49 + 0.25) / 3, abs=1e-4)
    assert urgency.ece == pytest.approx((0.1 + 0.7 + 0.5) / 3, abs=1e-4)
    assert urgency.brier_interval.low <= urgency.brier <= urgency.brier_interval.high


def test_nothing_to_fit_and_nothing_to_judge():
    fitted = calibration.fit([], [])
    assert fitted.threshold is None
    assert set(fitted.temperatures.values()) == {1.0}
    said = calibration.judge(fitted, [], [])
    assert said.answered.rate is None
    assert said.fields["urgency"].ece is None
    free = calibration.fit([Answer(text="", assessment=LABEL)], [scored(5)])
    assert free.n == 0
    assert free.threshold is None
    everything = fitted.model_copy(update={"threshold": 0.0})
    assert calibration.judge(everything, [Answer(text="", assessment=LABEL)], [scored(5)]).answered.hits == 0


def test_a_boastful_model_is_cooled_down_and_its_error_shrinks():
    rng = random.Random(5)
    cases = []
    for _ in range(1200):
        p = rng.uniform(0.55, 0.95)
        cases.append((answer(calibration.cooled(p, 0.3)), Score(**{name: rng.random() < p for name in FIELDS})))
    fitted = calibration.fit(*zip(*cases[:600], strict=True))
    said = calibration.judge(fitted, *zip(*cases[600:], strict=True))
    for one in said.fields.values():
        assert one.temperature > 2
        assert one.ece < one.ece_before / 2
        assert one.brier < one.brier_before
        assert not math.isnan(one.ece_interval.high)
