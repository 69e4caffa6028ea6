"""Scores and rates: by hand on small inputs, and on the degenerate ones (nothing, nobody, all unscored)."""

import pytest

from irae_lib import Case, score
from irae_lib.cases import LabelledCase, validated_cases
from irae_lib.evaluation import (
    grade_answers,
    positives,
    report_section,
    rules_alone,
    summarize,
    summarize_pairs,
    wilson,
)
from irae_lib.schemas import FIELDS, Answer, Assessment, Urgency, parse_answer

TRUTH = Assessment(
    irae_detected=True,
    affected_systems=["Cardiac", "Neurologic"],
    overall_severity="Grade 3 - Severe",
    urgency="emergency",
    causality={"likelihood": "Possible"},
)


def changed(**fields) -> Assessment:
    return Assessment.model_validate(TRUTH.model_dump() | fields)


@pytest.mark.parametrize(
    "fields, wrong",
    [
        ({}, set()),
        ({"affected_systems": ["Neurologic", "Cardiac"]}, set()),
        ({"affected_systems": ["Cardiac"]}, {"affected_systems"}),
        ({"urgency": "urgent", "overall_severity": "Grade 2 - Moderate"}, {"urgency", "overall_severity"}),
        ({"irae_detected": False, "causality": {"likelihood": "Unlikely"}}, {"irae_detected", "likelihood"}),
    ],
)
def test_score_compares_five_fields_and_systems_as_sets(fields, wrong):
    result = score(changed(**fields), TRUTH)
    assert {name for name in FIELDS if not getattr(result, name)} == wrong
    assert result.total == 5 - len(wrong) and result.passed == (len(wrong) <= 1)


def test_unscored_has_no_field_right_and_says_why():
    result = score(None, TRUTH, unscored="not JSON")
    assert (result.total, result.passed, result.unscored) == (0, False, "not JSON")


def cases(n: int) -> list[LabelledCase]:
    return [LabelledCase(case=Case(id=str(i), text=f"note {i}"), expected=TRUTH) for i in range(n)]


def test_summary_by_hand():
    answers = [
        parse_answer(TRUTH.to_json()),
        parse_answer(changed(urgency="soon", overall_severity="Unknown").to_json()),
        Answer(text="?", unscored="not JSON"),
        parse_answer(changed(urgency="urgent").to_json()),
    ]
    four = cases(4)
    graded = grade_answers(four, answers)
    raw = summarize(four, graded, stage="raw")
    assert (raw.n, raw.unscored, raw.passed) == (4, 1, 2)
    assert raw.field_accuracy == pytest.approx((5 + 3 + 0 + 4) / 20)
    assert raw.fields == {
        "irae_detected": 0.75,
        "affected_systems": 0.75,
        "overall_severity": 0.5,
        "urgency": 0.25,
        "likelihood": 0.75,
    }
    assert (raw.under_triaged, raw.over_triaged) == (2, 0)
    # The organ floor raises "soon" to "urgent" for Cardiac: still under-triaged, and no field becomes right.
    safety = summarize(four, graded, stage="safety")
    assert (safety.passed, safety.unscored, safety.under_triaged) == (2, 1, 2)


def test_the_floor_can_only_help_urgency_and_an_unscored_answer_stays_unscored():
    three = validated_cases()[:3]
    low = [parse_answer(c.expected.model_copy(update={"urgency": Urgency.ROUTINE}).to_json()) for c in three]
    graded = grade_answers(three, [*low[:2], Answer(text="", unscored="the answer is empty")])
    assert [g.safety.total for g in graded] == [5, 5, 0] and graded[2].safety.unscored and graded[0].raised


@pytest.mark.parametrize("n", [0, 1])
def test_rates_over_nobody_are_none_and_not_zero(n):
    some = cases(n)
    section = report_section(some, grade_answers(some, [Answer(text="", unscored="empty")] * n))
    assert section["raw"]["n"] == n and (section["raw"]["field_accuracy"] is None) == (n == 0)


def test_answers_must_match_cases():
    with pytest.raises(ValueError):
        grade_answers(cases(2), [Answer(text="", unscored="x")])


def test_wilson_against_published_values():
    # 0 of 11: upper bound 0.259 (two-sided 95 %, Wilson); 11 of 11 mirrors it. 81 of 263: Newcombe 1998, table I.
    assert wilson(0, 11).high == pytest.approx(0.2588, abs=1e-3) and wilson(0, 11).low == 0
    assert wilson(11, 11).low == pytest.approx(0.7412, abs=1e-3) and wilson(11, 11).high == 1
    assert (wilson(81, 263).low, wilson(81, 263).high) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 0) is None


def test_positives_are_the_cases_labelled_irae():
    mixed = cases(2)
    mixed[1] = mixed[1].model_copy(update={"expected": changed(irae_detected=False)})
    assert [c.case.id for c in positives(mixed, grade_answers(mixed, [Answer(text="", unscored="x")] * 2))[0]] == ["0"]


def pair(a: Assessment, b: Assessment, name: str = "p: x") -> list[LabelledCase]:
    return [
        LabelledCase(case=Case(id=f"{name}{side}", text=f"note {side}"), expected=label, pair=name)
        for side, label in (("a", a), ("b", b))
    ]


@pytest.mark.parametrize(
    ("said", "passed", "flipped", "kept"),
    [
        (({}, {"urgency": "urgent"}), 1, 1, 1),  # as labelled
        (({}, {}), 1, 0, 1),  # the flip is missed; one field wrong is still a pass
        (({}, {"urgency": "urgent", "overall_severity": "Grade 2 - Moderate"}), 1, 1, 0),  # one too many moves
        (({}, {"urgency": "soon", "overall_severity": "Grade 1 - Mild"}), 0, 1, 0),
    ],
)
def test_pairs_count_passes_due_flips_and_fields_left_alone(said, passed, flipped, kept):
    cases = pair(TRUTH, changed(urgency="urgent"))
    answers = [Answer(text="", assessment=changed(**fields)) for fields in said]
    found = summarize_pairs(cases, grade_answers(cases, answers), stage="raw")
    assert (found.n, found.both_passed, found.flipped, found.kept) == (1, passed, flipped, kept)


def test_an_unscored_side_is_no_flip_and_no_pass():
    cases = pair(TRUTH, changed(urgency="urgent"))
    answers = [Answer(text="", assessment=TRUTH), Answer(text="x", unscored="not JSON")]
    found = summarize_pairs(cases, grade_answers(cases, answers), stage="raw")
    assert (found.both_passed, found.flipped, found.kept) == (0, 0, 0)
    assert "pairs" in report_section(cases, grade_answers(cases, answers))["safety"]


def test_rules_alone_propose_nothing_and_then_speak():
    cases = [
        LabelledCase(
            case=Case(text="Nivolumab, cycle 3. ALT 640 U/L (ref 7-56)."),
            expected=changed(affected_systems=["Hepatic"], urgency="urgent", causality={"likelihood": "Uncertain"}),
        )
    ]
    section = report_section(cases, rules_alone(cases))
    assert section["raw"]["fields"]["irae_detected"] == 0 and section["safety"]["field_accuracy"] == 1.0
