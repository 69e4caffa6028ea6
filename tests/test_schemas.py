"""Schemas: what is accepted, what is refused and how it says so. Run alone: python -m pytest tests/test_schemas.py"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from irae_lib.model.answers import parse_answer
from irae_lib.schemas import Assessment, Case, Likelihood, Severity, System, Urgency

GOOD = {
    "evidence": ["8 stools a day"],
    "reasoning": "Grade 3.",
    "irae_detected": True,
    "affected_systems": ["Gastrointestinal"],
    "overall_severity": "Grade 3 - Severe",
    "urgency": "urgent",
    "causality": {"likelihood": "Possible"},
    "actions": ["Hold ICI"],
}


def test_urgency_sorts_by_danger_and_not_by_alphabet():
    assert sorted(reversed(Urgency)) == [Urgency.ROUTINE, Urgency.SOON, Urgency.URGENT, Urgency.EMERGENCY]
    assert max(Urgency.EMERGENCY, Urgency.SOON) is Urgency.EMERGENCY


def test_unknown_severity_sorts_below_grade_1():
    assert Severity.UNKNOWN < Severity.GRADE_1 < Severity.GRADE_4
    assert Severity.from_grade(None) is Severity.UNKNOWN
    assert Severity.from_grade(3) is Severity.GRADE_3


def test_labels_of_different_scales_do_not_compare():
    with pytest.raises(TypeError):
        _ = Severity.GRADE_1 < Urgency.SOON


@pytest.mark.parametrize(("irae", "urgency", "alert"), [(0, "soon", False), (0, "urgent", True), (1, "soon", True)])
def test_an_alert_is_an_irae_or_the_same_day(irae, urgency, alert):
    assert Assessment(**GOOD | {"irae_detected": bool(irae), "urgency": urgency}).is_alert is alert


def test_assessment_survives_its_own_json():
    assert parse_answer(Assessment(**GOOD).to_json()).assessment == Assessment(**GOOD)


def test_json_keys_come_in_schema_order_with_evidence_before_labels():
    keys = list(json.loads(Assessment(**GOOD).to_json()))
    assert keys == list(Assessment.model_fields)
    assert keys.index("evidence") < keys.index("overall_severity")


def test_assessment_is_immutable():
    with pytest.raises(ValidationError):
        Assessment(**GOOD).urgency = Urgency.ROUTINE


def test_every_string_and_list_of_the_json_schema_is_bounded():
    def walk(node, path="$"):
        if isinstance(node, dict):
            if node.get("type") == "array":
                assert "maxItems" in node, path
            if node.get("type") == "string" and "enum" not in node:
                assert "maxLength" in node, path
            for key, value in node.items():
                walk(value, f"{path}.{key}")
        elif isinstance(node, list):
            for value in node:
                walk(value, path)

    walk(Assessment.model_json_schema())


REFUSED = [
    ("", "empty"),
    ("no irAE here", "not JSON"),
    (json.dumps(GOOD)[:-20], "not JSON"),
    (json.dumps(GOOD) + " and more", "not JSON"),
    (json.dumps(GOOD | {"urgency": "very urgent"}), "urgency: must be one of 'routine'"),
    (json.dumps(GOOD | {"overall_severity": "Grade 5"}), "overall_severity: must be one of"),
    (json.dumps(GOOD | {"irae_detected": "true"}), "irae_detected"),
    (json.dumps(GOOD | {"comment": "x"}), "comment"),
    (json.dumps(GOOD | {"evidence": ["x"] * 7}), "evidence"),
    (json.dumps(GOOD | {"reasoning": "x" * 601}), "reasoning"),
    (json.dumps({key: value for key, value in GOOD.items() if key != "causality"}), "causality: Field required"),
    (json.dumps(GOOD)[:-1] + ',"urgency":"routine"}', "twice"),
    ("[" * 100_000, ""),
    ("NaN", "NaN"),
    ("null", ""),
]


@pytest.mark.parametrize("text, why", REFUSED, ids=range(len(REFUSED)))
def test_answer_outside_the_schema_is_unscored_with_a_reason(text, why):
    answer = parse_answer(text)
    assert answer.assessment is None
    assert answer.unscored
    assert why in answer.unscored


@given(st.text())
def test_parsing_never_raises(text):
    answer = parse_answer(text)
    assert (answer.assessment is None) == bool(answer.unscored)


def test_a_code_fence_around_the_whole_answer_is_no_error():
    assert parse_answer("```json\n" + json.dumps(GOOD) + "\n```").assessment == Assessment(**GOOD)


def test_reason_of_refusal_never_holds_the_value():
    assert "Mrs Miller" not in parse_answer(json.dumps(GOOD | {"urgency": "Mrs Miller"})).unscored


def test_case_joins_its_sections_in_order():
    case = Case(age=58, cancer_type="melanoma", medications=["nivolumab", "aspirin"], symptoms="Cough.")
    assert case.text == "Context: 58-year-old, melanoma.\nMedications: nivolumab; aspirin\nSymptoms: Cough."


def test_case_survives_its_own_json():
    case = Case(age=58, labs=["ALT 40 U/L"])
    assert Case.model_validate_json(case.model_dump_json()) == case


@pytest.mark.parametrize(
    "fields", [{}, {"text": "  "}, {"text": "a", "notes": "b"}, {"text": "a", "agee": 3}, {"text": "a", "age": -1}]
)
def test_unusable_case_is_refused(fields):
    with pytest.raises(ValidationError):
        Case(**fields)


def test_enums_hold_the_words_of_the_contract():
    assert [u.value for u in Urgency] == ["routine", "soon", "urgent", "emergency"]
    assert [like.value for like in Likelihood] == ["Highly likely", "Possible", "Unlikely", "Uncertain"]
    assert len(System) == 11


def test_thinking_before_an_answer_is_left_aside_and_inside_it_is_not():
    answer = Assessment.model_validate(GOOD).to_json()
    thought = "<unused94>thought\nIs it {an} irAE?\n<unused95>"
    assert parse_answer(thought + answer).assessment == parse_answer(answer).assessment
    assert parse_answer(f"<unused94>thought without an end {answer}").unscored
    assert parse_answer(answer + thought).unscored
