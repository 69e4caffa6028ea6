"""Scores and rates: by hand on small inputs, and on the degenerate ones (nothing, nobody, all unscored)."""

import functools

import labels
import pytest

from irae_lib import Case, score
from irae_lib.cases import LabelledCase, validated_cases
from irae_lib.evaluation.report import positives, summarize_arm, summarize_pairs
from irae_lib.evaluation.scoring import (
    compare,
    grade_answers,
    rules_alone,
    summarize,
    triage_of,
)
from irae_lib.model.answers import Answer, parse_answer
from irae_lib.schemas import FIELDS, Assessment, Urgency

TRUTH = Assessment(
    irae_detected=True,
    affected_systems=["Cardiac", "Neurologic"],
    overall_severity="Grade 3 - Severe",
    urgency="emergency",
    causality={"likelihood": "Possible"},
)


changed = functools.partial(labels.changed, TRUTH)


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
    assert result.total == 5 - len(wrong)
    assert result.passed == (len(wrong) <= 1)


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
    assert (raw.triage.under.hits, raw.triage.over.hits) == (2, 0)
    # The organ floor raises "soon" to "urgent" for Cardiac: still under-triaged, and no field becomes right.
    safety = summarize(four, graded, stage="safety")
    assert (safety.passed, safety.unscored, safety.triage.under.hits) == (2, 1, 2)


def test_the_floor_can_only_help_urgency_and_an_unscored_answer_stays_unscored():
    three = validated_cases()[:3]
    low = [parse_answer(c.expected.model_copy(update={"urgency": Urgency.ROUTINE}).to_json()) for c in three]
    graded = grade_answers(three, [*low[:2], Answer(text="", unscored="the answer is empty")])
    assert [g.safety.total for g in graded] == [5, 5, 0]
    assert graded[2].safety.unscored
    assert graded[0].raised


@pytest.mark.parametrize("n", [0, 1])
def test_rates_over_nobody_are_none_and_not_zero(n):
    some = cases(n)
    section = summarize_arm(some, grade_answers(some, [Answer(text="", unscored="empty")] * n))
    assert section.raw.n == n
    assert (section.raw.field_accuracy is None) == (n == 0)


def test_answers_must_match_cases():
    with pytest.raises(ValueError):
        grade_answers(cases(2), [Answer(text="", unscored="x")])


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
    assert summarize_arm(cases, grade_answers(cases, answers)).safety.pairs


def test_rules_alone_propose_nothing_and_then_speak():
    cases = [
        LabelledCase(
            case=Case(text="Nivolumab, cycle 3. ALT 640 U/L (ref 7-56)."),
            expected=changed(affected_systems=["Hepatic"], urgency="urgent", causality={"likelihood": "Uncertain"}),
        )
    ]
    section = summarize_arm(cases, rules_alone(cases))
    assert section.raw.fields["irae_detected"] == 0
    assert section.safety.field_accuracy == 1.0


def note(kind: str, **fields) -> LabelledCase:
    return LabelledCase(case=Case(text="Watery stools, 8 a day."), expected=changed(**fields), kind=kind)


WELL = {"irae_detected": False, "affected_systems": [], "overall_severity": "Unknown", "urgency": "routine"}
UNRELATED = {"causality": {"likelihood": "Unlikely"}}


def test_triage_by_hand():
    asked = [
        note("irae"),  # emergency, Grade 3
        note("irae", urgency="urgent"),
        note("irae", urgency="soon"),
        note("mimic", **WELL | UNRELATED | {"urgency": "soon"}),
        note("mimic", **WELL | UNRELATED),
        note("never", **WELL | UNRELATED),
        note("well", **WELL | UNRELATED),
    ]
    said = [
        changed(urgency="soon", evidence=["8 a day", "9 a day"]),  # two levels low: severe, Grade 3
        None,
        changed(urgency="urgent", affected_systems=["Cardiac"]),  # one level high, one organ short
        changed(urgency="soon"),  # an irAE called on a mimic
        changed(**WELL),
        changed(**WELL | {"urgency": "urgent"}),  # two levels high
        changed(**WELL),
    ]
    one = triage_of(asked, said)
    assert (one.under.hits, one.under.n, one.severe_under.hits) == (1, 6, 1)
    assert (one.severe_under_grade_3_up.hits, one.severe_under_grade_3_up.n) == (1, 2)
    assert (one.over.hits, one.alerts.hits, one.alerts.n) == (2, 4, 6)
    assert (one.missed_irae.hits, one.missed_irae.n) == (1, 3)
    assert (one.missed_emergency.hits, one.missed_emergency.n) == (1, 1)
    assert [getattr(one, f"specificity_{kind}").rate for kind in ("mimics", "unexposed", "well")] == [0.5, 1.0, 1.0]
    assert (one.quotes_found.hits, one.quotes_found.n) == (1, 2)
    # Cardiac: 2 right of 3 said and 2 due; Neurologic: 1 right, 2 said, 2 due.
    assert one.organs.labels == {"Cardiac": 0.8, "Neurologic": 0.5}
    assert one.organs.micro == round(2 * 3 / 9, 4)


@pytest.mark.parametrize("n", [0, 3])
def test_triage_of_nobody_and_of_nothing_readable(n):
    one = triage_of(cases(n), [None] * n)
    assert one.under.rate is None
    assert one.grade_kappa is None
    assert one.organs.micro is None
    assert one.missed_irae.hits == n
    assert one.missed_irae.rate == (1.0 if n else None)


def test_compare_pairs_cases_and_counts_who_alone_passes():
    a, b = (
        [score(changed(**f), TRUTH) for f in fields] for fields in ([{}, WELL, WELL], [{}, {}, {"urgency": "soon"}])
    )
    one = compare(a, b)
    # 5, 1, 1 of five against 5, 5, 4: seven fifths over three cases.
    assert one.difference == pytest.approx(7 / 15, abs=1e-4)
    assert (one.only_a_passes, one.only_b_passes, one.p_value) == (0, 2, 0.5)
    assert one.difference_interval.low >= 0
    same = compare(a, a)
    assert (same.difference, same.p_value, same.difference_interval.high) == (0.0, 1.0, 0.0)
    assert compare([], []).difference is None
