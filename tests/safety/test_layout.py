"""Forms, sections, tables and laboratory rows: each line is a note whose right answer a clinician can check."""

import json
import random
from decimal import Decimal
from pathlib import Path

import pytest

from irae_lib import Case, read, review
from irae_lib.safety.layout import Layout
from irae_lib.safety.quantities import order
from irae_lib.schemas import Urgency

FIELD = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "cases" / "field.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize("row", FIELD, ids=lambda row: row["id"])
def test_notes_from_the_field(row):
    final = review(Case(text=row["text"])).final
    systems = {system.value for system in final.affected_systems}
    if row.get("nothing"):
        assert (final.irae_detected, systems, final.urgency) == (False, set(), Urgency.ROUTINE)
    else:
        assert set(row["systems"]) <= systems
        assert final.overall_severity.level >= row["min_grade"]
        assert final.urgency >= Urgency(row["min_urgency"])


LETTERS = "Fever N, chest pain N, diarrhoea N, rash Y"


def test_letters_behind_the_items_of_a_checklist_answer_them():
    found = {f.name: f.status for f in read(Case(text=LETTERS))}
    assert (found["fever"], found["chest_pain"], found["diarrhea"]) == ("negated",) * 3
    assert found["rash"] == "current"


def test_a_bracket_brought_forward_is_past():
    found = read(Case(text="[Brought forward from 14 Mar: ALT 412 U/L, colitis.] Today ALT 21 U/L."))
    assert [f.status for f in found if f.name in ("alt", "colitis")] == ["historical", "historical", "current"]


HAPPENED = [  # what has a time is real, even below a heading of advice
    ("Patient education\nSeizure this morning, lasted 2 minutes. On nivolumab.", "seizure"),
    ("Nivolumab. Return precautions reviewed: chest pain. Diarrhoea 8 times a day since Friday.", "diarrhea"),
    ("When to call:\n- fever\n- yesterday he had a seizure", "seizure"),
]


@pytest.mark.parametrize("text, name", HAPPENED)
def test_a_heading_makes_nothing_hypothetical_that_happened(text, name):
    assert [f.status for f in read(Case(text=text)) if f.name == name] == ["current"]


SECTIONS = [  # note, a word, section of the word
    ("PMH: colitis\nToday: rash", "colitis", "historical"),
    ("PMH: colitis\nToday: rash", "rash", ""),
    ("Past Medical History\n- colitis\n\nrash", "colitis", "historical"),
    ("Past Medical History\n- colitis\n\nrash", "rash", ""),
    ("FAMILY HISTORY:\nmother: colitis", "colitis", ""),
    ("FAMILY HISTORY:\n- mother: colitis", "colitis", "family"),
    ("Return precautions: rash, fever", "rash", "hypothetical"),
    ("Seen today. Return precautions: rash. Has fever.", "fever", ""),
    ("Call us if you have any of these:\n* rash\n* fever\n\nHas colitis.", "fever", "hypothetical"),
    ("Call us if you have any of these:\n* rash\n* fever\n\nHas colitis.", "colitis", ""),
    ("ROS: rash\nPlan: start steroids", "rash", "review"),
    ("ROS: rash\nPlan: start steroids", "steroids", "plan"),
    ("HPI (copied from 01/05): rash. Interval history: fever.", "rash", "copied"),
    ("HPI (copied from 01/05): rash.", "rash", ""),
    ("HPI (copied from 01/05): rash.\nFeels tired.", "rash", ""),
    ("On nivolumab. Explained (leaflets given):\n- rash\n- fever", "fever", "hypothetical"),
    ("Hold parameters: rash", "rash", "hypothetical"),
    ("Past immune toxicity: rash", "rash", "historical"),
    ("Previous irAEs: rash", "rash", "historical"),
    ("Seen today. Previous toxicities: rash. Has fever.", "fever", ""),
    ("Return visit for colitis: rash", "rash", ""),
    ("Report of CT chest: rash", "rash", ""),
    ("Phone call following infusion: rash", "rash", ""),
    ("Patient information: rash", "rash", ""),
    ("Side effects: rash", "rash", ""),
    ("Possible side effects: rash", "rash", "hypothetical"),
    ("When to call:\n\n- rash\n\n- fever", "fever", "hypothetical"),
    ("When to call: anytime\n\n- rash", "rash", ""),
    ("History of present illness: rash", "rash", ""),
    ("Electronically signed by Dr. Rash", "Rash", "signature"),
]


@pytest.mark.parametrize("note, word, section", SECTIONS)
def test_section_of_a_word(note, word, section):
    assert Layout(note).section(note.index(word)) == section


ANSWERS = [  # note, finding, status
    ("Fever: no, rash: yes, cough: no", "rash", "current"),
    ("Fever: No Chills: No Cough: Yes Rash: No", "cough", "current"),
    ("Fever: No Chills: No Cough: Yes Rash: No", "rash", "negated"),
    ("Diarrhea: no improvement", "diarrhea", "current"),
    ("Jaundice: [ ] Yes [x] No", "jaundice", "negated"),
    ("Jaundice: [x] Yes [ ] No", "jaundice", "current"),
    ("Seizure [ ]  Jaundice [x]", "jaundice", "current"),
    ("Seizure [ ]  Jaundice [x]", "seizure", "negated"),
    ("(-) jaundice, diplopia (+) rash", "diplopia", "negated"),
    ("(-) jaundice, diplopia (+) rash", "rash", "current"),
    ("Rash (-), diarrhea (+)", "rash", "negated"),
    ("Rash | No | Yes", "rash", "current"),
    ("Rash | Yes | No", "rash", "current"),
    ("Rash: [ ]", "rash", "negated"),
    ("Rash: [x]", "rash", "current"),
    ("Diarrhea ........ No", "diarrhea", "negated"),
    ("Chest pain (no), dyspnea (yes)", "chest_pain", "negated"),
    ("+fatigue, -fever, -seizure", "seizure", "negated"),
    ("+fatigue, -fever, -seizure", "fatigue", "current"),
    ("Progression of colitis (N0 disease)", "colitis", "current"),
    ("Any rash? Not really.", "rash", "negated"),
    ("Pneumonitis? No oxygen needed.", "pneumonitis", "current"),
    ("[doctor] have you had any rash\n[patient] no not really", "rash", "negated"),
    ("[doctor] any seizures recently ?\n[patient] not in a while .", "seizure", "negated"),
    ("[doctor] you have a rash\n[patient] no way", "rash", "current"),
    ("Any rash? No, but there was one on Monday.", "rash", "current"),
    ("Grade 0 rash, Grade 2 diarrhea", "diarrhea", "current"),
    ("Side effects may include colitis.", "colitis", "hypothetical"),
    ("We discussed side effects such as colitis.", "colitis", "hypothetical"),
    ("Adverse events included grade 3 colitis.", "colitis", "current"),
    ("Call if temp > 38.0 C. Seizure today.", "seizure", "current"),
]


@pytest.mark.parametrize("note, name, status", ANSWERS)
def test_answers_of_a_form(note, name, status):
    assert [f.status for f in read(Case(text=note)) if f.name == name][-1] == status


ROWS = [  # note, analyte, current values
    ("ALT 980 H", "alt", {"980"}),
    ("Platelets 7 L", "platelets", {"7"}),
    ("Sodium 112 L 135-145", "sodium", {"112"}),
    ("ALT\t0-41\tU/L\t640\tH", "alt", {"640"}),
    ("640\tU/L\tALT\t0-41", "alt", {"640"}),
    ("ALT <5 U/L (7-56)", "alt", {"5"}),
    ("ALT trend 33 / 410 / 980", "alt", {"33", "410", "980"}),
    ("ALT trend: 12/05 33, 12/12 410, 12/19 980", "alt", {"980"}),
    ("|Test|Result|Previous|\n|ALT|640|33|", "alt", {"640"}),
    ("|Test|Value 1|Value 2|\n|ALT|33|640|", "alt", {"33", "640"}),
    ("|Date|ALT|\n|2026-05-15|640|\n|2026-05-01|33|", "alt", {"640"}),
    ("Test      05/06  06/06\nALT       640    33", "alt", {"33"}),
    ("Code\tTest\tResult\n83036\tALT\t\n", "alt", set()),
    ("Glucose 2 h post meal 180 mg/dL", "glucose", {"180"}),
    ("ALT(U/L) 980", "alt", {"980"}),
    ("ALT..........980 H", "alt", {"980"}),
    ("Bilirubin, Total 5.2 H mg/dL 0.2-1.2", "bilirubin", {"5.2"}),
    ("Neutrophils Absolute 0.3 L 10*3/uL 1.8-7.7", "anc", {"0.3"}),
    ("Glucose 540 H mg/dL 2 h post meal", "glucose", {"540"}),
    ("INR\t2.4\tH\t0.9 - 1.1", "inr", {"2.4"}),
    ("BP 120/80, PT/INR 14/1.2", "inr", set()),
]


@pytest.mark.parametrize("note, name, values", ROWS)
def test_rows_are_records(note, name, values):
    found = [f for f in read(Case(text=note)) if f.name == name and f.status == "current" and f.high is not None]
    assert {f.high for f in found} == {Decimal(value) for value in values}


def test_a_troponin_without_a_unit_is_graded_by_its_printed_range():
    (finding,) = [f for f in read(Case(text="Troponin T 0.85 H 0.00 - 0.01")) if f.name == "troponin_t"]
    assert finding.times_uln == 85
    assert finding.low is None
    assert finding.flag == "high"


@pytest.mark.parametrize(
    "dates, last",
    [
        (["12/05", "12/12", "12/19"], 2),
        (["19/12", "05/12"], 0),
        (["2026-05-15", "2026-05-01"], 0),
        (["05/06", "06/05"], None),
        (["3 may 2026", "1 june 2026"], 1),
    ],
)
def test_order_of_dates(dates, last):
    days = order(dates)
    assert (days.index(max(days)) if days else None) == last


def test_order_of_sections_and_items_changes_nothing():
    parts = [
        "Seizures: No",
        "[ ] colitis",
        "PMH: asthma",
        "ALT\t640\tH\t7-56",
        "Return precautions: rash",
        "Nivolumab cycle 4",
    ]
    first = review(Case(text="\n".join(parts))).final
    for k in range(1, len(parts)):
        assert review(Case(text="\n".join(parts[k:] + parts[:k]))).final == first


LABS = [  # name as printed, analyte, value, unit, ranges
    ("ALT", "alt", "640", "U/L", ("7-56", "7 - 56", "(7-56)", "<56", "[7-56]")),
    ("AST (SGOT)", "ast", "1120", "U/L", ("10-40", "ref 10-40")),
    ("Potassium", "potassium", "6.9", "mmol/L", ("3.5-5.1", "(3.5 - 5.1)")),
    ("Creatinine, Serum", "creatinine", "5.6", "mg/dL", ("0.7-1.3", "(0.70 - 1.30)")),
    ("Platelets", "platelets", "7", "x10^9/L", ("150-400",)),
    ("Troponin T", "troponin_t", "850", "ng/L", ("<14", "0-14")),
]
FLAGS = ("H", "L", "(H)", "HH", "*", "**", "↑", "H*", "Critical", "")


@pytest.mark.parametrize("separator", ["\t", " | ", "   "])
def test_cells_of_a_row_in_any_order(separator):
    rng = random.Random(0)
    for _ in range(150):
        name, analyte, value, unit, ranges = rng.choice(LABS)
        cells = [name, *filter(None, (value, unit, rng.choice(ranges), rng.choice(FLAGS)))]
        rng.shuffle(cells)
        note = f"Nivolumab.\n{separator.join(cells)}\nFeels tired."
        found = [f for f in read(Case(text=note)) if f.name == analyte and f.status == "current"]
        assert [f.value for f in found] == [value], note


DATES = ["{d:02}.{m:02}.2026", "2026-{m:02}-{d:02}", "{d} {name} 2026", "{m}/{d}"]


@pytest.mark.parametrize("style", ["pipes", "tabs", "spaces", "html"])
@pytest.mark.parametrize("written", DATES)
def test_columns_by_date_count_from_the_newest(style, written):
    rng = random.Random(1)
    months = {3: "mar", 4: "apr", 5: "may"}
    for _ in range(20):
        days = [(3, 17), (4, 14), (5, 22)]
        values = [str(rng.randrange(30, 1200)) for _ in days]
        columns = list(zip(days, values, strict=True))
        rng.shuffle(columns)
        dates = [written.format(m=m, d=d, name=months[m]) for (m, d), _ in columns]
        rows = [["Test", *dates], ["ALT", *(value for _, value in columns)], ["AST", *("20" for _ in columns)]]
        if style == "html":
            note = "".join("<tr>" + "".join(f"<td>{cell}</td>\n" for cell in row) + "</tr>" for row in rows)
        elif style == "spaces":
            note = "\n".join("".join(cell.ljust(14) for cell in row) for row in rows)
        else:
            note = "\n".join((" | " if style == "pipes" else "\t").join(row) for row in rows)
        found = [f.value for f in read(Case(text=f"Nivolumab.\n{note}")) if f.name == "alt" and f.status == "current"]
        assert found == [values[2]], note
