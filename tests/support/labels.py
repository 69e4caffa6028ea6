"""Shared by tests: a label to vary, the rehearsal profile and report, and four training rows."""

from irae_lib.cases import validated_cases
from irae_lib.evaluation.report import read_report
from irae_lib.files import DATA
from irae_lib.schemas import Assessment
from irae_lib.training.rows import to_prompt_completion
from irae_lib.workspace.profiles import choose_profile

PROFILE = choose_profile("rehearsal")
REPORT = read_report(DATA / "reports" / "rehearsal.json")
ROWS = [to_prompt_completion(case) for case in validated_cases()[:4]]

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
