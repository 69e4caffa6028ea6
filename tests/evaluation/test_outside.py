"""Cases from elsewhere: only settled fields count, and what is accepted is accepted."""

import pytest
from stub_server import GOOD

from irae_lib import Assessment, Case
from irae_lib.evaluation.outside import OutsideCase, _accepted, read_outside, report_outside
from irae_lib.model.answers import Answer
from irae_lib.schemas import Likelihood, Severity, System, Urgency

UNSETTLED = {"irae_detected": None, "grade": None, "urgency": None, "systems": None, "likelihood": None}


def answer(**fields) -> Answer:
    return Answer(text="", assessment=Assessment(**GOOD | fields))


@pytest.mark.parametrize(
    ("expected", "fields"),
    [
        ({"irae_detected": True}, {"irae_detected": frozenset([True])}),
        ({"grade": 3, "grade_in": [2, 3]}, {"overall_severity": frozenset([Severity.GRADE_2, Severity.GRADE_3])}),
        ({"urgency_in": ["soon", "urgent"]}, {"urgency": frozenset([Urgency.SOON, Urgency.URGENT])}),
        ({"systems": []}, {"affected_systems": frozenset()}),
        ({"likelihood": "Unlikely"}, {"likelihood": frozenset([Likelihood.UNLIKELY])}),
        (
            {"irae_detected": False},
            {"irae_detected": frozenset([False]), "overall_severity": frozenset([Severity.UNKNOWN])},
        ),
    ],
)
def test_a_field_counts_where_its_label_is_set(expected, fields):
    assert _accepted(UNSETTLED | expected) == fields


def test_organ_systems_must_be_named_and_none_may_be_where_none_is():
    case = OutsideCase(Case(text="x"), {"affected_systems": frozenset([System.HEPATIC])})
    both, none = answer(affected_systems=["Hepatic", "Cardiac"]), answer(affected_systems=[])
    assert case.right(both.assessment) == {"affected_systems": True}
    assert case.right(none.assessment) == {"affected_systems": False}
    assert case.right(None) == {"affected_systems": False}
    quiet = case._replace(accepted={"affected_systems": frozenset()})
    assert not quiet.right(both.assessment)["affected_systems"]
    assert quiet.right(none.assessment)["affected_systems"]


def test_the_file_has_its_cases_and_a_part_is_spread_over_it():
    everything, some = read_outside(), read_outside(64)
    assert (len(everything), len(some), len(read_outside(0))) == (176, 64, 0)
    assert len({one.case.id for one in some}) == 64
    assert everything[-5].case.id > some[10].case.id


def test_rates_have_their_own_n_and_the_rules_beat_silence():
    cases = read_outside()
    report = report_outside(cases, {"base": [Answer(text="", unscored="cut")] * 176, "full": [answer()] * 176})
    silent, rules = report.arms["rules"]["raw"], report.arms["rules"]["safety"]
    assert silent.fields["irae_detected"].n == sum("irae_detected" in one.accepted for one in cases)
    assert silent.together.n == sum(len(one.accepted) for one in cases)
    assert rules.together.hits > silent.together.hits
    assert report.arms["base"]["safety"].together.hits == 0  # an unreadable answer stays unscored
    assert report.difference > 0
    assert report.difference_interval.low > 0
    assert report_outside(cases, {}).difference is None
