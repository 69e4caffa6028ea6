"""A label to vary, shared by tests that say in what an answer differs from it."""

from irae_lib.schemas import Assessment

RENAL = Assessment(
    irae_detected=True,
    affected_systems=["Renal"],
    overall_severity="Grade 2 - Moderate",
    urgency="soon",
    causality={"likelihood": "Possible"},
)


def changed(one: Assessment = RENAL, **fields) -> Assessment:
    """A copy with other fields, validated."""
    return Assessment.model_validate(one.model_dump() | fields)
