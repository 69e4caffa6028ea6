"""Whose findings: a person over several sentences, and a relative who is the patient."""

import pytest

from irae_lib import Case, read, review
from irae_lib.schemas import Urgency

OTHERS = [  # the patient is well; what is bad belongs to somebody else
    "I have the durvalumab every four weeks. I'm fine. My sister Jean is on ward 9: she has been going to the loo ten "
    "times a day passing blood.",
    "I'm on Keytruda. My toddler had a stomach bug, he was going 10 times a day with blood. I feel fine.",
    "My dad died this winter. He had melanoma, they put him on ipilimumab, he got colitis, then a hole in the bowel. "
    "I've never had cancer or any treatment like his.",
    "Pt is Janet, on pembrolizumab. Mr Ferris is the HUSBAND. He is ringing about himself: diarrhoea x 8 since "
    "midnight, temp 38.3.\nJanet: no diarrhoea, no vomiting.",
    "68F on nivolumab. Husband unwell with flu. He has had diarrhoea 8 times a day. She is well, no diarrhoea.",
    "71M nivolumab. His brother, also a patient here, developed myocarditis on nivolumab and died. Patient well.",
    "My son has been sick, diarrhea 8 times a day. Should I still come for my Opdivo infusion on Monday?",
    "Her mother was treated with ipilimumab for melanoma and developed a perforated bowel. She worries. ALT 22.",
    "Well on nivolumab. Stressed as caring for her mother, who has dementia, is bedbound and had a GI bleed.",
    "A woman in my support group had myocarditis on Opdivo and died. I'm on Opdivo, no symptoms.",
    "Well on nivolumab. Another patient in the waiting room had a seizure this morning and she was upset.",
    "I'm the one on Keytruda but this is about my husband. He has had diarrhea since Tuesday, ten times a day.",
]
PATIENTS = [  # a relative writes, informs or is only mentioned; the patient is ill
    "my husband has had diarrhoea 8 times a day since Friday, he is on Keytruda",
    "My mum is on pembrolizumab and has been to the toilet 10 times since last night. I am her daughter.",
    "Hello, this is about my dad. He started Opdivo in May. Today he is very breathless and his sats are 84%.",
    "Re: Keytruda question. My husband has had diarrhoea 8 times a day since Friday.",
    "Wife calling: husband on pembro, diarrhoea x8 since midnight, T 38.5.",
    "Hi team, Dad (Bob Smith, on Opdivo) has been pooing blood since last night, 9 times. He says he is ok.",
    "I am writing on behalf of my wife who is on ipilimumab. She had a seizure last night.",
    "This is Maria, daughter of Mr Lopez. My father has trouble breathing, sats 85%, he is on Tecentriq.",
    "68F on nivolumab. Daughter reports she fell and has diarrhoea 8 times a day.",
    "68F on nivolumab. Her mother had colon cancer. She has diarrhoea 8 times a day.",
    "On atezolizumab, 71M. Wife had C. diff last month. He has been passing loose stools 9 times a day.",
    "I'm on Keytruda. My wife says I look yellow and I have been going 8 times a day with diarrhoea.",
]


@pytest.mark.parametrize("text", OTHERS)
def test_a_story_of_somebody_else_raises_nothing(text):
    final = review(Case(text=text)).final
    assert (final.irae_detected, final.urgency) == (False, Urgency.ROUTINE)


@pytest.mark.parametrize("text", PATIENTS)
def test_the_one_on_the_inhibitor_is_the_patient(text):
    assert review(Case(text=text)).final.urgency >= Urgency.URGENT


def test_the_drug_of_a_relative_is_no_exposure():
    found = read(Case(text="My brother is ill. He had ipilimumab. I've never had cancer or treatment."))
    assert [f.status for f in found if f.kind == "ici"] == ["family"]


def test_a_relative_who_is_a_nurse_measures_the_patient():
    found = read(Case(text="On Keytruda. I feel awful. My cousin is a nurse and she got this (BP 82/50)."))
    assert [f.status for f in found if f.name == "bp"] == ["current"]
