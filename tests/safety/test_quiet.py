"""Notes that give no floor, by the kind of reason, and irAE notes with the same words, which keep theirs.

Written with the mechanisms (`tests/cases/quiet.jsonl`): a regression test, no estimate.
"""

import json
from pathlib import Path

import pytest

from irae_lib import Case, read, review
from irae_lib.safety.exposure import exposure

CASES = Path(__file__).parent.parent / "cases" / "quiet.jsonl"
ROWS = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['id']}-{row['kind']}" for row in ROWS])
def test_a_note_has_a_floor_only_where_there_is_an_irae(row):
    final = review(Case(text=row["text"])).final
    assert (final.irae_detected or final.overall_severity.level > 0) is row["floor"]


def statuses(text: str, name: str) -> set[str]:
    return {f.status for f in read(Case(text=text)) if f.name == name}


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("LCx and RCA with mild plaque only.", "rash", set()),  # a vessel
        ("PICC line flushed easily.", "rash", set()),
        ("Scaly plaques on both elbows.", "rash", {"current"}),
        ("She broke out in a cold sweat.", "rash", set()),
        ("Has not gone yellow, relatives say.", "jaundice", {"negated"}),
        ("She has gone yellow since Monday.", "jaundice", {"current"}),
        ("Feet have not gone numb.", "neuropathy", {"negated"}),
        ("Latanoprost 1 drop HS both eyes.", "visual_loss", set()),
        ("No falls, balance kept.", "cerebellar_signs", set()),
        ("Varicose veins stripped, both legs.", "sloughing", set()),
        ("New puppy, scratched shin.", "pruritus", set()),
        ("Scratching all night, itchy skin.", "pruritus", {"current"}),
        ("Rash with mouth ulcers and a PICC line.", "rash", {"current"}),  # only redness is that of a lining
        ("Erythema of the nasal turbinates.", "rash", set()),
        ("Mosquito bites, itchy.", "pruritus", set()),
        ("Itchy all over, has a puppy.", "pruritus", {"current"}),
        ("Dobutamine, urine output falling.", "inotropes", {"current"}),
        ("Sloughing of the tissue at the heel ulcer.", "sloughing", set()),
        ("Skin sloughing on the trunk.", "sloughing", {"current"}),
        ("Stool MCS and C diff sent.", "inotropes", set()),
        ("On MCS in the CCU.", "inotropes", {"current"}),
        ("The old truck wheezes up the hill.", "wheeze", set()),  # a thing
        ("Wheezes at night.", "wheeze", {"current"}),
        ("He cannot drive the car any more.", "instrumental_adl", {"current"}),  # a thing behind an article
        ("Subendocardial LGE in the LAD territory.", "cardiac_mri", set()),
        ("Patchy mid-wall LGE.", "cardiac_mri", {"current"}),
        ("He runs 4 to 5 miles a day.", "stools", set()),
        ("INPATIENT PROGRESS NOTE. Diarrhea.", "hospitalized", set()),  # a title
        ("Inpatient proforma. Diarrhea.", "hospitalized", set()),
        ("Now an inpatient with diarrhea.", "hospitalized", {"current"}),
        ("I can't stand it, the pain in my guts is a 9.", "immobile", set()),  # an idiom
        ("She cannot stand the itch.", "immobile", set()),
        ("She cannot stand on her own.", "immobile", {"current"}),
    ],
)
def test_words_of_two_meanings(text, name, expected):
    assert statuses(f"On nivolumab. {text}", name) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Risks: hepatitis ~5 %, myocarditis <1 % but can be fatal.", "hypothetical"),
        ("Myocarditis in about 1 in 100.", "hypothetical"),
        ("Hepatitis, thyroid failure and myocarditis explained.", "hypothetical"),
        ("Myocarditis, EF 30 %.", "current"),
        ("Myocarditis explained by the inhibitor.", "current"),
    ],
)
def test_rates_and_lists_that_were_told_are_risks(text, expected):
    assert statuses(f"On nivolumab. {text}", "myocarditis") == {expected}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ca colon, adj FOLFOX. Immunotherapy: never had, not indicated.", "never"),
        ("melanoma, for adj nivolumab, NEVER COMMENCED (slot cancelled x2)", "never"),
        ("melanoma; nivolumab was planned but did not go ahead.", "planned"),
        ("Crohn's disease. Mum had bowel cancer at 70.", "undocumented"),
        ("melanoma on nivolumab, never had a reaction.", "exposed"),
    ],
)
def test_inhibitors_that_were_never_begun(text, expected):
    assert exposure(read(Case(text=text)), text).kind == expected


def test_a_day_that_is_not_over_replaces_no_full_day():
    text = "On nivolumab. Went 9 times yesterday with diarrhoea and already 6 today, normally once."
    assert review(Case(text=text)).final.urgency.value == "urgent"


def test_the_unit_of_a_bare_bilirubin_follows_the_report():
    found = read(Case(text="On nivolumab. ALT 640, bili 9, creat 88, Hb 141."))
    assert next(f for f in found if f.name == "bilirubin").times_uln < 1
    found = read(Case(text="On nivolumab. ALT 640, bili 9, creat 0.8, Hb 14.1."))
    assert next(f for f in found if f.name == "bilirubin").times_uln > 5


def test_care_by_a_relative_is_care_of_the_patient():
    assert "current" in statuses("On nivolumab. Heavy thighs, his wife is combing his hair.", "self_care")
