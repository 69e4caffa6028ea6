"""Exposure: which rules apply where the note names an inhibitor, shows cancer care, says never, or is silent."""

import pytest

from irae_lib import Case, read, review
from irae_lib.safety.exposure import assumed, exposure
from irae_lib.schemas import Severity, Urgency


def look(text, exposed=None):
    return review(Case(text=text), exposed=exposed)


def kind(text, known=None):
    return exposure(read(Case(text=text)), text, known).kind


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Pembrolizumab cycle 2.", "exposed"),
        ("Stage IV melanoma.", "cancer care"),
        ("Seen in the oncology clinic.", "cancer care"),
        ("Second line chemotherapy.", "cancer care"),
        ("On immunotherapy since May.", "cancer care"),
        ("Lungenkarzinom, Tag 3.", "cancer care"),
        ("NSCLC, no brain metastases.", "cancer care"),
        ("Never had immunotherapy. Melanoma.", "never"),
        ("Nivolumab planned for next week.", "planned"),
        ("Melanoma. Starts nivolumab on Monday.", "planned"),
        ("Melanoma. First dose of pembrolizumab is booked for 12 May.", "planned"),
        ("Melanoma. Nivolumab will be added at cycle 2 of chemotherapy.", "planned"),
        ("My husband begins Keytruda next Tuesday.", "planned"),
        ("Keytruda was NOT given with C1. Has never had immunotherapy.", "never"),
        ("Breast cancer. Immunotherapy not part of the plan.", "never"),
        ("Adjuvant nivolumab was offered in March; pt read the booklet, declined. None given.", "never"),
        ("Pembrolizumab vs placebo trial. Unblinding letter: allocation = PLACEBO.", "never"),
        ("Durvalumab recommended by the MDT, she turned it down after talking to her son.", "never"),
        ("For first line atezolizumab + bevacizumab. NOT YET STARTED - first dose after the dental check.", "planned"),
        ("Neoadjuvant pembrolizumab if funding goes through. Nothing given as yet.", "planned"),
        ("Consented for cemiplimab. No doses given so far.", "planned"),
        ("Nivolumab C4 today. Ipilimumab offered, declined.", "exposed"),
        ("On pembrolizumab. HIV status is not given.", "exposed"),
        ("Two treatments with nivolumab. Troponin 0.83, none given (units).", "exposed"),
        ("Received pembrolizumab, not placebo, in the trial.", "exposed"),
        ("Durvalumab since May. Prednisolone not yet started.", "exposed"),
        ("Second cycle of nivolumab planned for next week.", "exposed"),
        ("Begins cycle 3 of pembrolizumab on Monday.", "exposed"),
        ("Melanoma, due nivolumab on Friday.", "exposed"),
        ("First dose of nivolumab given Monday, scan next week.", "exposed"),
        ("Keytruda was not given today as diarrhoea 5 times a day.", "exposed"),
        ("Mother had breast cancer.", "undocumented"),
        ("Family history: colon cancer", "undocumented"),
        ("Denies any history of cancer or melanoma.", "undocumented"),
        ("Breast cancer screening is due.", "undocumented"),
        ("Anti-tumor necrosis factor for Crohn's disease.", "undocumented"),
        ("Benign tumor of the parotid.", "undocumented"),
        ("Methotrexate for rheumatoid arthritis.", "undocumented"),
        ("Knee pain after a fall.", "undocumented"),
    ],
)
def test_the_note_says_who_was_exposed(text, expected):
    assert kind(text) == expected


@pytest.mark.parametrize(
    "text", ["ALT 980 U/L.", "Never had immunotherapy. ALT 980 U/L.", "To start nivolumab. ALT 980 U/L."]
)
def test_without_exposure_only_urgency_remains(text):
    result = look(text)
    assert result.final.urgency == Urgency.EMERGENCY
    assert result.assessed
    assert result.final.overall_severity == Severity.UNKNOWN
    assert not result.final.irae_detected
    assert result.advisories


def test_without_exposure_a_rule_below_urgent_and_a_mild_finding_raise_nothing():
    for text in ("Rash on the arms, itching.", "Numbness in both hands at night.", "ALT 150 U/L."):
        result = look(text)
        assert result.final.urgency == Urgency.ROUTINE, text
        assert not result.assessed, text
        assert "exposure to a checkpoint inhibitor is not stated" in result.advisories[0]
        assert look(text, exposed=True).final.irae_detected, text


def test_exposure_known_from_elsewhere_applies_all_rules_or_none():
    assert look("ALT 980 U/L.", exposed=True).final.overall_severity == Severity.GRADE_4
    assert look("Melanoma. ALT 980 U/L.", exposed=False).final.overall_severity == Severity.UNKNOWN
    assert look("Feels well.", exposed=True).assessed
    assert look("Feels well.", exposed=False).assessed
    assert not look("Feels well.").assessed


@pytest.mark.parametrize(
    "text, known", [("Never had immunotherapy. ALT 980 U/L.", True), ("Nivolumab. ALT 980 U/L.", False)]
)
def test_in_a_conflict_all_rules_apply_and_it_is_said(text, known):
    result = look(text, exposed=known)
    assert result.final.overall_severity == Severity.GRADE_4
    assert any("disagree" in line for line in result.advisories)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Cetuximab only, never a checkpoint inhibitor. Rash on the face.", "never"),
        ("Melanoma. Immunotherapy never given.", "never"),
        ("Pemetrexed, cycle 6, immunotherapy was declined.", "never"),
        ("Carboplatin alone for 3 months.", "never"),
        ("Melanoma, before the first dose of ipilimumab + nivolumab.", "planned"),
        ("Waiting for first Opdivo, consent signed.", "planned"),
        ("Carboplatin and pemetrexed, cycle 3.", "cancer care"),
        ("Pembrolizumab only, cycle 3.", "exposed"),
        ("Never any problem on nivolumab.", "exposed"),
        ("Pembrolizumab declined today because of a cold.", "exposed"),
        ("Waiting for nivolumab in the infusion suite.", "exposed"),
    ],
)
def test_words_next_to_a_drug_say_that_no_inhibitor_was_given(text, expected):
    assert kind(text) == expected


def test_a_ticked_box_is_no_knowledge_against_the_note():
    for text, ticked, expected in (
        ("ALT 980 U/L.", True, True),
        ("ALT 980 U/L.", False, None),
        ("Never had immunotherapy.", True, None),
    ):
        assert assumed(read(Case(text=text)), text, ticked) is expected
