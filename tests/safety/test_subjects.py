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
    "Hi, it's Pam's husband Rob. Pam is great after her Opdivo. Not writing about her, it's me with the problem: I've been going to the loo 9 times a day since the barbecue, temp 38.4. Pam has no symptoms.",
    "Using my husband's login as I can't do mine, I'm his wife Sue. He's fine on his Keytruda. I have had terrible diarrhoea since Monday, 10 times a day, with blood. Is it catching for him?",
    "Mrs Khan phoned about herself: crushing chest pain and droopy eyelid. She is not our patient; 999 advised. Mr Khan (pembrolizumab C4) is well, no symptoms.",
    "On Tecentriq, feeling fine. The man in the chair opposite told me he was in hospital with a hole in his bowel, going 14 times a day. Could that be me? My bowels are normal.",
    "Hi it's June, on Keytruda. You know Derek who comes on Thursdays? He had a fit last night and is in ICU. I am fine, just sad.",
    "Pt on nivolumab, well. Daughter Amy, 8, has gastroenteritis with diarrhoea 10 times a day and fever 39. Should she stay away?",
    "A friend of mine on the same drug ended up on a ventilator with pneumonitis. I've had no cough. Opdivo no 6 went fine.",
    "Result above (troponin 2400, CK 8000) belongs to another patient, entered in error. Mr Jones on nivolumab: troponin 4 ng/L, well.",
    "ECG showing complete heart block was filed in the wrong chart. Mrs Li, on pembrolizumab, ECG today sinus rhythm, no symptoms.",
    "I'm not the patient, I'm his carer. He's well on durvalumab. I have got shingles and a fever of 39, been vomiting all night. Can I visit?",
    "Message from daughter: Dad is fine on his immunotherapy (nivolumab). This one is about me, I've been coughing blood and my sats are 86%. Should I keep away?",
    "Well on pembrolizumab. Our dog has been passing blood and going 10 times a day. Can I handle the mess?",
    "Caller is the son, asking for himself. He has double vision and slurred speech since this morning. Told to ring 999. The patient is his father, on atezolizumab, well, no concerns.",
    "On nivolumab, no toxicity. Under stress: his wife was admitted with a stroke, she cannot speak and her BP is 80/40.",
    "Well on ipilimumab. The lady next door had hepatitis, went yellow and died. I have no yellow eyes.",
    "This is Rosalind, I get the Keytruda on Tuesdays, I am fine. I am writing because of my husband Ken who had his "
    "hip done. Since Saturday he has diarrhea 10 times a day with blood in it.",
    "Tanya R here (melanoma, Keytruda #9). So it's my husband not me. Rick's been down since Sunday with the trots, "
    "8 or 9 times a day. Me I'm ok, once a day.",
    "Hi, Bea here (on Opdivo). This is about my brother. Tom has been coughing blood since last night. I feel fine.",
    "I'm on Imfinzi and well. It's my son. For two days he has been going 9 times a day. Should I keep away?",
    'Caller: patient himself (74, NSCLC, Imfinzi). Pt states his granddaughter Kaylee, age 6, was flown to Children\'s with new type 1 diabetes. "Sugar was 612, her acid was way off, pH 6.9, they got her on an insulin drip". Pt well.',
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
    "This is Ray's wife. He is on Keytruda. He has been going 9 times a day with blood since Sunday.",
    "I am his daughter. I have counted: Dad went to the toilet 10 times last night. He's on Opdivo.",
    "I'm her husband. I am worried. She has diarrhoea 8 times a day and is on ipilimumab.",
    "Hi, it's me again. I've been going 9 times a day since my last Keytruda, blood too.",
    "Mrs Begum rang about herself: on pembrolizumab, double vision and a droopy eye since yesterday.",
    "I'm on Keytruda and my wife's had nothing. I'm the one who is ill: diarrhoea 10 times since midnight.",
    "Please ignore my last message. I have had 9 watery stools today on nivolumab.",
    "This is Joan, wife of Ray (pembrolizumab). I have been up all night with him: 10 loose motions, temp 38.9.",
    "My neighbour drove me in. I can't breathe, sats 84%, on Opdivo.",
    "Pt himself called: going 9 times a day on ipi/nivo. Wife has cold, she is sneezing.",
    "I met Dr Smith at clinic. I have diarrhoea 9 times a day. On nivolumab.",
    "Wife calling about her husband on nivolumab: he's had 9 stools today. She herself is well.",
    "Patient says he is not a patient man. On nivolumab with 9 loose stools a day.",
    "The lady from number 9 on our ward, on ipilimumab, 10 loose stools a day with blood since Monday.",
    "It's my husband, he is on Keytruda. Since Saturday he has diarrhea 10 times a day.",
    "Bob here (on Opdivo). My wife is fine. Since Sunday I have been going 9 times a day.",
    "I get Keytruda. Worried for my husband, he has a cold. Diarrhoea since Friday, I go 9 times a day.",
    "His wife says it was me who... anyway he has 10 loose stools a day on pembrolizumab.",
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
