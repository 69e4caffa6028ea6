"""Eighty everyday notes by an author who knew neither the code nor its words: the rates of the first reading must hold.

First reading on 2026-11-27, before anything was changed for them: grade floor 44 of 50, urgency floor 45 of 50, organ
system 48 of 52, nothing raised 16 of 26. From now on they are development cases.
"""

import json
from pathlib import Path

import pytest

from irae_lib import Case, review
from irae_lib.schemas import Severity, Urgency

ROWS = [json.loads(line) for line in (Path(__file__).parents[1] / "cases" / "everyday.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def answers():
    """The label that each note sets, and the final answer of the rules alone."""
    exposed = {row["id"]: row.get("exposed") for row in ROWS}
    return [(row["expected"], review(Case(text=row["text"]), exposed=exposed[row["id"]]).final) for row in ROWS]


def test_grade_floors(answers):
    asked = [(label["min_grade"], final) for label, final in answers if label.get("min_grade")]
    assert len(asked) == 50
    assert sum(final.overall_severity >= Severity.from_grade(grade) for grade, final in asked) >= 44


def test_urgency_floors(answers):
    asked = [(label["min_urgency"], final) for label, final in answers if label.get("min_urgency")]
    assert len(asked) == 50
    assert sum(final.urgency >= Urgency(urgency) for urgency, final in asked) >= 45


def test_organ_systems(answers):
    asked = [(set(label["systems"]), final) for label, final in answers if label.get("systems")]
    assert len(asked) == 52
    assert sum(systems <= {system.value for system in final.affected_systems} for systems, final in asked) >= 48


def test_quiet_notes_stay_quiet(answers):
    quiet = [final for label, final in answers if label.get("systems") == []]
    assert len(quiet) == 26
    assert sum(not final.affected_systems for final in quiet) >= 16
