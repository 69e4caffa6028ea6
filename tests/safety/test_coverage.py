"""Coverage: a note that was not understood is never "routine", and a floor that fired always stands."""

import json
from pathlib import Path

import pytest

from irae_lib import Case, read, review
from irae_lib.safety.coverage import (
    NOT_ENGLISH,
    NOT_GRADED,
    NOT_UNDERSTOOD,
    NOTHING_CLINICAL,
    coverage,
)
from irae_lib.schemas import Assessment, Severity, Urgency

CASES = Path(__file__).parents[1] / "cases"
NOTES = [json.loads(line) for line in (CASES / "not_assessed.jsonl").read_text(encoding="utf-8").splitlines()]
EMERGENCY = Assessment(
    irae_detected=True,
    affected_systems=("Cardiac",),
    overall_severity="Grade 4 - Life-threatening",
    urgency="emergency",
    causality={"likelihood": "Possible"},
)


def look(text, **known):
    return review(Case(text=text), **known)


@pytest.mark.parametrize("exposed", [None, True])
@pytest.mark.parametrize("row", NOTES, ids=lambda row: row["id"])
def test_other_languages_empty_forms_and_prose_are_not_assessed(row, exposed):
    result = look(row["text"], exposed=exposed)
    assert not result.assessed
    assert result.coverage.gaps
    assert result.advisories[0].startswith("Not assessed: ")


@pytest.mark.parametrize("language", ["German", "Spanish", "French"])
def test_another_language_is_recognised(language):
    for row in NOTES:
        if row["kind"] == language:
            assert not look(row["text"]).coverage.english, row["id"]


def test_a_floor_that_fired_stands_in_any_language():
    result = look("Patient unter Nivolumab, seit gestern müde, keine Schmerzen. ALT 980 U/L, Bilirubin folgt.")
    assert result.final.overall_severity == Severity.GRADE_4
    assert result.final.urgency == Urgency.EMERGENCY
    assert result.assessed
    assert result.advisories[0] == f"Not read in full: {NOT_ENGLISH}; {NOT_UNDERSTOOD}."


def test_markup_is_not_a_word_of_the_note():
    plain = look("Oncology clinic. On nivolumab cycle 3.\nFeels well. No diarrhea.")
    marked = look(
        '<div class="note"><h2>Oncology clinic.</h2><p>On nivolumab&nbsp;cycle 3.</p>\\nFeels well. No diarrhea.</div>'
    )
    assert marked.assessed
    assert marked.coverage == plain.coverage


@pytest.mark.parametrize(
    "text",
    [
        "Nivolumab, cycle 3. Feels well.",
        "Medications: pembrolizumab",
        "Pembrolizumab cycle 4. Denies diarrhea, rash and cough.",
        "58F s/p C4 ipi/nivo, ipilimumab d/c. ROS neg. ALT 35, AST 28, Cr 0.9, TSH 2.1.",
        "Atezolizumab. [x] fatigue [ ] rash",
    ],
)
def test_an_ordinary_note_is_assessed(text):
    result = look(text)
    assert result.assessed
    assert not result.coverage.gaps
    assert result.coverage.english


@pytest.mark.parametrize(
    "text, gap",
    [
        ("On nivolumab. Keen as ever, the parrot says hello, and so do we.", NOTHING_CLINICAL),
        ("Pembrolizumab given. Troponin: 2.8.", NOT_GRADED),
        ("Pembrolizumab. Troponin 48 arbitrary units, comfortable.", NOT_GRADED),
        ("Nivolumab.\nDiarrhea: ____\nRash:\n[ ] itching", NOTHING_CLINICAL),
        ("| Nivolumab | toxicity |\n| Diarrhea |  |  |\n| Pneumonitis |  |  |", NOTHING_CLINICAL),
        (
            "Nivolumab. Xerbitis of the plonk, glarified quomatosis, brindle zoltan, rash, vexed momentarily.",
            NOT_UNDERSTOOD,
        ),
    ],
)
def test_what_was_not_understood_is_said(text, gap):
    result = look(text)
    assert gap in result.coverage.gaps
    assert not result.assessed


def test_a_test_without_a_unit_is_quoted_and_never_routine():
    result = look("Nivolumab. Feels well. Troponin 2.8")
    assert result.coverage.not_graded == ("Troponin 2.8",)
    assert not result.assessed
    assert "(Troponin 2.8)" in result.advisories[0]
    assert look("Nivolumab. Feels well. Troponin I 0.01 ng/mL").assessed
    assert look("Nivolumab. Feels well. Troponin normal. Calcium 500 mg daily.").assessed


def test_the_share_counts_clinically_loaded_words():
    text = "The patient on nivolumab has colitis, grumpylitis and a long history of philately."
    found = coverage(text, read(Case(text=text)))
    assert (found.words, found.loaded, found.understood) == (12, 4, 2)
    assert found.share == 0.5
    assert coverage("All is well.", ()).share == 1


def test_assessed_depends_on_the_note_and_not_on_the_proposal():
    for text in ("Nivolumab. Feels well.", "Patient unter Nivolumab, seit gestern Durchfall und Fieber, kein Blut."):
        alone, proposed = look(text), look(text, proposed=EMERGENCY)
        assert proposed.assessed == alone.assessed
        assert proposed.final == EMERGENCY
        assert look(text, proposed=alone.final).assessed == alone.assessed
