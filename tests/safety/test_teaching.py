"""What could happen: consent, teaching, letters and reasons to call raise nothing; what happened does."""

import time

import pytest

from irae_lib import Case, review
from irae_lib.safety.teaching import teaching
from irae_lib.schemas import Urgency

TOLD = [  # the patient is well, undecided or not yet treated
    "Cemiplimab visit. C11 today, feels great. Nurse reminded him to phone the ward with loose stools > 4 a day, yellow eyes or chest tightness.",
    "Teach back complete. Red flag sheet: call same day for bloody stool; fever 38 or more; new cough; drooping eyelid or trouble swallowing; 8 or more stools. On nivolumab, well.",
    "Dear Mrs Smith, You asked about pembrolizumab. Treatment can sometimes make the immune system attack the lungs (you may need oxygen), the bowel (ten stools a day or more, a hole in the bowel) and rarely the brain. About one in a hundred people die. You are well and undecided.",
    "Well on nivolumab. Covered with wife: heart inflammation, severe diarrhoea 7+ a day, liver failure. Nothing at present.",
    "Discussed the potential toxicities of ipilimumab/nivolumab including but not limited to colitis, perforation, hepatitis, pneumonitis requiring ventilation, myocarditis, Guillain-Barre syndrome, adrenal crisis and death. He wishes to go ahead.",
    "First dose nivolumab tomorrow. Patient was informed of risks: type 1 diabetes with ketoacidosis, SJS/TEN, encephalitis.",
    "Nivolumab C2 given, no issues. Discharge instructions: Seek care if: temp over 38, more than 6 stools a day, confusion, seizure.",
    'On pembrolizumab 3 mo, no complaints. AVS printed: "Immunotherapy side effects can include diarrhea, colitis, shortness of breath, pneumonitis, chest pain, myocarditis. Call 555-1212."',
    "MDT teaching slide: Case 1. Man on ipi, 12 stools a day, perforation. Case 2: woman with CK 12000 and ptosis. All cases are fictional.",
    "Pre-assessment for durvalumab. Side effects explained - diarrhoea, rash, breathlessness, hypothyroidism, type 1 diabetes. Very rarely people end up in intensive care with heart inflammation. Starts Monday.",
    "You may notice a rash. You could get colitis, going 8 times a day, or your lungs may become inflamed. Atezolizumab starts on Friday.",
    "On Keytruda, doing well. I watched your video and it talks about people going blind, getting Guillain-Barre and going to the toilet 12 times. Should I be scared?",
    "Reviewed the wallet card: diarrhea 7 or more a day, coughing blood, passing out - go straight to ER. Pt feels well on Tecentriq.",
    "The clinical trial consent form lists: fatal myocarditis, grade 4 hepatitis, respiratory failure. Not yet on nivolumab.",
    "RN phone check, day 10 pembro. Asked about: diarrhea, cough, rash, chest pain, vision. All no.",
    "Spoke about what might go wrong with ipilimumab: bowel perforation, hepatitis, hypophysitis with adrenal crisis. He wants time.",
    "Sick day rules given: if vomiting, double hydrocortisone and come in; adrenal crisis explained. On nivolumab, stable on HC.",
    "We will check your blood because the treatment may harm the liver (ALT over 200), kidney or thyroid. Nivolumab next Monday.",
    "Patient understands that complications such as myocarditis, pneumonitis or colitis can be fatal and agrees to proceed with nivolumab.",
    "Went over what can happen: colitis, hepatitis, pneumonitis, rarely heart or nerve inflammation that can be fatal. Begins pembrolizumab in 2 weeks.",
    "On nivolumab, feels fine. Teach-back done. Reviewed: CALL SAME DAY if more than 4 extra BMs in a day; new cough or can't catch breath; yellow eyes; drooping lids, choking; chest pain, passing out = 911.",
    "Ipilimumab and nivolumab, date to be confirmed. Serious or frequently occurring risks discussed:\n - Hepatitis, severe 1 in 7\n - Lung inflammation, may need ventilation\n - adrenal crisis\n - SJS / TEN",
    "Scenario A. Invented lad of 45, ipi/nivo, ten loose stools a day with blood.\nScenario B. Lady with sats 86% on air, on durvalumab.\nNB scenarios are made up for teaching.",
    "On nivolumab, well. Discussed what may lead to a pause in treatment, e.g. colitis, hepatitis or pneumonitis.",
    "On pembrolizumab, no complaints. Call first, do not sit it out. Examples given were breathlessness, jaundice and confusion.",
    "On nivolumab, fine. Please do not treat diarrhoea on your own. The same goes for a rash that spreads or red eyes.",
    "Pt on pembrolizumab. TSH 2.1 (0.4-4.5), cortisol 14.6 ug/dL.\nINTERPRETIVE COMMENT (not patient specific):\nAM cortisol "
    "<3 ug/dL indicates adrenal insufficiency; hypotension or sodium <125 requires emergency treatment. Myocarditis may occur.",
    "On nivolumab. SGPT 22 (<35).\nInterpretation: cortisol <3 ug/dL suggests adrenal failure. SGPT >5x ULN - inform clinician.",
    "On nivolumab. Troponin T 6 ng/L.\nLab comment: troponin above 52 ng/L may indicate myocarditis. Ketones over 3 mmol/L: rule out DKA.",
    "Well on nivolumab. Also phone about any new breathlessness, jaundice, bruising or change in eyesight.",
]
MEASURED = [  # below the same heading, a result of the patient
    "On nivolumab.\nInterpretation: ALT 640 U/L suggests severe hepatitis.",
    "On nivolumab.\nLab comment: troponin 1850 ng/L may indicate myocarditis, please call.",
    "On nivolumab.\nInterpretive comment: sodium 118 with cortisol 1.2 ug/dL indicates adrenal crisis.",
]
HAPPENED = [  # the same words beside what the patient has
    "Nivolumab C4. Discussed grade 3 hepatitis with the patient: ALT 640, needs prednisone. Informed of risks of steroids.",
    "On ipilimumab. It can inflame the bowel, and this is what she has: 9 motions a day.",
    "On nivolumab. Diarrhoea 8 times a day since Monday; counselled about risk of perforation. Admit.",
    "Pembrolizumab C3. Advised to attend A&E if worse. Has 8 stools a day with blood.",
    "Keytruda. The booklet says call if diarrhoea. I've been going 9 times a day since Sunday.",
    "Nivolumab. You said to ring if I got short of breath: well I am, sats 86% this morning.",
    "She was told to call with diarrhea > 4/day and calls now: 9 watery stools since midnight. On nivolumab.",
    "Patient education: on nivolumab. Seizure this morning.",
    "Pembrolizumab. Nivolumab can cause myocarditis; troponin 1200 ng/L, second degree block. Transfer to CCU.",
    "Ipi/nivo. Consented for colonoscopy, risks including perforation explained. 10 bloody stools a day for a week.",
    "Nivolumab patient, ketoacidosis. pH 7.05, glucose 600. Explained that immunotherapy can cause diabetes.",
    "Pembrolizumab. Explained to her: the scan shows pneumonitis, SpO2 85% on air, must come in.",
    "Nivolumab. Reason to call: diarrhoea 9 times a day for two days.",
    "Nivolumab. When to ring was discussed last week. Today 9 loose stools.",
    "Nurse call. Reason for call: 9 loose stools daily, on ipi nivo. Advised to attend ED.",
    "Immune-related adverse events discussed: grade 3 colitis ongoing on infliximab. Nivolumab stopped.",
    "Pt on atezo. Possible immune toxicities: colitis with 8 stools per day, hepatitis ALT 400. Start steroids.",
    "Immunotherapy can cause colitis and I have diarrhoea 8 times a day. On Opdivo.",
]


@pytest.mark.parametrize("text", TOLD)
def test_what_could_happen_raises_nothing(text):
    final = review(Case(text=text)).final
    assert (final.irae_detected, final.urgency) == (False, Urgency.ROUTINE)


@pytest.mark.parametrize("text", HAPPENED + MEASURED)
def test_what_happened_is_no_teaching(text):
    assert review(Case(text=text)).final.urgency >= Urgency.URGENT


def test_a_long_note_of_openers_is_read_in_linear_time():
    start = time.process_time()
    teaching("call the ward if you can get the the the " * 12_000)
    assert time.process_time() - start < 5
