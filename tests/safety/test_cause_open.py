"""Causes that no table names: proven by a result of any test and a sentence that ties a finding to it."""

import pytest

from irae_lib import Case, review

ICI = "Melanoma, on nivolumab, cycle 4. "
PROVEN = {
    "histology": "ALT 420 U/L. Biopsy shows sinusoids packed with amyloid. The liver injury is explained by amyloidosis.",
    "genetics": "CK 1300 U/L, aching thighs. Compound heterozygous PYGM mutations on sequencing, so the muscle breakdown is McArdle disease.",
    "organism": "Six extra watery stools a day. Strongyloides larvae on stool microscopy; strongyloidiasis accounts for the diarrhea.",
    "nucleic acid": "New seizure. Herpes simplex DNA detected in CSF: the seizure is due to HSV infection, aciclovir running.",
    "scan": "Lipase 900 U/L, epigastric pain. CT shows a fractured pancreatic neck; the enzyme rise is because of that.",
    "level": "Creatinine 3.4 mg/dL. Ciclosporin level toxic, and the renal failure is attributed to it.",
    "rechallenge": "Loose motions, 5 a day over baseline. Loose motions are due to olmesartan: gone when it was stopped, back again on rechallenge, now settled off it alone.",
    "next sentence": "Complete heart block, pacing wire placed. Borrelia immunoblot positive. So this is Lyme carditis.",
    "every organ": "ALT 166 U/L. Six extra watery stools a day. Coxiella burnetii PCR positive in blood; Q fever explains each organ problem.",
}
LIVER = PROVEN["histology"]
OPEN = {
    "opinion": "ALT 420 U/L. The liver injury is explained by amyloidosis.",
    "may": LIVER.replace("is explained", "may be explained"),
    "denied": LIVER.replace("is explained", "is not explained"),
    "pending": LIVER.replace("shows", "pending:"),
    "another person": LIVER.replace("Biopsy", "His wife's biopsy"),
    "another date": LIVER.replace("Biopsy", "In 2016, years before immunotherapy, biopsy").replace(
        "The", "In 2016 the"
    ),
    "steroid begun": f"{LIVER} Prednisolone 1 mg/kg started.",
    "cannot exclude": f"{LIVER} Immune hepatitis cannot be excluded.",
    "either": f"{LIVER} It could be either process.",
    "immune histology": f"{LIVER} There is a dense lymphocytic infiltrate too.",
    "the finding only": "ALT 420 U/L. Biopsy shows lobular inflammation. The liver injury is due to stress.",
    "an unrelated result": "ALT 420 U/L. Escherichia coli grew in urine culture. The liver injury is put down to paint fumes.",
    "an unrelated culture": "Creatinine 3.4 mg/dL. Urine culture grew E. coli; the AKI is due to dehydration.",
    "an unrelated virus": "ALT 600 U/L. Sputum PCR positive for rhinovirus; the transaminases are attributed to paracetamol.",
    "an incidental lesion": "Creatinine 3.4 mg/dL. CT shows a renal cyst; the AKI is because of NSAIDs.",
    "an immune pattern": "Itchy rash over 40 % of the body. Biopsy shows lichenoid change, hence the rash is lichen planus.",
    "CMV": "Nine watery stools a day. Biopsy: CMV DNA detected in the colon; the diarrhea is due to CMV.",
    "autoimmune disease": "Nine watery stools a day. Biopsy confirms Crohn's disease, so the diarrhea is due to Crohn's disease.",
    "respiratory virus": "New ground glass on CT, cough. Influenza A PCR positive; influenza explains the ground glass.",
    "tumour gene": "BRAF mutation detected. ALT 420 U/L. The liver injury is because of it.",
    "immune illness": "ALT 420 U/L. Biopsy confirmed malignant cells in the skin; the transaminases are due to hepatitis.",
    "refuted": "ALT 420 U/L. Sarcoma metastases were blamed for the transaminases, MRI shows none.",
}


def look(text):
    return review(Case(text=ICI + text))


def systems(text):
    return {system.value for system in look(text).final.affected_systems}


@pytest.mark.parametrize("text", PROVEN.values(), ids=PROVEN)
def test_a_proven_cause_raises_no_organ(text):
    assert not systems(text) and look(text).withheld


@pytest.mark.parametrize("text", OPEN.values(), ids=OPEN)
def test_an_open_cause_keeps_the_organ(text):
    assert not look(text).withheld and (systems(text) or "Crohn" in text)


@pytest.mark.parametrize(
    ("added", "system"),
    [
        (" Nine watery stools a day.", "Gastrointestinal"),
        (" An itchy rash covers 40 % of the body.", "Dermatologic"),
        (" Troponin I 900 ng/L.", "Cardiac"),
    ],
)
def test_a_cause_of_one_organ_leaves_the_others(added, system):
    assert systems(LIVER + added) == {system}


def test_only_the_nearest_of_two_findings_is_explained():
    text = "Nine watery stools a day, ALT 420 U/L. Biopsy shows amyloid; he has diarrhea and the liver injury is due to amyloid."
    assert systems(text) == {"Gastrointestinal"}
