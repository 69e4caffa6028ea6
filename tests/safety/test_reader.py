"""The reader: what a sentence says, about whom, when, in which unit - each line a sentence a clinician can check."""

from decimal import Decimal

import pytest

from irae_lib import Case, read, review
from irae_lib.safety.exposure import exposure
from irae_lib.safety.lexicon import ANALYTES, DRUGS, meanings
from irae_lib.schemas import Urgency


def named(text: str, name: str) -> list:
    return [f for f in read(Case(text=text)) if f.name == name]


# text, finding, status
STATUSES = [
    ("Denies fever, chest pain or dyspnea but has a rash.", "dyspnea", "negated"),
    ("Denies fever, chest pain or dyspnea but has a rash.", "rash", "current"),
    ("No fever, cough or rash.", "rash", "negated"),
    ("No fever, new rash on the trunk.", "rash", "current"),
    ("No fever, 8 watery stools a day.", "diarrhea", "current"),
    ("Fever, confusion and heart failure are not described.", "confusion", "negated"),
    ("Dyspnea, chest pain, rash: not described.", "chest_pain", "negated"),
    ("Chest pain absent, no palpitations.", "chest_pain", "negated"),
    ("AChR antibodies negative.", "achr_antibodies", "negated"),
    ("Pneumonitis cannot be excluded.", "pneumonitis", "current"),
    ("Diarrhea not improving on loperamide.", "diarrhea", "current"),
    ("Mother has myasthenia gravis.", "myasthenia", "family"),
    ("Wife has diarrhea, patient has none.", "diarrhea", "family"),
    ("Daughter noticed that he is confused.", "confusion", "current"),
    ("Wife says he has diarrhea.", "diarrhea", "current"),
    ("Ptosis in his brother.", "ptosis", "family"),
    ("History of colitis.", "colitis", "historical"),
    ("PMH: colitis, asthma\nSymptoms: rash", "colitis", "historical"),
    ("PMH: colitis, asthma\nSymptoms: rash", "rash", "current"),
    ("Colitis in 2019, resolved.", "colitis", "historical"),
    ("Colitis over the past five days.", "colitis", "current"),
    ("History of asthma, presents with colitis.", "colitis", "current"),
    ("Hypothyroidism (long-standing).", "hypothyroidism", "historical"),
    ("Return if colitis or rash should develop.", "colitis", "hypothetical"),
    ("Counselled about myocarditis.", "myocarditis", "hypothetical"),
    ("Suspected myocarditis.", "myocarditis", "current"),
    ("Radiation pneumonitis in 2020.", "pneumonitis", None),
    ("Consolidation therapy with durvalumab.", "infiltrates", None),
    ("Prednisone 10 MG daily.", "myasthenia", None),
    ("Known MG on pyridostigmine.", "myasthenia", "historical"),
    ("New MG.", "myasthenia", "current"),
]


@pytest.mark.parametrize("text, name, status", STATUSES)
def test_status_of_a_finding(text, name, status):
    found = [f.status for f in named(text, name)]
    assert (found[0] if found else None) == status, found


# text, analyte, value in the standard unit, limit in force or None, multiple of ULN or None
VALUES = [
    ("ALT 312 U/L (ref 7-56)", "alt", "312", "56", "5.57"),
    ("ALT 45 (10-40)", "alt", "45", "40", "1.12"),
    ("AST/ALT 485/612", "alt", "612", None, "15.3"),
    ("AST and ALT 485 and 612 U/L", "ast", "485", None, "12.12"),
    ("ALT 7x ULN", "alt", None, None, "7"),
    ("ALT 12 times the upper limit of normal", "alt", None, None, "12"),
    ("bilirubin 55 µmol/L", "bilirubin", "3.22", None, "2.68"),
    ("bilirubin 88", "bilirubin", "5.15", None, "4.29"),
    ("creatinine 310 umol/L", "creatinine", "3.51", None, "2.92"),
    ("troponin 0,08 ng/mL", "troponin", "80", None, "2"),
    ("troponin T 2.8 ng/L", "troponin_t", "2.8", None, "0.2"),
    ("Hb 68 g/L", "hemoglobin", "6.8", None, None),
    ("platelets 24,000/mm3", "platelets", "24", None, None),
    ("platelets 12 x10⁹/L", "platelets", "12", None, None),
    ("Plt 35 K/uL", "platelets", "35", None, None),
    ("ANC 400/mm3", "anc", "0.4", None, None),
    ("K 3.2, Na 136", "potassium", "3.2", None, None),
    ("glucose (3.9-6.1) 31 mmol/L", "glucose", "558.56", "109.91", "5.08"),
    ("venous pH (7.35-7.45) 7.11", "ph", "7.11", "7.45", None),
    ("cortisol 55 nmol/L", "cortisol", "1.99", None, None),
    ("free T4 5.2 pmol/l (9.0-19.0)", "ft4", "0.4", "1.48", None),
    ("T 101.3 F", "temp", "38.5", None, None),
    ("Temp 101.3", "temp", "38.5", None, None),
    ("SpO2 94 % on room air", "spo2", "94", None, None),
    ("93% on 2 L", "spo2", "93", None, None),
    ("BP 88/54", "bp", "88", None, None),
    ("EF 35-40 % (was 60 %)", "ef", "35", None, None),
    ("PaO2 8.0 kPa", "pao2", "60", None, None),
    ("rash on 40 % of the body surface", "bsa", "40", None, None),
    ("Analyte  Result  Unit  ULN  xULN  Flag\nLipase   612     U/L   60   10.2  ***", "lipase", "612", "60", "10.2"),
    ("Test   Value   ULN   x ULN\nALT    240     48    5.0", "alt", "240", "48", "5"),
    ("Peak troponin I 3220 pg/mL (upper limit 5 pg/mL)", "troponin_i", "3220", "5", "644"),
    ("serum calcium 21 mg/dL", "calcium", "21", None, None),
    ("absolute neutrophils ZERO", "anc", "0", None, None),
    ("neutrophil count nil, platelets 210", "anc", "0", None, None),
]


@pytest.mark.parametrize("text, name, value, uln, times", VALUES)
def test_value_unit_and_limits(text, name, value, uln, times):
    found = [f for f in named(text, name) if f.status == "current"]
    assert found, text
    finding = found[0]
    for number, expected in ((finding.low, value), (finding.uln, uln), (finding.times_uln, times)):
        if expected is not None:
            assert round(number, 2) == Decimal(expected), finding
    if uln is None:
        assert finding.uln is None


@pytest.mark.parametrize(
    "text, name",
    [
        ("Prednisone 60 mg, T4 stage", "temp"),
        ("CD4 210, T 4 N 1", "temp"),
        ("HFNC 50 L/min FiO2 60%", "spo2"),
        ("paracentesis of 4 L", "oxygen"),
        ("ALT pending, next visit in 2 weeks", "alt"),
        ("K2 mg, 20 mg daily", "potassium"),
        ("Home with platelet count twice weekly", "platelets"),
        ("Eosinophils printed in red with three exclamation marks", "eosinophils"),
        ("Urine glucose 300 mg/dL", "glucose"),
        ("Glucose in Urine by Test strip 300 mg/dL", "glucose"),
        ("Urinary sodium 118 mmol/L", "sodium"),
        ("Creatinine (urine) 98 mg/dL", "creatinine"),
    ],
)
def test_what_is_no_value_is_not_read_as_one(text, name):
    assert not [f for f in named(text, name) if f.low is not None]


@pytest.mark.parametrize(
    "text", ["Dark urine: creatinine 4.2 mg/dL", "Less urine, creatinine 4.2", "Creatinine 4.2, urine clear"]
)
def test_urine_beside_a_blood_test_takes_nothing_away(text):
    assert [f.low for f in named(text, "creatinine")] == [Decimal("4.2")]


@pytest.mark.parametrize("value", ["6.8 mmol/L", "6.8 mmol/L (ref 3.5-5.1) H", ">6.8 mmol/L (ref 3.5-5.1) H"])
def test_a_value_on_a_dated_line_has_the_date(value):
    lines = f"2026-02-20 08:00 Potassium {value}; 2026-03-01 08:00 Potassium 4.2 mmol/L (ref 3.5-5.1)"
    old, new = named(lines, "potassium")
    assert old.when.isdigit() and int(old.when) < int(new.when)
    assert review(Case(text=lines), exposed=True).final.urgency == Urgency.ROUTINE


SERIES = [  # text, analyte, current value, earlier values
    ("AST 640 (1 May) → 210 (15 May) → 44 U/L (2 June; ULN 40)", "ast", "44", {"640", "210"}),
    ("ALT 38 on 2 June, 96 on 16 June and 414 IU/L this morning", "alt", "414", set()),
    ("Creatinine 412 now, 95 in March", "creatinine", "4.66", {"1.07"}),
    ("ALT 60 on Monday, now 480", "alt", "480", {"60"}),
    ("At its worst in April ALT was 655 U/L. Today ALT is 52 U/L.", "alt", "52", {"655"}),
    ("Labs (today): ALT 195\nLabs (3 weeks ago): ALT 38", "alt", "195", {"38"}),
    ("Prior TSH 2.1. TSH 45.2 mIU/L", "tsh", "45.2", {"2.1"}),
    ("Creat umol/L: 78 (May, pre C3) > 96 > 188 > today 301.", "creatinine", "3.40", {"0.88", "1.09", "2.13"}),
    ("Bili umol/L: 9 > 22 > 91", "bilirubin", "5.32", {"0.53", "1.29"}),
    ("Creatinine (umol/L) - 88, 210, 344 today", "creatinine", "3.89", {"1", "2.38"}),
    ("Plts (x10^9/L):  d0 6   d1 9   d3 14   d5 38   d8 71", "platelets", "71", {"6", "9", "14", "38"}),
    ("ALT C1 22, C2 31, C3 388", "alt", "388", {"22", "31"}),
    ("Creat: Mon 88, Tue 140, Wed 301", "creatinine", "3.40", {"1", "1.58"}),
    ("ALT 22, 31, 388.", "alt", "388", {"22", "31"}),
    (
        "Corrected calcium 9.2 mg/dL (8.5-10.5) at start, 8.1 after dose 13, now 6.5 mg/dL (8.5-10.2).",
        "calcium",
        "6.5",
        {"9.2", "8.1"},
    ),
    (
        "Analyte     Current   Prev (11 d)  Prev (5 wk)  Ref\nCREATININE  398  C    171  H       92           60-110 umol/L",
        "creatinine",
        "4.50",
        {"1.93", "1.04"},
    ),
    ("| Test | Today | 2 weeks ago | Pre-treatment | Range |\n| ALT | 410 | 55 | 21 | 0-40 |", "alt", "410", {"55"}),
    ("Test   Result  Previous  Units   Ref range\nALT    612 H   41   U/L   <50", "alt", "612", {"41"}),
    (
        "LABS         today   3 wks   baseline   ref\nCreat mg/dL   2.6     1.1     0.9        0.7-1.2",
        "creatinine",
        "2.6",
        {"1.1"},
    ),
]


@pytest.mark.parametrize("text, name, value, earlier", SERIES)
def test_series_keep_what_is_current(text, name, value, earlier):
    found = named(text, name)
    current = [round(f.high, 2) for f in found if f.status == "current"]
    assert Decimal(value) in current, found
    assert {round(f.high, 2) for f in found if f.status == "historical"} >= {Decimal(v) for v in earlier}


@pytest.mark.parametrize(
    "text, name, value",
    [
        ("FVC 3.9 L (101%), counts to 38 in one breath.", "fvc", "101"),
        ("FVC 1.1 L (38 %)", "fvc", "38"),
        ("Plt 2.4L, eos 3%", "platelets", "240"),
        ("Platelets 1.8 L", "platelets", "180"),
        ("Plt 24 L", "platelets", "24"),
        ("            today    3 wk   (ref)\nT bili      13       12     (<21 umol/L)", "bilirubin", "0.76"),
        ("Test | now | prev | unit | ref\nPotassium | 4.4 | 6.3 | mmol/L | 3.5-5.3", "potassium", "4.4"),
        ("Finger clip 86 on air.", "spo2", "86"),
    ],
)
def test_units_and_columns_that_decide_the_value(text, name, value):
    found = [f for f in named(text, name) if f.status == "current"]
    assert found, text
    assert round(found[-1].high, 2) == Decimal(value)


@pytest.mark.parametrize(
    "text, name",
    [
        ("Loose motions. Not waking for it at night.", "coma"),
        ("Slow relaxing ankle jerks, puffy eyes.", "cerebellar_signs"),
        ("Sigmoidoscopy showed yellow plaques.", "rash"),
        ("Potassium 6.3, sample haemolysed.", "hemolysis"),
        ("Climbing two floors without stopping, SpO2 98% on room air.", "dyspnea"),
    ],
)
def test_words_that_mean_something_harmless_there(text, name):
    assert not [f for f in named(text, name) if f.status == "current"], text


STOOLS = [  # text, stools a day over baseline
    ("8 watery stools a day above her usual", "8"),
    ("Stools: baseline 4/day, now 6/day", "2"),
    ("5-6 loose stools per day, normally one", "5"),
    ("7–8 watery BMs/day (usual 1)", "7"),
    ("loose stools, four to six more per day than what is normal for him", "6"),
    ("ten watery motions yesterday, where two a day is her lifelong habit", "8"),
    ("Six watery stools daily; usual pattern is two a day", "4"),
    ("diarrhea x8/day", "7"),
    ("stool frequency increased by 7 per day", "7"),
    ("bowels opening seven times a day instead of once", "6"),
    ("Usually goes twice a day, always has. Since Sunday it's been 9, last 24 hrs 10 and counting, pure water.", "8"),
    (
        "I am a once a day person. Saturday it was three times. Monday five. Wednesday seven and yesterday I counted because my daughter told me to: eight. It is all water.",
        "7",
    ),
    ("Since bowel resection he goes 5 times daily; on Jemperli now 8 times daily, no blood.", "3"),
    ("Stools per day, usual: 1\nStools per day, this week: 4\nConsistency: soft", "3"),
    ("My bowels are normally once every morning. Yesterday it was eleven and I stopped counting.", "10"),
    ("Loose motions. Day before yesterday 4, yesterday 6, today already 9. Usual is one.", "8"),
    ("The runs: 3 on Monday, 6 Tuesday, and today it's ten.", "9"),
    ("Stool chart: Mon 4, Tue 6, Wed 9 (usual 1), all type 7", "8"),
    ("Usually regular, one a day. Now 8 to 10, like water.", "9"),
    ("He has the runs. He lost count after 12 yesterday.", "11"),
    ("Living in the bathroom. I kept a tally on the fridge: Mon 7, Tues 9. He is a once-a-day kind of guy.", "8"),
    ("Never off the loo. Tuesday it was 5, Weds 7 and yesterday I put a tick on the calendar and it came to 11.", "10"),
    ("Normally I go once in the morning. Now its five times, yesterday six, all runny.", "5"),
    ("Bowels: normally 2/day, since last Weds 6 or 7, loose, no blood.", "5"),
    ("The trots again. My diary says Thurs 4, Fri 6 and Sun 8.", "7"),
]


@pytest.mark.parametrize("text, over", STOOLS)
def test_stools_over_baseline(text, over):
    found = named(text, "stools_over_baseline")
    assert found, found
    assert max(f.high for f in found) == Decimal(over), found


@pytest.mark.parametrize(
    "text",
    [
        "Loose stools. Pain yesterday 7, today 8. Sleep 4 hours.",
        "Bowels fine. Appointment Monday 9, back on Tuesday 10.",
        "Loose stools. Took paracetamol 2 today, cycle 9 on Monday.",
        "Some diarrhoea. Blood sugars: Mon 8, Tue 9, Wed 11.",
        "Loose stool. Fluids: Mon 9 glasses, Tue 8",
        "Loose stool. I keep a pain score on the calendar: Mon 7, Tues 9.",
        "Runny nose, sneezed five times. Yesterday six.",
        "Drinks about six cups daily, as for years. Bowels: soft stool.",
        "Six glasses of water daily. Stool formed.",
    ],
)
def test_the_numbers_of_days_that_count_something_else(text):
    assert not named(text, "stools"), text


EXPOSURES = [
    ("On Keytruda q3w.", "exposed"),
    ("Nivolumab stopped four months ago.", "exposed"),
    ("Started ipi/nivo last week.", "exposed"),
    ("On an anti-PD-1 drug (brand not given).", "exposed"),
    ("pt on pembrolizumb q3wk", "exposed"),
    ("Opdivo Qvantig 600 mg", "exposed"),
    ("Cycle 4 of nivolumab planned next week.", "exposed"),
    ("To start pembrolizumab next month.", "planned"),
    ("Durvalumab planned, first dose in 3 weeks.", "planned"),
    ("The board decides for carboplatin with pembrolizumab, to START next week; no dose has been given.", "planned"),
    ("She has not had immunotherapy.", "never"),
    ("Trastuzumab cycle 8, no immunotherapy so far.", "never"),
    ("ICI-naive patient.", "never"),
    ("Trastuzumab cycle 8.", "cancer care"),
    ("On adalimumab and vedolizumab.", "undocumented"),
    ("PD-L1 positive tumour, on observation.", "undocumented"),
    ("Opsumit and Imbruvica.", "cancer care"),
]


@pytest.mark.parametrize("text, kind", EXPOSURES)
def test_exposure(text, kind):
    assert exposure(read(Case(text=text))).kind == kind


def test_an_exposure_more_than_a_year_ago_is_late_but_counts():
    contact = exposure(read(Case(text="Nivolumab was stopped 14 months ago.")))
    assert contact.kind == "exposed"
    assert contact.late


def test_every_drug_is_found_under_every_name():
    for generic, row in DRUGS["checkpoint_inhibitors"].items():
        for name in (generic, *row["names"]):
            found = [f for f in read(Case(text=f"Receives {name} every three weeks.")) if f.kind == "ici"]
            assert found, name
            assert found[0].name == generic, name


@pytest.mark.parametrize(
    "name", ["adalimumab", "tocilizumab", "spesolimab", "abatacept", "Yescarta", "Imdelltra", "Opsumit", "Keppra"]
)
def test_look_alikes_are_no_checkpoint_inhibitors(name):
    assert not [f for f in read(Case(text=f"Receives {name}.")) if f.kind == "ici"]


@pytest.mark.parametrize(
    "text, name, grade",
    [
        ("Grade 3 colitis", "colitis", "3"),
        ("pneumonitis graded 3 by his oncologist", "pneumonitis", "3"),
        ("Itchy rash on both arms. Biopsy done. The dermatologist grades it 2.", "rash", "2"),
        ("hepatitis, grade 2-3", "hepatitis", "3"),
        ("Colitis (grade II)", "colitis", "2"),
        ("Bilirubin has climbed to CTCAE grade 3.", "bilirubin", "3"),
        ("Grade 3 follicular lymphoma with rash", "rash", None),
        ("High-grade 3 urothelial carcinoma", "rash", None),
    ],
)
def test_stated_grades(text, name, grade):
    found = [f for f in named(text, name) if f.kind == "grade"]
    assert (found[0].value if found else None) == grade


def test_tables_hold_together():
    for name, analyte in ANALYTES.items():
        assert not analyte.unit or analyte.convert(Decimal(1), analyte.unit.lower()) in (Decimal(1), None), name
    assert all(phrase == phrase.lower() and phrase.rstrip() == phrase for phrase in meanings())


NEW_LATELY = [
    ("CT: no clot, hazy patches in both lungs that weren't there before.", "ground_glass", "current"),
    ("CT: no PE, ground glass not seen on the previous scan.", "ground_glass", "current"),
    ("No rash, no opacities new since March.", "infiltrates", "negated"),
    ("No effusion, ground glass or nodules.", "ground_glass", "negated"),
]


@pytest.mark.parametrize("text, name, status", NEW_LATELY)
def test_what_was_not_there_before_is_there_now(text, name, status):
    assert {f.status for f in named(text, name)} == {status}


OXYGEN = [
    ("Sent home with a concentrator at 2 liters, he has never been on oxygen at home before.", "current"),
    ("93% on the 2 L, winded.", "current"),
    ("New 2 L nasal cannula, never needed oxygen before.", "current"),
    ("Home oxygen 2 L/min for COPD, unchanged.", "historical"),
    ("Has used 2 L oxygen at home since 2021.", "historical"),
]


@pytest.mark.parametrize("text, status", OXYGEN)
def test_oxygen_at_home_is_new_or_old(text, status):
    assert status in {f.status for f in named(text, "oxygen")}, text
    assert status == "current" or "current" not in {f.status for f in named(text, "oxygen")}


BARE = [  # a number that no one has in the usual unit is in the other one
    ("sugar 28.6, thirst", "glucose", "515"),
    ("BG 31, polyuria", "glucose", "559"),
    ("BM 18.2 this morning", "glucose", "328"),
    ("glucose 104", "glucose", "104"),
    ("Ca 3.6, confused", "calcium", "14"),
    ("Corrected calcium 1.62", "calcium", "6"),
]


@pytest.mark.parametrize("text, name, value", BARE)
def test_a_bare_number_is_read_in_the_unit_that_fits(text, name, value):
    assert [round(f.high) for f in named(text, name) if f.status == "current"] == [Decimal(value)]


@pytest.mark.parametrize("text", ["ionised calcium 1.1", "ABG: Ca 1.12"])
def test_ionised_calcium_is_no_total_calcium(text):
    assert all(f.high is None for f in named(text, "calcium"))


PROBES = [
    (
        "My neighbour Tom is diabetic so he came in with his own machine and tested her finger: sugar 28.6.",
        "glucose",
        "current",
    ),
    ("My brother is a medic, he checked my temp: 39.1 C.", "temp", "current"),
    ("My husband is diabetic, he checked his sugar: 18.6.", "glucose", "family"),
]


@pytest.mark.parametrize("text, name, status", PROBES)
def test_whoever_measures_the_value_is_the_patients(text, name, status):
    assert {f.status for f in named(text, name)} == {status}
