"""The phrase bank: what 166 concepts are called by clinicians and patients, and what only sounds like them.

Written by authors who did not know the reader. All but `bank_4` have been used in development; `tests/cases/README.md` has
the first readings. These rates are a regression test, no estimate.
"""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from irae_lib import Case, read
from irae_lib.files import DATA
from irae_lib.safety import spelling
from irae_lib.safety.concept_table import concept_table
from irae_lib.safety.text import View

PHRASES = Path(__file__).parent.parent / "cases" / "phrases"
BANKS = {
    path.stem: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for path in sorted(PHRASES.glob("bank_*.jsonl"))
}
KEPT = {  # bank: found as clinicians say it, as patients say it, near misses raised
    "bank_1": (0.97, 0.92, 0.03),
    "bank_2": (0.90, 0.82, 0.085),
    "bank_3": (0.90, 0.83, 0.07),
    "bank_4": (0.89, 0.76, 0.135),  # its first reading: nothing was changed for it
}
TABLE = json.loads((DATA / "clinical" / "concepts.json").read_text(encoding="utf-8"))
AS_WELL = {"hypoxia": "spo2", "fever": "temp", "widespread_rash": "bsa", "low_ef": "ef", "oxygen": "oxygen_word"}


def says(text: str, concept: str) -> bool:
    names = {concept, AS_WELL.get(concept)}
    findings = read(Case(text=f"Patient on pembrolizumab. {text}"))
    return any(f.name in names and f.status == "current" and not _is_normal(f) for f in findings)


def _is_normal(finding) -> bool:
    """A saturation of 97 % says no hypoxia, and a temperature of 36.6 no fever."""
    if finding.name == "spo2":
        return finding.low is not None and finding.low >= 95
    return finding.name == "temp" and finding.high is not None and finding.high < 38


@pytest.mark.parametrize("bank", BANKS)
def test_a_bank_keeps_its_rates(bank):
    said: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for row in BANKS[bank]:
        for register in ("clinician", "patient", "near"):
            total[register] += len(row[register])
            said[register] += sum(says(text, row["concept"]) for text in row[register])
    rate = {register: said[register] / total[register] for register in total}
    clinician, patient, near = KEPT[bank]
    assert rate["clinician"] >= clinician
    assert rate["patient"] >= patient
    assert rate["near"] <= near


@pytest.mark.parametrize(
    ("text", "concept", "expected"),
    [
        ("My liver's packed up, they say.", "hepatic_failure", True),  # a possessive
        ("The liver is very clearly now failing.", "hepatic_failure", True),  # fillers between the parts
        ("Blood pressure keeps dropping.", "hypotension", True),  # a phrase that is no blood, and is a pressure
        ("Appetite good, energy fine.", "anorexia", False),  # all is well
        ("Breathing fine at rest.", "dyspnea_at_rest", False),
        ("I can't hear on my left side since last week.", "hearing_loss", True),  # no denial
        ("Tablets come in blister packs.", "blistering", False),  # a word that means something else
        ("Noticed bubbles in the urine.", "blistering", False),
        ("Bubbles on top when he pees, like soap.", "blistering", False),
        ("Red skin bubbling on both forearms.", "blistering", True),
        ("Vesicular breath sounds all over.", "rash", False),
        ("Dry macular degeneration, checked every year.", "rash", False),
        ("Psychologist seen twice a year.", "diplopia", False),
        ("Joints not swollen, not stiff on waking.", "coma", False),
        ("Cannot be woken this morning.", "coma", True),
        ("A dental bridge fitted last week.", "seizure", False),
        ("Whooping cough in the village school.", "cough", False),
        ("Obtunded on arrival.", "drowsiness", True),  # one word, two concepts
        ("Obtunded on arrival.", "coma", True),
        ("Rolls of thunder, hay fever season.", "fever", False),
        ("Nosebleeds as a boy.", "bleeding", False),  # long ago
        ("Thyroiditis listed under the side effects.", "thyroiditis", False),  # only possible
        ("Some inflamation of the lungs.", "pneumonitis", True),  # a slip
    ],
)
def test_mechanisms(text, concept, expected):
    assert says(text, concept) is expected


def test_a_finding_never_stands_between_a_test_and_its_value():
    findings = read(Case(text="Platelets have dropped to 19 x10^9/L."))
    assert any(f.name == "platelets" and f.value.startswith("19") for f in findings)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("siezure", "seizure"),
        ("inflamation", "inflammation"),
        ("pancreatitus", "pancreatitis"),
        ("dysphagia", None),
        ("dysphasia", None),  # another illness
        ("ileum", None),
        ("weaning", None),  # English
        ("palpation", None),
        ("xyzzyx", None),
    ],
)
def test_slips(written, meant):
    assert spelling.meant(written) == meant


def test_a_corrected_word_keeps_its_place():
    text = "She has a bad headahce and siezures since Monday."
    finding = next(f for f in read(Case(text=text)) if f.name == "seizure")
    assert finding.quote == text[finding.start : finding.end] == "siezures"
    assert View.of("Mr Legge and Dr Feever came.").text == "Mr Legge and Dr Feever came."  # names stay


def test_the_table_is_consistent():
    concept_table()  # raises where a way uses an unknown class
    ways = " ".join(way for row in TABLE["concepts"].values() for way in row["ways"])
    used = set(re.findall(r"\b[A-Z][A-Z]+\b", ways)) | {"NOTHING", "NORMAL"}
    guarded = {name for names in TABLE["guards"] for name in names.split() if name[0] not in "<'"}
    guarding = {name for names in TABLE["guards"].values() for name in names.split()}
    assert guarded <= used
    assert TABLE["words"].keys() | TABLE["numbers"].keys() == used | guarding | {"THING"}
    for name, entries in TABLE["words"].items():
        words = [entry.strip() for entry in entries.split(",")]
        assert all(words), name
        assert len(words) == len(set(words)), [word for word, n in Counter(words).items() if n > 1]
    assert TABLE["concepts"].keys() >= {row["concept"] for row in BANKS["bank_1"]} - {"stool"}
    for concept, row in TABLE["concepts"].items():
        assert len(row["ways"]) == len(set(row["ways"])), concept


def test_a_denial_of_blood_some_words_after_the_diarrhea_is_marked():
    for text, status in (("8 times a day, no blood, no fever", "negated"), ("x4, passed some blood", "current")):
        (blood,) = [f for f in read(Case(text=f"Nivolumab. Diarrhea {text}.")) if f.name == "hematochezia"]
        assert blood.status == status
    for text in ("3 a day, bloods today fine", "3 a day, no blood cultures sent"):
        assert not [f for f in read(Case(text=f"Nivolumab. Diarrhea {text}.")) if f.name == "hematochezia"]
