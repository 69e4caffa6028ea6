"""Monitoring and capacity: numbers counted by hand, drift with an honest interval, a simulation with known answers."""

import pytest
from labels import REPORT

from irae_lib.errors import RunError
from irae_lib.evaluation.calibration import Calibration
from irae_lib.evaluation.statistics import rate
from irae_lib.screening.cost import cost, simulated_rate
from irae_lib.screening.monitor import drift, groups
from irae_lib.screening.shards import Shards


@pytest.fixture
def out(tmp_path):
    rows = [
        {"place": 0, "site": "A", "final": {"alert": True, "urgency": "urgent"}, "disagrees": ["urgency"]},
        {"place": 1, "site": "A", "final": {"alert": False, "urgency": "routine"}, "disagrees": ["likelihood"]},
        {"place": 2, "site": "B", "final": {"alert": True, "urgency": "urgent"}, "problem": "HTTP 500"},
        {"place": 3, "site": "B", "problem": "not JSON"},
    ]
    shards = Shards(tmp_path / "model")
    shards.write(0, rows[:3])
    shards.write(1, rows[3:])
    return tmp_path


def test_groups_are_counted_by_site_and_over_all(out):
    (everyone,) = groups(out, "model")
    assert (everyone.rows, everyone.bad, everyone.alerts.hits, everyone.alerts.n, everyone.unanswered.hits) == (
        4,
        1,
        2,
        3,
        1,
    )
    assert (everyone.disagrees.hits, everyone.disagrees.n) == (1, 2), "causality is not the rules' to judge"
    a, b = groups(out, "model", by="site")
    assert (a.name, a.rows, a.unanswered.hits, b.name, b.alerts.n, b.disagrees) == ("A", 2, 0, "B", 1, None)
    assert everyone.abstains is None, "this server sent no probabilities"
    assert everyone.legal_mass is None, "this server sent no probabilities"
    assert groups(out, "rules") == []


def report(alerts, n):
    arm = REPORT.results["test"]["rules"]
    triage = arm.safety.triage.model_copy(update={"alerts": rate(alerts, n)})
    arm = arm.model_copy(update={"safety": arm.safety.model_copy(update={"n": n, "unscored": 0, "triage": triage})})
    return REPORT.model_copy(update={"results": {"test": {"full": arm, "rules": arm}}})


def test_drift_is_told_from_chance(out, tmp_path):
    alerts, unanswered = drift(out, "model", report(60, 100))
    assert (alerts.difference, alerts.moved) == (pytest.approx(0.0667, abs=1e-4), False)
    assert (unanswered.here.hits, unanswered.validated.hits) == (1, 0)
    shards = Shards(tmp_path / "many" / "rules")
    shards.write(0, [{"place": i, "final": {"alert": i % 5 == 0, "urgency": "soon"}} for i in range(500)])
    moved = drift(tmp_path / "many", "rules", report(60, 100))[0]
    assert moved.moved
    assert moved.difference == pytest.approx(-0.4)
    # Newcombe 1998, method 10, 100/500 against 60/100, worked by hand from the two Wilson intervals.
    assert (moved.interval.low, moved.interval.high) == (
        pytest.approx(-0.4972, abs=2e-3),
        pytest.approx(-0.2962, abs=2e-3),
    )


def test_doubt_is_counted_where_a_server_sends_probabilities(tmp_path):
    final, day = {"final": {"alert": True, "urgency": "urgent"}}, ("2026-05-01", "2026-05-02")
    answers = [("full", 0.9, 0.99, 0), ("full", 0.2, 0.95, 0), ("short", 0.1, 0.40, 1), ("full", 0.5, 0.90, 1)]
    rows = [
        {"place": i, "date": day[d], "asked": asked, "certainty": sure, "legal_mass": mass, "disagrees": [], **final}
        for i, (asked, sure, mass, d) in enumerate(answers)
    ]
    Shards(tmp_path / "model").write(0, rows)
    fitted = Calibration(temperatures={}, threshold=0.5, target_risk=0.05, n=150)
    first, second = groups(tmp_path, "model", by="date", calibration=fitted)
    assert (first.name, first.abstains.hits, first.abstains.n, first.legal_mass) == (day[0], 1, 2, 0.97)
    assert (second.abstains.hits, second.abstains.n, second.legal_mass) == (0, 1, 0.65), (
        "a short answer has no reasoning"
    )
    assert groups(tmp_path, "model")[0].abstains is None, "without a threshold nobody abstains"
    abstains = drift(tmp_path, "model", REPORT)[-1]
    assert (abstains.what, abstains.here.hits, abstains.validated.n) == ("abstains", 2, 300)
    assert abstains.interval


def test_an_empty_run_has_no_drift(tmp_path):
    assert drift(tmp_path, "rules", report(1, 2)) == []


def test_cost_is_notes_over_rate():
    assert cost(1_000_000, 25, 2.5, spare=0.0).hours == 11.11
    assert cost(3600, 1, 10).price == 12.0
    with pytest.raises(RunError, match="not a valid rate"):
        cost(10, 0.0, 1)


def test_the_simulation_knows_what_is_known():
    assert simulated_rate([2.0], 1) == pytest.approx(0.5)
    assert simulated_rate([2.0], 64) == pytest.approx(32, rel=0.02)
    assert simulated_rate([1.0, 3.0], 8) == pytest.approx(4.0, rel=0.02)
