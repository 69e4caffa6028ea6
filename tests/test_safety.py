"""The first cut of the safety layer: floors over labels, low cortisol, and the promise to only raise."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irae_lib import Assessment, Case, review
from irae_lib.cases import validated_cases
from irae_lib.schemas import Likelihood, Severity, System, Urgency

CASE = Case(text="Nivolumab, cycle 3. Tired.")


def labels(grade: int = 0, urgency: str = "routine", *systems: str, likelihood: str = "Possible") -> Assessment:
    return Assessment(
        irae_detected=bool(grade or systems),
        affected_systems=systems,
        overall_severity=Severity.from_grade(grade),
        urgency=urgency,
        causality={"likelihood": likelihood},
    )


# grade, urgency proposed, systems, urgency after review: each floor from both sides
FLOORS = [
    (1, "routine", ["Dermatologic"], "routine"),
    (2, "routine", ["Gastrointestinal"], "soon"),
    (2, "soon", ["Gastrointestinal"], "soon"),
    (2, "urgent", ["Gastrointestinal"], "urgent"),
    (3, "soon", ["Hepatic"], "urgent"),
    (3, "emergency", ["Pulmonary"], "emergency"),
    (4, "urgent", ["Pulmonary"], "emergency"),
    (1, "routine", ["Cardiac"], "urgent"),
    (2, "soon", ["Neurologic"], "urgent"),
    (2, "soon", ["Hepatic", "Neurologic"], "urgent"),
    (4, "routine", ["Cardiac"], "emergency"),
    (0, "routine", [], "routine"),
]


@pytest.mark.parametrize("grade, proposed, systems, expected", FLOORS)
def test_urgency_is_raised_to_the_floor_and_never_further(grade, proposed, systems, expected):
    assert review(CASE, labels(grade, proposed, *systems)).final.urgency == expected


# Sentences a clinician can check: does the note itself demand "urgent"?
ADRENAL = [
    ("AM cortisol 2.1 ug/dL, ACTH 5.", True),
    ("morning cortisol 2.9 mcg/dL", True),
    ("Cortisol: 60 nmol/L", True),
    ("AM cortisol 3.0 ug/dL", False),
    ("cortisol 83 nmol/L", False),
    ("cortisol 2.1, unit not given", False),
    ("cortisol 14 ug/dL", False),
    ("Adrenal insufficiency confirmed today.", True),
    ("New hypophysitis on MRI.", True),
    ("No adrenal insufficiency.", False),
    ("Adrenal crisis was ruled out; rule out hypophysitis at next visit.", True),
    ("Not hypophysitis.", False),
    ("Mother had adrenal insufficiency.", False),
    ("History of hypophysitis.", False),
]


@pytest.mark.parametrize("text, is_urgent", ADRENAL)
def test_adrenal_insufficiency_in_the_note_is_at_least_urgent(text, is_urgent):
    result = review(Case(text=f"Ipilimumab dose 3. {text}"))
    assert (result.final.urgency >= Urgency.URGENT) == is_urgent
    for correction in result.corrections:
        assert result.final.causality.likelihood == Likelihood.UNCERTAIN
        assert f"Ipilimumab dose 3. {text}"[correction.start : correction.end] == correction.quote


def test_nothing_proposed_and_nothing_found_claims_nothing():
    final = review(CASE).final
    assert (final.irae_detected, final.affected_systems, final.overall_severity) == (False, (), Severity.UNKNOWN)
    assert (final.urgency, final.causality.likelihood) == (Urgency.ROUTINE, Likelihood.UNCERTAIN)


def test_a_correction_says_rule_field_before_after_reason_and_source():
    (correction,) = review(CASE, labels(3, "routine", "Hepatic")).corrections
    assert (correction.rule, correction.field, correction.before, correction.after) == (
        "grade-floor",
        "urgency",
        "routine",
        "urgent",
    )
    assert correction.reason and correction.source


@pytest.mark.parametrize("case", validated_cases(), ids=lambda case: case.case.id)
def test_the_eleven_labels_are_kept(case):
    assert review(case.case, case.expected).final == case.expected


proposals = st.builds(
    lambda grade, urgency, systems, likelihood: labels(grade, urgency, *systems, likelihood=likelihood),
    st.integers(0, 4),
    st.sampled_from(Urgency),
    st.lists(st.sampled_from(System), unique=True),
    st.sampled_from(Likelihood),
)
notes = st.one_of(st.text(min_size=1).filter(str.strip), st.sampled_from([text for text, _ in ADRENAL]))


@given(notes, proposals)
@settings(max_examples=300)
def test_review_never_lowers_never_touches_causality_and_is_idempotent(text, proposed):
    case = Case(text=text)
    final = review(case, proposed).final
    assert final.irae_detected >= proposed.irae_detected
    assert set(final.affected_systems) >= set(proposed.affected_systems)
    assert final.overall_severity >= proposed.overall_severity and final.urgency >= proposed.urgency
    assert final.causality == proposed.causality
    assert review(case, final).final == final and not review(case, final).corrections
