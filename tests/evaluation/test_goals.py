"""The original's five claims, each counted over the labels it is about."""

import pytest
from labels import RENAL, changed

from irae_lib import Case
from irae_lib.cases import LabelledCase, validated_cases
from irae_lib.evaluation.goals import IMPROVEMENTS, improvements

CLAIMS = [one.claim for one in IMPROVEMENTS]


G3 = changed(overall_severity="Grade 3 - Severe", urgency="urgent")
HEART = changed(affected_systems=["Cardiac"], urgency="urgent")
NONE = {"irae_detected": False, "affected_systems": [], "overall_severity": "Unknown"}
WELL = changed(**NONE, urgency="routine", causality={"likelihood": "Unlikely"})


@pytest.mark.parametrize(
    ("label", "said", "hits"),
    [
        (RENAL, RENAL, {0: 1, 3: 1, 4: 1}),
        (RENAL, changed(urgency="routine"), {0: 0, 3: 1, 4: 1}),
        (RENAL, changed(urgency="urgent"), {0: 0, 3: 1, 4: 1}),
        (G3, changed(urgency="soon"), {1: 0, 3: 1, 4: 1}),
        (HEART, changed(affected_systems=["Cardiac", "Renal"], urgency="emergency"), {2: 1, 3: 0, 4: 1}),
        (HEART, changed(urgency="soon", causality={"likelihood": "Uncertain"}), {2: 0, 3: 0, 4: 0}),
        (WELL, WELL, {}),
        (G3, None, {1: 0, 3: 0, 4: 0}),
    ],
)
def test_each_claim_by_hand(label, said, hits):
    case = LabelledCase(case=Case(id="x", text="note"), expected=label)
    counted = improvements([case], [said])
    assert {CLAIMS.index(claim): one.hits for claim, one in counted.items() if one.n} == hits


def test_the_eleven_have_cases_for_every_claim():
    cases = validated_cases()
    right = improvements(cases, [case.expected for case in cases])
    assert all(one.n and one.hits == one.n for one in right.values()), right
