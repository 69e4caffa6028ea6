"""Seven sets of about a hundred notes by authors who knew neither the code nor its words: their rates must hold.

`tests/cases/README.md` tells who wrote them and what the first reading of each was. They are development cases now, so
these rates are a regression test and no estimate.
"""

import json
from pathlib import Path

import pytest
from run_devcases import is_flagged

from irae_lib import Case, review
from irae_lib.schemas import Severity, Urgency

CASES = Path(__file__).parent.parent / "cases"
KEPT = {  # set: reached grade, reached urgency, nothing raised, stays below its bound, organ found, no organ
    "fresh_1": (0.98, 0.98, 0.96, 0.94, 0.98, 0.97),
    "fresh_2": (0.98, 0.98, 0.98, 0.99, 0.98, 0.97),
    "fresh_3": (0.98, 0.98, 0.96, 0.99, 0.98, 0.97),
    "fresh_4": (0.94, 0.96, 0.98, 0.98, 0.98, 0.97),
    "fresh_5": (0.92, 0.91, 0.98, 0.98, 0.91, 0.97),
    "fresh_6": (0.94, 0.97, 0.98, 0.83, 0.97, 0.97),
    "fresh_7": (0.97, 0.97, 0.90, 0.89, 0.98, 0.89),
}
NAMES = ("min_grade", "min_urgency", "no_floor", "maxima", "systems", "quiet")


def rows(name):
    return [json.loads(line) for line in (CASES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def read(row):
    return review(Case(text=row["text"]), exposed=row.get("exposed"))


def checks(label, result):
    """(rate, whether it holds) for each expectation of a label on the answer as a whole."""
    final = result.final
    if label.get("min_grade"):
        yield "min_grade", final.overall_severity >= Severity.from_grade(label["min_grade"])
    if label.get("min_urgency"):
        yield "min_urgency", final.urgency >= Urgency(label["min_urgency"])
    if label.get("systems"):
        yield "systems", set(label["systems"]) <= {system.value for system in final.affected_systems}
    if label.get("systems") == []:
        yield "quiet", not final.affected_systems
    if label.get("max_grade"):
        yield "maxima", final.overall_severity <= Severity.from_grade(label["max_grade"])
    for item in label.get("must_not_flag") or []:
        if item.startswith("floor:"):
            yield "maxima" if ">=" in item else "no_floor", not is_flagged(item, result)


@pytest.mark.parametrize("name", KEPT)
def test_a_set_keeps_its_rates(name):
    results = {rate: [] for rate in NAMES}
    for row in rows(name):
        for rate, holds in checks(row["expected"], read(row)):
            results[rate].append(holds)
    rates = {rate: sum(results[rate]) / len(results[rate]) for rate in NAMES}
    low = {rate: rates[rate] for rate, bound in zip(NAMES, KEPT[name], strict=True) if rates[rate] < bound}
    assert not low


@pytest.mark.parametrize("row", rows("not_proof"), ids=lambda row: row["id"])
def test_what_only_looks_like_proof_or_recovery_takes_no_floor_away(row):
    failed = [rate for rate, holds in checks(row["expected"], read(row)) if not holds]
    assert not failed
