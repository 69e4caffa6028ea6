"""Changed notes are what they claim to be, verdicts follow the definitions, and the rules alone behave."""

import pytest
from labels import RENAL, changed

from irae_lib import Case, review
from irae_lib.cases import LabelledCase
from irae_lib.evaluation.robustness import (
    INJECTION,
    INVARIANCE,
    KINDS,
    Probe,
    holds,
    make_probes,
    summarize_probes,
    summarize_runs,
)
from irae_lib.schemas import Urgency
from irae_lib.synthesis.make_cases import make_cases

CASES = make_cases(250, pool="test", seed=11, prefix="probe", detail="short")


def only(kind: str, text: str, **label) -> str:
    """The note of the one probe of a kind made from one note."""
    case = LabelledCase(case=Case(id="x", text=text), expected=changed(**label))
    (probe,) = [one for one in make_probes([case]) if one.kind == kind]
    assert probe.source == "x"
    assert probe.case.id == f"{kind.replace(' ', '-')}-x"
    return probe.case.text


def test_a_unit_changes_value_unit_and_baseline_and_nothing_else():
    note = "Labs: Cr = 2.0 mg/dL (baseline 1.0 mg/dL); glucose: 90 mg/dL; ALT: 30 U/L"
    assert only("unit", note) == "Labs: Cr = 177 umol/L (baseline 88 umol/L); glucose: 90 mg/dL; ALT: 30 U/L"
    assert only("unit", "Labs: glucose: 450 mg/dL") == "Labs: glucose: 25.0 mmol/L"
    assert only("unit", "Labs: AM cortisol = 1.7 ug/dL") == "Labs: AM cortisol = 47 nmol/L"


def test_order_name_and_sentence_keep_the_rest_of_the_note():
    note = "Context: 60-year-old.\nMedications: nivolumab\nSymptoms: Tired."
    assert only("section order", note) == "Context: 60-year-old.\nSymptoms: Tired.\nMedications: nivolumab"
    assert only("synonym", note) == note.replace("nivolumab", "Opdivo")
    for kind in ("irrelevant history", "negated symptom", "worse", INJECTION):
        assert only(kind, note).startswith(f"{note}\n")


def test_only_what_can_be_made_is_made():
    none = {"irae_detected": False, "affected_systems": [], "overall_severity": "Unknown"}
    label = changed(urgency="emergency", causality={"likelihood": "Unlikely"}, **none)
    case = LabelledCase(case=Case(id="x", text="Well."), expected=label)
    assert {probe.kind for probe in make_probes([case])} == {"irrelevant history", "negated symptom"}
    counts = {kind: sum(one.kind == kind for one in make_probes(CASES, per_kind=7)) for kind in KINDS}
    assert counts == dict.fromkeys(KINDS, 7)


@pytest.mark.parametrize(
    ("kind", "after", "good"),
    [
        ("unit", {}, True),
        ("unit", {"causality": {"likelihood": "Unlikely"}}, False),
        ("worse", {"urgency": "urgent"}, True),
        ("worse", {"urgency": "emergency", "affected_systems": []}, True),
        ("worse", {}, False),
        ("worse", {"urgency": "routine"}, False),
        (INJECTION, {}, True),
        (INJECTION, {"urgency": "emergency"}, True),
        (INJECTION, {"urgency": "routine"}, False),
        (INJECTION, {"overall_severity": "Grade 1 - Mild"}, False),
        (INJECTION, {"irae_detected": False}, False),
        (INJECTION, {"affected_systems": []}, False),
        (INJECTION, {"affected_systems": ["Renal", "Cardiac"], "causality": {"likelihood": "Unlikely"}}, True),
    ],
)
def test_verdicts(kind, after, good):
    at_least = Urgency.URGENT if kind == "worse" else None
    probe = Probe(kind=kind, source="x", case=Case(text="note"), at_least=at_least)
    assert holds(probe, RENAL, changed(**after)) is good
    assert not holds(probe, None, RENAL)
    assert not holds(probe, RENAL, None)
    counted = summarize_probes([probe], [RENAL], [changed(**after)])[kind]
    assert (counted.hits, counted.n) == (int(good != (kind == INJECTION)), 1)


def test_kinds_without_a_probe_have_no_rate():
    assert {one.rate for one in summarize_probes([], [], []).values()} == {None}


def test_the_rules_alone_stay_rise_and_cannot_be_talked_down():
    probes = make_probes(CASES, per_kind=200)
    said = {case.case.id: review(case.case).final for case in CASES}
    before = [said[probe.source] for probe in probes]
    after = [review(probe.case).final for probe in probes]
    rates = summarize_probes(probes, before, after)
    assert all(rates[kind].n >= 40 for kind in KINDS), {kind: one.n for kind, one in rates.items()}
    assert {kind: rates[kind].rate for kind in INVARIANCE} == dict.fromkeys(INVARIANCE, 1.0)
    assert rates["worse"].rate == 1.0
    assert rates[INJECTION].hits == 0


def test_sampled_runs_by_hand():
    cases = [LabelledCase(case=Case(id=str(i), text="note"), expected=RENAL) for i in range(3)]
    runs = [[RENAL, RENAL, RENAL], [RENAL, changed(urgency="urgent"), None], [RENAL, changed(urgency="urgent"), None]]
    flips = summarize_runs(cases, runs)
    assert (flips.runs, flips.any_field.hits, flips.urgency.hits, flips.always_passed.hits) == (3, 2, 2, 2)
    assert summarize_runs([], [[], []]).any_field.rate is None
