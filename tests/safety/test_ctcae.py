"""CTCAE grading: the border cases of the clinical fact base, on both versions, with exact decimals."""

from decimal import Decimal

import pytest

from irae_lib import Case, review
from irae_lib.safety import ctcae


def d(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


# analyte, value, ULN, baseline, grade in v5.0
BORDERS = [
    ("alt", "120", "40", None, 1),
    ("alt", "121", "40", None, 2),
    ("alt", "200", "40", None, 2),
    ("alt", "201", "40", None, 3),
    ("alt", "800", "40", None, 3),
    ("alt", "801", "40", None, 4),
    ("alt", "189", "40", None, 2),
    ("alt", "189", "37", None, 3),
    ("alt", "161", "40", "80", 1),
    ("alt", "119", "40", "80", 0),
    ("alt", "120", "40", "80", 1),
    ("alt", "40", "40", None, 0),
    ("bilirubin", "1.8", "1.0", None, 2),
    ("bilirubin", "1.8", "1.2", None, 1),
    ("bilirubin", "3.2", "1.0", None, 3),
    ("bilirubin", "3.2", "1.2", None, 2),
    ("creatinine", "1.2", "1.2", "0.7", 2),
    ("creatinine", "1.1", "1.2", "0.8", 0),
    ("creatinine", "1.8", "1.3", "1.0", 2),
    ("creatinine", "4.1", "1.3", "1.5", 3),
    ("platelets", "75", None, None, 1),
    ("platelets", "74.999", None, None, 2),
    ("platelets", "50", None, None, 2),
    ("platelets", "49.999", None, None, 3),
    ("platelets", "25", None, None, 3),
    ("platelets", "24.999", None, None, 4),
    ("stools", "5", None, None, 2),
    ("stools", "3", None, None, 1),
    ("stools", "9", None, None, 3),
    ("stools", "6", None, None, 2),
    ("ef", "35", None, "60", 3),
    ("ef", "50", None, "62", 2),
    ("ef", "19", None, None, 4),
    ("lipase", "840", "140", None, 3),
    ("potassium", "6.0", "5.0", None, 2),
    ("potassium", "7.1", "5.0", None, 4),
    ("sodium", "120", None, None, 3),
    ("sodium", "119", None, None, 4),
    ("hemoglobin", "8.0", None, None, 2),
    ("hemoglobin", "7.9", None, None, 3),
]


@pytest.mark.parametrize("analyte, value, uln, baseline, expected", BORDERS)
def test_border_cases_of_v5(analyte, value, uln, baseline, expected):
    lln = Decimal(150) if analyte == "platelets" else Decimal(136) if analyte == "sodium" else Decimal(12)
    result = ctcae.grade(analyte, d(value), uln=d(uln), baseline=d(baseline), lln=lln)
    assert result.grade == expected, result
    assert result.version == "5.0"
    assert "CTCAE v5.0" in result.source


@pytest.mark.parametrize(
    "analyte, value, uln, baseline, expected",
    [
        ("alt", "161", "40", "80", 3),
        ("alt", "119", "40", "80", 1),
        ("platelets", "20", None, None, 3),
        ("anc", "0.7", None, None, 2),
        ("ef", "35", None, None, 3),
        ("ef", "15", None, None, 3),
        ("glucose", "420", "99", None, 3),
        ("glucose", "501", "99", None, 4),
        ("creatinine", "1.3", "1.3", "0.8", 0),
    ],
)
def test_version_six_is_behind_the_switch(analyte, value, uln, baseline, expected):
    assert ctcae.grade(analyte, d(value), uln=d(uln), baseline=d(baseline), version="6.0").grade == expected


def test_what_a_version_does_not_grade_is_not_graded():
    assert ctcae.grade("glucose", Decimal(420)) is None, "v5.0 has no glucose numbers"
    assert ctcae.grade("ck", Decimal(2000), uln=Decimal(200), version="6.0") is None, "v6.0 dropped CPK"


# The same borders as a note says them: read, graded and raised.
IN_NOTES = [
    ("5-6 loose stools a day, baseline 1.", 2, 2),
    ("5-6 loose stools a day, baseline 3.", 1, 1),
    ("8-10 loose stools a day, baseline 1.", 3, 3),
    ("7 loose stools a day, baseline 1.", 2, 2),
    ("SpO2 94 % on room air, exertional dyspnea, new ground-glass opacities.", 2, 2),
    ("SpO2 96 % on 2 L, new; cough.", 3, 3),
    ("PaO2 58 mmHg on 4 L NC, ground-glass opacities.", 3, 3),
    ("EF 35 % (was 60 %).", 3, 3),
    ("EF 50 % (was 62 %).", 2, 2),
    ("Maculopapular rash on 40 % BSA, mild itch.", 2, 2),
    ("Glucose 420 mg/dL, no diabetes before.", 3, 3),
    ("Lipase 6x ULN, asymptomatic.", 3, 3),
    ("Creatinine 1.2 mg/dL (ULN 1.2), baseline 0.7.", 2, 2),
]


@pytest.mark.parametrize("text, low, high", IN_NOTES)
def test_border_cases_in_a_note(text, low, high):
    final = review(Case(text=f"On nivolumab. {text}")).final
    assert low <= final.overall_severity.level <= high
