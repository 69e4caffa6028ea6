"""Assertion: whose, when and whether. Each line a sentence a clinician can check, with two relatives of each kind."""

import json
from pathlib import Path

import pytest

from irae_lib import Case, read, review
from irae_lib.safety.concepts import composed
from irae_lib.safety.context import assign
from irae_lib.safety.cues import RULES, cue_phrases
from irae_lib.safety.exposure import exposure
from irae_lib.safety.lexicon import expand
from irae_lib.safety.tokens import scan

FIELD = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "cases/assertion.jsonl").read_text(encoding="utf-8").splitlines()
]


def statuses(text: str, name: str) -> list[str]:
    return [f.status for f in read(Case(text=text)) if f.name == name and f.kind != "grade"]


# text, finding, status of every mention
STATUSES = [
    # nothing right before a finding; "nothing" is no denial of what comes later
    ("Skin intact, nothing blistering.", "blistering", "negated"),
    ("Looked again: nothing inflamed, nothing ulcerated, nothing blistering.", "blistering", "negated"),
    ("There is nothing to suggest colitis.", "colitis", "negated"),
    ("Nothing suggestive of pneumonitis on the film.", "pneumonitis", "negated"),
    ("Nothing helps the rash.", "rash", "current"),
    ("Nothing works, diarrhea all night.", "diarrhea", "current"),
    ("Nothing but diarrhea since Monday.", "diarrhea", "current"),
    # a denial turned round
    ("Cannot exclude myocarditis.", "myocarditis", "current"),
    ("The biopsy does not allow to exclude colitis.", "colitis", "current"),  # edsnlp 245
    ("Pneumonitis could not be completely excluded.", "pneumonitis", "current"),
    ("No improvement in diarrhea.", "diarrhea", "current"),
    ("No further improvement in her dyspnea.", "dyspnea", "current"),
    ("Without any significant improvement of the rash.", "rash", "current"),
    ("No resolution of pneumonitis on CT.", "pneumonitis", "current"),
    ("Failed to show resolution of the rash.", "rash", "current"),
    ("The diarrhea has not fully resolved.", "diarrhea", "current"),
    ("Not only diarrhea, but also a rash.", "diarrhea", "current"),
    ("Not just a rash but fever as well.", "rash", "current"),
    ("Not merely fatigue, he has dyspnea.", "dyspnea", "current"),
    ("She is not without chest pain.", "chest_pain", "current"),
    ("He does not deny chest pain.", "chest_pain", "current"),
    ("Never without diarrhea since cycle 2.", "diarrhea", "current"),
    ("No change in the rash.", "rash", "current"),
    ("In general, no change in vision, diplopia or change in hearing.", "diplopia", "negated"),
    ("No change in appetite, diarrhea or rash.", "rash", "negated"),
    ("No change in weight, fever or cough.", "fever", "negated"),
    # the clause is the limit
    ("Denies fever but rash on the trunk.", "rash", "current"),
    ("Denies fever but rash on the trunk.", "fever", "negated"),
    ("No jaundice, however diarrhea since Monday.", "diarrhea", "current"),
    ("Without fever, although she has dyspnea.", "dyspnea", "current"),
    ("No fever; diarrhea six times a day.", "diarrhea", "current"),
    ("He has a rash and denied fever.", "rash", "current"),
    ("He has a rash and denied fever.", "fever", "negated"),
    # further denials
    ("He no longer has diarrhea.", "diarrhea", "negated"),
    ("No longer any rash.", "rash", "negated"),
    ("Diarrhea is no longer present.", "diarrhea", "negated"),
    ("I don't appreciate any jaundice.", "jaundice", "negated"),
    ("I do n't appreciate any rash.", "rash", "negated"),
    ("We did not notice any ptosis.", "ptosis", "negated"),
    ("She does n't have diarrhea.", "diarrhea", "negated"),
    ("He didn't report any chest pain.", "chest_pain", "negated"),
    ("I do not believe the patient is having myocarditis at this time.", "myocarditis", "negated"),
    ("We don't think she has colitis.", "colitis", "negated"),
    ("I do not suspect pneumonitis.", "pneumonitis", "negated"),
    ("The chest CT does not demonstrate any evidence of pneumonitis.", "pneumonitis", "negated"),
    ("The findings would not be typical for a diagnosis of myocarditis.", "myocarditis", "negated"),
    ("He was not on mechanical ventilation.", "intubated", "negated"),
    ("She is not requiring mechanical ventilation.", "intubated", "negated"),
    ("He wasn't on mechanical ventilation.", "intubated", "negated"),
    ("AChR antibody status was negative.", "achr_antibodies", "negated"),
    ("ROS is -ve for diarrhea, bloody stools", "diarrhea", "negated"),
    ("ROS is -ve for diarrhea, bloody stools", "hematochezia", "negated"),
    ("ROS neg for jaundice, rash or diplopia.", "diplopia", "negated"),
    ("Review of systems is negative for chest pain, dyspnea, rash.", "rash", "negated"),
    # teaching, reading and limits
    (
        "Went thru the booklet: tell us same day about new cough, blood in the stool, chest pain.",
        "chest_pain",
        "hypothetical",
    ),
    ("She knows to ring for diarrhoea, bleeding or chest pain.", "diarrhea", "hypothetical"),
    ("Reminded her about jaundice, chest pain and seizures.", "seizure", "hypothetical"),
    ("Safety-netted re: bloody diarrhoea, chest pain.", "hematochezia", "hypothetical"),
    ("I read the sheet you gave us. It says colitis with bleeding, liver failure.", "hepatic_failure", "hypothetical"),
    ("I googled it and saw SJS and myocarditis.", "sjs", "hypothetical"),
    ("The booklet says to call so I am calling: diarrhoea 9 times a day.", "diarrhea", "current"),
    ("Explained to patient that the CT shows pneumonitis.", "pneumonitis", "current"),
    ("Informed patient that biopsy confirmed colitis.", "colitis", "current"),
    ("Advised to ring with any breathlessness, seizure last night.", "seizure", "current"),
    ("Hold parameters: AST >5x ULN, plt <50", "platelets", "hypothetical"),
    ("Target SpO2 88-92.", "spo2", "hypothetical"),
    ("Sats aim 88-92%.", "spo2", "hypothetical"),
    ("SpO2 86%, target 94-98, diarrhoea.", "diarrhea", "current"),
    ("Target lesions on the palms, aim for biopsy.", "target_lesions", "current"),
    ("Pt instructed re: s/s of pneumonitis, colitis w/ bloody stools.", "hematochezia", "hypothetical"),
    ("She asked what myocarditis feels like and whether seizures can happen.", "seizure", "hypothetical"),
    ("She is worried about getting SJS.", "sjs", "hypothetical"),
    ("Worried: she has SJS.", "sjs", "current"),
    ("Transfuse for Hgb < 7, plt < 10.", "platelets", "hypothetical"),
    ("Transfused for plt 8.", "platelets", "current"),
    ("Keep K > 4.", "potassium", "hypothetical"),
    ("Screening questions all negative: chest pain, SOB, bloody stool.", "hematochezia", "negated"),
    ("Nil of: rash, bloody diarrhoea, ptosis.", "ptosis", "negated"),
    ("ROS negative incl. chest pain, dyspnea, seizure.", "seizure", "negated"),
    ("Two years ago she had myocarditis with complete heart block, paced.", "av_block", "historical"),
    # years, ages and episodes that are closed
    ("Epilepsy, last seizure 2009, levetiracetam unchanged.", "seizure", "historical"),
    ("Psoriasis in her twenties, none for decades.", "psoriasis", "historical"),
    ("In March 2023 he developed diarrhoea. Seen 4/5/2025, well.", "diarrhea", "historical"),
    ("Diarrhoea since March 2023, seen 4/5/2025.", "diarrhea", "current"),
    ("Diarrhoea in May 2025, seen 4/5/2025.", "diarrhea", "current"),
    ("Stopped for diarrhoea and colitis in March (nausea all day). Colitis episode closed.", "nausea", "historical"),
    ("Colitis in March (nausea today). Colitis episode closed.", "nausea", "current"),
    ("Standing orders: discontinue for any myocarditis, SJS or TEN.", "sjs", "hypothetical"),
    # a bracket behind a past episode
    ("Previous colitis in 2022 (diarrhoea 12 times a day, blood).", "diarrhea", "historical"),
    ("Known colitis (diarrhoea 8 times a day today).", "diarrhea", "current"),
    # forms and questions
    ("Jaundice: No. Diarrhea: No.", "diarrhea", "negated"),
    ("Jaundice: No. Diarrhea: No.", "jaundice", "negated"),
    ("Jaundice: no  Diarrhea: no  Rash: yes", "diarrhea", "negated"),
    ("Jaundice: no  Diarrhea: no  Rash: yes", "rash", "current"),
    ("Jaundice: none. Rash: negative. Diplopia: absent.", "rash", "negated"),
    ("(-) jaundice (-) diplopia (+) rash", "diplopia", "negated"),
    ("(-) jaundice (-) diplopia (+) rash", "rash", "current"),
    ("[ ] myocarditis [ ] pneumonitis [x] rash", "pneumonitis", "negated"),
    ("[ ] myocarditis [ ] pneumonitis [x] rash", "rash", "current"),
    ("Any recent seizures? No, I have not.", "seizure", "negated"),
    ("Any chest pain? Denies.", "chest_pain", "negated"),
    ("Have you had diarrhea? Yes, since Friday.", "diarrhea", "current"),
    ("Jaundice? No. Rash? Yes.", "jaundice", "negated"),
    ("Jaundice? No. Rash? Yes.", "rash", "current"),
    ("Jaundice? No Rash? No", "rash", "negated"),
    # hypothetical
    ("Risks include seizure, stroke, or even death.", "seizure", "hypothetical"),
    ("Consent: complications include colitis, pneumonitis and myocarditis.", "myocarditis", "hypothetical"),
    ("She was told of side effects such as colitis or hepatitis.", "hepatitis", "hypothetical"),
    ("Return precautions: chest pain, rash, diarrhea more than 7 times a day.", "diarrhea", "hypothetical"),
    ("Call the office if rash, has dyspnea, or diarrhea 7 or more stools a day.", "diarrhea", "hypothetical"),
    ("Seek medical attention for chest pain or jaundice.", "jaundice", "hypothetical"),
    ("She should return to the Emergency Department if she experiences chest pain.", "chest_pain", "hypothetical"),
    ("Loperamide as needed for diarrhea.", "diarrhea", "hypothetical"),
    ("To be screened for myocarditis.", "myocarditis", "hypothetical"),
    # a value or a symptom with a time is never hypothetical
    ("Admitted to rule out myocarditis, troponin T 1,850 ng/L and CK 4,200 U/L.", "troponin_t", "current"),
    ("Admitted to rule out myocarditis, troponin T 1,850 ng/L and CK 4,200 U/L.", "ck", "current"),
    ("Rule out hepatitis, ALT 640 U/L (ref 7-56).", "alt", "current"),
    ("Evaluate for hypophysitis with sodium 121 mmol/L.", "sodium", "current"),
    ("Unable to exclude pneumonitis on CT, 2 L oxygen.", "pneumonitis", "current"),
    ("Unable to exclude pneumonitis on CT, 2 L oxygen.", "oxygen", "current"),
    ("Cannot exclude encephalitis, seizure this morning.", "seizure", "current"),
    ("Sent to rule out encephalitis after a seizure this morning.", "seizure", "current"),
    ("MRI to exclude stroke: diplopia since Monday.", "diplopia", "current"),
    ("It is unclear whether this is myocarditis.", "myocarditis", "current"),
    # historical
    ("Past medical history is significant for asthma, cataracts, measles, mumps and colitis.", "colitis", "historical"),
    ("History of asthma, hypertension, gout and hepatitis.", "hepatitis", "historical"),
    ("PMH: hypertension, two pregnancies, colitis.", "colitis", "historical"),
    ("A one-week history of diarrhea.", "diarrhea", "current"),
    ("Presents with a three day history of rash.", "rash", "current"),
    ("She has a several week history of dyspnea.", "dyspnea", "current"),
    ("History of gout, presents with dyspnea.", "dyspnea", "current"),
    ("The patient has an extensive history   of colitis.", "colitis", "historical"),
    ("Allergies: penicillin (rash), sulfa.", "rash", "historical"),
    ("Reimplantation once the pneumonitis is completely resolved.", "pneumonitis", "hypothetical"),
    ("1) Esophagitis s/p biopsy 2) Colitis", "colitis", "current"),
    # family
    ("Family history of myasthenia gravis and colitis.", "colitis", "family"),
    ("FH is +ve for a sister with colitis.", "colitis", "family"),
    ("Her mother noticed a rash.", "rash", "current"),
    # scope per clause (openmed 928), "but" (biomedicus 100), a cue inside or beside the phrase (negspacy 14)
    ("No melanoma, instead well-defined areas of pneumonitis.", "pneumonitis", "current"),
    ("No neurologic deficits other than some numbness.", "neuropathy", "current"),
    ("She denies any pain but does state that there is some itching.", "pruritus", "current"),
    ("History not obtainable as the patient is drowsy.", "confusion", "current"),
    ("She ca n't tolerate food because of vomiting.", "vomiting", "current"),
    ("No prednisone for the colitis.", "colitis", "current"),
    ("No seizure since admission.", "hospitalized", "current"),
    ("He does not feel he needs anything for the cough.", "cough", "current"),
    ("No jaundice is noted, abdomen soft, rash on trunk.", "rash", "current"),
    ("No fever, chills, new rash or diarrhea.", "diarrhea", "negated"),
    (
        "There was no associated tongue-biting, incontinence, aura, visual change, dyspnea, weakness or numbness.",
        "neuropathy",
        "negated",
    ),
    ("He denied any recent fever, dyspnea, vomiting or syncope.", "syncope", "negated"),
    ("INTEGUMENTARY: Negative rash, negative jaundice.", "jaundice", "negated"),
    ("C. difficile negative diarrhea.", "diarrhea", "current"),
    ("We excluded myocarditis with MRI.", "myocarditis", "negated"),
    ("GGO, cultures negative.", "ground_glass", "current"),
    ("Rash (-), fever (+), chest pain (-)", "fever", "current"),
    ("Rash (-), fever (+), chest pain (-)", "rash", "negated"),
    # a measured value is never denied
    ("No symptoms, ALT 640 U/L.", "alt", "current"),
    ("Denies dyspnea, SpO2 84 % on room air.", "spo2", "current"),
    ("No nausea, vomiting, diarrhea 6 x per day.", "diarrhea", "current"),
    ("No fever, T 39.1 C.", "temp", "current"),
    # history ends at the complaint
    ("67-year-old man with a history of melanoma with diarrhea and rash.", "diarrhea", "current"),
    ("Known melanoma, rash since Monday.", "rash", "current"),
    ("Former smoker with dyspnea.", "dyspnea", "current"),
    ("Previously healthy man with rash.", "rash", "current"),
    ("Prior to presentation he had a seizure.", "seizure", "current"),
    ("In the past week he developed diarrhea.", "diarrhea", "current"),
    ("History of hypertension, who was transferred because of hepatitis.", "hepatitis", "current"),
    ("Has a history of diarrhea that is now worse.", "diarrhea", "current"),
    ("Previous CT showed ground-glass opacities in both lungs.", "ground_glass", "historical"),
    ("He had a seizure back then.", "seizure", "historical"),
    ("Colitis 2 years ago.", "colitis", "historical"),
    ("Rash almost resolved.", "rash", "current"),
    ("He has recovered from pneumonitis.", "pneumonitis", "historical"),
    ("One of his children suffers from colitis.", "colitis", "family"),
    ("Her husband had diarrhea last week, now she has a rash.", "rash", "current"),
]


@pytest.mark.parametrize("text, name, status", STATUSES)
def test_status(text, name, status):
    assert set(statuses(text, name)) == {status}


@pytest.mark.parametrize("row", FIELD, ids=lambda row: row["id"])
def test_notes_from_the_field(row):
    final = review(Case(text=row["text"])).final
    expected = row["expected"]
    assert expected["min_grade"] <= final.overall_severity.level <= expected.get("max_grade", 4)
    assert final.urgency.value in expected["urgency"]
    assert {system.value for system in final.affected_systems} == set(expected["systems"])


@pytest.mark.parametrize(
    "text",
    [
        "On cetuximab only, never a checkpoint inhibitor. New rash.",
        "Cetuximab alone; never any checkpoint inhibitor.",
        "She has never had immunotherapy. Trastuzumab cycle 8.",
    ],
)
def test_never_exposed(text):
    assert exposure(read(Case(text=text))).kind == "never"


@pytest.mark.parametrize("text", ["GBS status was negative.", "GBS swab came back negative.", "GBS: negative."])
def test_streptococcus_raises_nothing(text):
    assert not review(Case(text=f"Nivolumab, cycle 4. {text}")).final.affected_systems


@pytest.mark.parametrize(
    "section, text, statuses",
    [
        ("hypothetical", "rash, diarrhea 7 or more stools a day", ["hypothetical", "hypothetical"]),
        ("historical", "colitis, hepatitis", ["historical", "historical"]),
        ("historical", "colitis; rash today", ["historical", "current"]),
        ("negated", "rash, ALT 640 U/L", ["negated", "current"]),
        ("planned", "rash", ["planned"]),
        ("signature", "rash", ["current"]),  # sections that say nothing of a status
    ],
)
def test_section_gives_the_status_its_words_leave_open(section, text, statuses):
    norm, tokens = scan(text)
    tokens = composed(norm, tokens)
    assign(norm, tokens, section)
    items = [token for token in tokens if token.kind in ("finding", "lab") and token.names != ("stool",)]
    assert [token.status for token in items] == statuses


def test_rules_are_complete():
    for rule in RULES.values():
        assert rule.status in ("current", "negated", "historical", "family", "hypothetical")
        assert rule.direction in ("after", "before", "both")
    spellings = [s for phrases in cue_phrases().values() for p in phrases for s in expand(p)]
    assert all(s == s.lower() and "<" not in s for s in spellings)
