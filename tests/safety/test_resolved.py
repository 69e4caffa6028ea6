"""Past and over, or not there: resolved episodes, zero scores and patients never treated."""

import pytest

from irae_lib import Case, read, review
from irae_lib.safety.exposure import exposure
from irae_lib.schemas import Urgency

OVER = [
    "Toxicity review, nivolumab C6: diarrhoea 0, rash 0, cough 0, arthralgia 0, headache 0.",
    "On pembrolizumab. Symptom scores: nausea: 0, diarrhea: 0, rash: 0, dyspnea: 0/10, chest pain: 0/10.",
    "On pembro. Itch 0; joint pain 0; loose stools 0; vision change 0.",
    "Immune hepatitis G3 in 2023 (ALT 640, admitted), resolved. Prednisone stopped 8 months ago. Now ALT 22, well, off nivolumab.",
    "H/o immune pneumonitis grade 3, fully resolved, off steroids a year. CT clear. SpO2 98%.",
    "In the autumn of 2022 he had grade 4 colitis on ipilimumab, 14 motions a day. It settled fully. No steroids since 2023. Bowels once daily.",
    "Complete resolution of previous checkpoint inhibitor pneumonitis (needed O2 4 L). Prednisolone ended 7 months ago.",
    "No recurrence of the immune nephritis. Creatinine 0.9 (baseline 0.9). Nephritis G3 in 2022, prednisone stopped 2022.",
    "In the spring of 2022 she had immune colitis grade 3 on nivolumab, twelve motions daily. It settled fully. Prednisolone finished in November 2022. Bowels once daily.",
    "Well on nivolumab. 2018: immune myositis with CK 4000, steroids and IVIG, strength back to full, therapy closed in 2018.",
    "On pembrolizumab. Immune-related uveitis 2019: topical dexamethasone, full sight regained, discharged in 2019 off all therapy.",
    "On nivolumab, feels fine. Past autoimmune haemolysis as irAE, prednisone through 2020, haemoglobin normal ever since.",
    "Stopped durvalumab Jan 2023 for Gr 3 pneumonitis. No recurrence of pneumonitis since. h/o ICI pneumonitis, resolved, no tx. O2 98% RA.",
    "Off durvalumab. Repeat HRCT shows complete clearing of ground glass. Pneumonitis stands fully resolved. No steroids for 6 months.",
    "Off cemiplimab. The nephritis is described as fully resolved and has not come back. Creatinine 0.8, prednisone ended a year ago.",
    "Off pembrolizumab. The autoimmune hepatitis of last October has resolved. Prednisolone stopped in January, ALT 23. No further "
    "tests from the hepatitis point of view.",
    "Off nivolumab. Colitis in 2022 has resolved, prednisolone stopped in 2022. Bowels once daily since the colitis.",
]
PRESENT = [
    "Nivolumab. CT: partial clearing of the ground glass, still breathless at rest, SpO2 85% on air.",
    "Hepatitis resolved in March. Since the hepatitis flared again: ALT 640 U/L on nivolumab.",
    "On nivolumab: diarrhoea 2, rash 0, cough 0. Stools 9 a day.",
    "Hepatitis G3, improving. ALT 640 then 300. On prednisone 60 mg. Nivolumab.",
    "Immune hepatitis resolved in March; now ALT 540 again on nivolumab.",
    "Not eligible for nivolumab rechallenge. Colitis grade 3 with 9 stools a day.",
    "Pain 0/10, nausea 0. Diarrhoea 9 times a day on nivolumab.",
    "Rash gone. Now diarrhoea 9 times a day with blood on nivolumab.",
    "2023: immune hepatitis on ipilimumab, full recovery; flared this week, ALT 640 U/L.",
    "Immune colitis since January 2024, prednisolone through 2024, still 9 stools a day on nivolumab.",
    "On nivolumab. Myasthenia in 2023 recovered, now presenting with a new complete heart block.",
    "Colitis resolved last year. On ipilimumab again, 9 stools a day since Monday.",
]


@pytest.mark.parametrize("text", OVER)
def test_what_is_over_or_scored_zero_raises_nothing(text):
    final = review(Case(text=text)).final
    assert (final.irae_detected, final.urgency) == (False, Urgency.ROUTINE)


@pytest.mark.parametrize("text", PRESENT)
def test_what_is_present_beside_it_is_raised(text):
    assert review(Case(text=text)).final.urgency >= Urgency.URGENT


@pytest.mark.parametrize(
    "text",
    [
        "Not eligible for immunotherapy and has never had any. Cetuximab rash.",
        "Ineligible for immunotherapy. FOLFIRI cycle 3.",
        "MSS, not a candidate for pembrolizumab. FOLFOX cycle 4.",
    ],
)
def test_not_eligible_is_never_exposed(text):
    assert exposure(read(Case(text=text)), text).kind == "never"


HOME = "On nivolumab. Hospital note. ALT 640 U/L. Prednisone 60 mg. {}"


@pytest.mark.parametrize(
    "said, urgency",
    [
        ("Much improved, not yet normal, discharged home today on prednisone.", Urgency.SOON),
        ("Greatly better though not well: goes home this afternoon, tablets go on.", Urgency.SOON),
        ("Markedly better, steroids go on. ALT 610 today.", Urgency.URGENT),  # nobody goes home
        ("Wants to go home today, no better at all.", Urgency.URGENT),
        ("Much better, discharged home today. ALT 610 U/L now.", Urgency.URGENT),  # a value of today counts
    ],
)
def test_who_is_better_and_goes_home_today_has_the_urgency_of_the_last_state(said, urgency):
    assert review(Case(text=HOME.format(said))).final.urgency is urgency
