"""Monitoring and capacity: numbers counted by hand, drift with an honest interval, a simulation with known answers."""

import pytest

from irae_lib.batch.capacity import cost, simulated_rate
from irae_lib.batch.monitor import drift, groups
from irae_lib.batch.shards import Shards


@pytest.fixture
def out(tmp_path):
    rows = [
        {"place": 0, "site": "A", "final": {"alert": True}, "disagrees": ["urgency"]},
        {"place": 1, "site": "A", "final": {"alert": False}, "disagrees": ["likelihood"]},
        {"place": 2, "site": "B", "final": {"alert": True}, "problem": "HTTP 500"},
        {"place": 3, "site": "B", "problem": "not JSON"},
    ]
    shards = Shards(tmp_path / "model")
    shards.write(0, rows[:3])
    shards.write(1, rows[3:])
    return tmp_path


def test_groups_are_counted_by_site_and_over_all(out):
    (everyone,) = groups(out, "model")
    assert (everyone.rows, everyone.alerts.hits, everyone.alerts.n, everyone.failed.hits) == (4, 2, 3, 2)
    assert (everyone.disagrees.hits, everyone.disagrees.n) == (1, 2), "causality is not the rules' to judge"
    a, b = groups(out, "model", by="site")
    assert (a.name, a.rows, a.failed.hits, b.name, b.alerts.n, b.disagrees) == ("A", 2, 0, "B", 1, None)
    assert groups(out, "rules") == []


def report(alerts, n):
    triage = {"alerts": {"hits": alerts, "n": n}}
    section = {"safety": {"n": n, "unscored": 0, "triage": triage}}
    return {"results": {"test": {"full": section, "rules": section}}}


def test_drift_is_told_from_chance(out, tmp_path):
    alerts, unanswered = drift(out, "model", report(60, 100))
    assert (alerts.difference, alerts.moved) == (pytest.approx(0.0667, abs=1e-4), False)
    assert (unanswered.here.hits, unanswered.validated.hits) == (1, 0)
    shards = Shards(tmp_path / "many" / "rules")
    shards.write(0, [{"place": i, "final": {"alert": i % 5 == 0}} for i in range(500)])
    moved = drift(tmp_path / "many", "rules", report(60, 100))[0]
    assert moved.moved and moved.difference == pytest.approx(-0.4)
    # Newcombe 1998, method 10, 100/500 against 60/100, worked by hand from the two Wilson intervals.
    assert (moved.interval.low, moved.interval.high) == (
        pytest.approx(-0.4972, abs=2e-3),
        pytest.approx(-0.2962, abs=2e-3),
    )


def test_an_empty_run_has_no_drift(tmp_path):
    assert drift(tmp_path, "rules", report(1, 2))[0].difference is None


def test_cost_is_notes_over_rate():
    assert cost(1_000_000, 25, 2.5, spare=0.0).hours == 11.11
    assert cost(3600, 1, 10).price == 12.0


def test_the_simulation_knows_what_is_known():
    assert simulated_rate([2.0], 1) == pytest.approx(0.5)
    assert simulated_rate([2.0], 64) == pytest.approx(32, rel=0.02)
    assert simulated_rate([1.0, 3.0], 8) == pytest.approx(4.0, rel=0.02)
