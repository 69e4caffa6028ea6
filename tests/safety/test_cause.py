"""Proven other causes: what takes grade and organ system from a floor, and everything that does not."""

import json
from pathlib import Path

import pytest

from irae_lib import Case, review
from irae_lib.safety.cause_table import table
from irae_lib.safety.floors import NOTHING
from irae_lib.schemas import Severity, System, Urgency

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "cases" / "causes.jsonl").read_text(encoding="utf-8").splitlines()
]
TOXIN = "Nivolumab. 9 watery stools a day, usual 1. C. difficile toxin positive."
CDIFF = f"{TOXIN} The diarrhea is due to C. difficile."
VIRUS = "Nivolumab. ALT 640 U/L (ULN 40). HEV RNA detected. Acute hepatitis E explains the enzymes."


def look(text):
    return review(Case(text=text))


@pytest.mark.parametrize("row", CASES, ids=[row["id"] for row in CASES])
def test_written_cases(row):
    result = look(row["text"])
    if row["proven"]:
        assert result.final.overall_severity == Severity.UNKNOWN
        assert not result.final.affected_systems and not result.final.irae_detected
    else:
        assert not result.withheld


def test_the_urgency_stays_and_the_reader_is_told():
    result = look(CDIFF)
    assert result.final.urgency == Urgency.URGENT
    assert not result.final.irae_detected
    first = result.withheld[0]
    assert (first.rule, first.system, first.grade) == ("F01", "Gastrointestinal", 3)
    assert CDIFF[first.start : first.end] == first.quote == "toxin positive"
    line = "Grade 3 Gastrointestinal (F01) withheld: the note proves another cause, 'toxin positive'. (cause)"
    assert line in result.advisories
    assert not any("floors stand" in line for line in result.advisories)


def test_quotes_point_into_the_note_as_it_was_given():
    text = VIRUS.replace("HEV RNA", "HEV&nbsp;RNA").replace("(ULN 40)", "(ULN&nbsp;40)")
    record = look(text).withheld[0]
    assert text[record.start : record.end] == record.quote


def test_what_a_model_called_stays_called():
    called = NOTHING.model_copy(
        update={
            "irae_detected": True,
            "affected_systems": (System.GASTROINTESTINAL,),
            "overall_severity": Severity.GRADE_3,
            "urgency": Urgency.URGENT,
        }
    )
    assert review(Case(text=CDIFF), called).final == called


def test_review_is_idempotent_with_a_withheld_floor():
    first = look(CDIFF)
    again = review(Case(text=CDIFF), first.final)
    assert again.final == first.final
    assert again.withheld == first.withheld


def test_another_organ_keeps_its_floor():
    result = look(f"{CDIFF} ALT 640 U/L (ULN 40).")
    assert result.final.affected_systems == (System.HEPATIC,)
    assert result.final.overall_severity == Severity.GRADE_3


def test_signs_of_the_whole_patient_follow_the_organs():
    assert look(f"{CDIFF} BP 82/40.").final.overall_severity == Severity.UNKNOWN
    assert look(f"{CDIFF} BP 82/40, ALT 640 U/L.").final.overall_severity >= Severity.GRADE_3


@pytest.mark.parametrize(
    "attribution",
    [
        "The diarrhea is due to C. difficile.",
        "This explains the diarrhoea.",
        "Diagnosis: C. difficile colitis.",
        "Impression: C diff infection.",
        "This is C. difficile colitis.",
        "C. difficile colitis.",
        "C. difficile accounts for the stools.",
        "Not immune-mediated.",
        "C. difficile infection, not ICI colitis.",
        "Immune colitis was ruled out.",
        "Stool frequency attributed to Clostridioides difficile.",
    ],
)
def test_the_note_must_say_that_the_result_is_the_cause(attribution):
    assert look(f"{TOXIN} {attribution}").withheld
    assert not look(TOXIN).withheld


@pytest.mark.parametrize(
    "result",
    [
        "C. difficile toxin negative.",
        "C. difficile toxin not detected.",
        "C. difficile toxin pending.",
        "C. difficile toxin sent, result tomorrow.",
        "C. difficile gene PCR positive, toxin immunoassay negative.",
        "C. difficile toxin was positive last year.",
        "C. difficile toxin was positive in 2021.",
        "Her husband's stool was positive for C. difficile toxin.",
        "C. difficile toxin positive in another patient.",
        "If C. difficile toxin is positive, start vancomycin.",
        "C. difficile toxin probably positive.",
        "C. difficile toxin positive, a known carrier.",
        "No C. difficile test was done.",
    ],
)
def test_only_a_result_in_hand_of_this_patient_and_episode_counts(result):
    assert not look(f"Nivolumab. 9 watery stools a day, usual 1. {result} C. difficile colitis.").withheld


@pytest.mark.parametrize(
    "doubt",
    [
        "C. difficile colitis is likely.",
        "Possible C. difficile colitis.",
        "C. difficile colitis was considered.",
        "?C. difficile colitis.",
        "Is this C. difficile colitis?",
        "We wonder whether C. difficile colitis explains it.",
    ],
)
def test_a_cause_that_is_only_thought_of_proves_nothing(doubt):
    assert not look(f"{TOXIN} {doubt}").withheld


@pytest.mark.parametrize(
    "open_end",
    [
        "Both processes are present.",
        "Immune colitis cannot be excluded.",
        "Possible overlap with immune colitis.",
        "ICI colitis remains possible.",
        "An immune component is suspected.",
        "No better after five days of vancomycin.",
        "Worse on oral vancomycin.",
        "Still 9 stools a day on fidaxomicin.",
        "Prednisone 1 mg/kg started.",
        "Infliximab given.",
        "Budesonide begun with vancomycin.",
        "Biopsy: crypt apoptosis.",
        "Biopsy shows CMV inclusions.",
        "Immune-mediated colitis grade 3.",
        "It explains only part of it.",
    ],
)
def test_an_immune_cause_that_is_kept_open_keeps_the_floor(open_end):
    assert not look(f"{CDIFF} {open_end}").withheld


@pytest.mark.parametrize(
    "harmless",
    [
        "No steroids given.",
        "Biopsy without crypt apoptosis.",
        "Immune colitis was first suspected. Not immune-mediated.",
        "No overlap with immune colitis.",
        "Better on vancomycin.",
        "Immune hepatitis in 2023, resolved.",
        "Prednisone not needed.",
    ],
)
def test_what_only_sounds_open_changes_nothing(harmless):
    assert look(f"{CDIFF} {harmless}").withheld


@pytest.mark.parametrize("sign", ["CK 3,200 U/L.", "New ptosis.", "Complete heart block."])
def test_a_culprit_lesion_beside_muscle_or_conduction_proves_nothing(sign):
    text = "Nivolumab. Chest pain, hs-troponin T 2,100 ng/L. Cath: occluded LAD. STEMI due to LAD occlusion."
    assert look(text).withheld
    assert not look(f"{text} {sign}").withheld


def test_without_exposure_nothing_is_withheld():
    text = "Never had immunotherapy. 9 watery stools a day. C. difficile toxin positive. Due to C. difficile."
    assert not look(text).withheld


def test_a_file_of_many_notes_proves_nothing():
    assert look(CDIFF + " The weather is fine." * 100).withheld
    assert not look(CDIFF + " The weather is fine." * 6000).withheld


def test_every_cause_explains_known_groups():
    rows = table()
    for cause, row in rows.causes.items():
        assert row["results"] and row["names"], cause
        assert set(row["explains"]) <= rows.groups.keys(), cause
    assert {system for system, _ in rows.groups.values()} <= {system.value for system in System}
