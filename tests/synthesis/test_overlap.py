"""Notes that are trained on and tested on: found by their words, whatever their ids; other notes of a clinic pass."""

import pytest

from irae_lib.cases import texts_by_id, validated_cases
from irae_lib.errors import LeakError
from irae_lib.synthesis.overlap import check_overlap

NOTE = (
    "Melanoma, nivolumab since March, cycle 6. Comes with six loose stools a day, usually one, for four days. No "
    "fever, abdomen soft. C. difficile toxin negative. CRP 43 mg/L. Prednisone 1 mg/kg started, review on Friday."
)
OTHER = (
    "Renal cell carcinoma, nivolumab since May, cycle 9. Feels well and walks two hours a day. No fever, abdomen soft. "
    "CRP 3 mg/L, liver tests normal. Next infusion on Friday."
)


@pytest.mark.parametrize(
    "same",
    [
        NOTE,
        NOTE.upper().replace(". ", ".\n\n  "),
        NOTE.replace(",", ";").replace(".", " -"),
        f"De-identified copy.\n{NOTE} Seen with Dr X.",
        NOTE[: len(NOTE) // 2],
        NOTE.replace("six", "6").replace("43", "44").replace("Friday", "Monday"),
        f"{OTHER} {OTHER.replace('nine', 'ten')} Earlier: {NOTE}",
    ],
    ids=["same", "case and spaces", "punctuation", "longer", "half", "edited", "quoted"],
)
def test_the_same_note_is_found_whatever_its_id(same):
    with pytest.raises(LeakError) as error:
        check_overlap({"a": OTHER, "b": NOTE}, {"x": "Nothing to see.", "y": same})
    assert "'y'" in str(error.value)
    assert "'b'" in str(error.value)
    assert "1 of 2 test notes" in str(error.value)
    assert "stools" not in str(error.value).lower(), "no text of a note"


def test_other_notes_of_the_same_clinic_pass():
    form = "Clinic letter. Dear colleague, thank you for seeing this patient. {} Kind regards, the oncology team."
    notes = {
        str(i): form.format(f"Patient number {i} has {i + 2} complaints and takes drug {i * 7}.") for i in range(60)
    }
    check_overlap({name: notes[name] for name in list(notes)[:40]}, {name: notes[name] for name in list(notes)[40:]})
    check_overlap({"a": NOTE}, {"b": OTHER})
    check_overlap({"a": "Feels well, no new symptoms today."}, {"b": f"{OTHER} Feels well, no new symptoms."})


def test_nothing_overlaps_nothing():
    check_overlap({}, texts_by_id(validated_cases()))
    check_overlap(texts_by_id(validated_cases()), {})


def test_no_two_of_the_eleven_overlap():
    eleven = texts_by_id(validated_cases())
    for name, text in eleven.items():
        check_overlap({other: each for other, each in eleven.items() if other != name}, {name: text})
