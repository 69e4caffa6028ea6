"""What the note calls by name: stated grades, named diagnoses with the least they mean, lost self-care."""

from __future__ import annotations

from ...schemas import Finding, System, Urgency
from ..chart import Chart
from ..lexicon import DIAGNOSES as _FILE
from .base import CTCAE, POLICY, SOON, URGENT, Advice, Floor, rule

DIAGNOSES = {
    name: (System(row["system"]), row["grade"], Urgency(row["urgency"]), row["scale"])
    for name, row in _FILE["rows"].items()
}
GRADED_SYSTEM = {name: row[0] for name, row in DIAGNOSES.items()} | {
    name: System(system) if system else None for name, system in _FILE["graded"].items()
}
_WORD = {"mild": 1, "moderate": 2, "severe": 3}
_BY_GRADE = {1: Urgency.ROUTINE, 2: SOON, 3: URGENT, 4: Urgency.EMERGENCY}


@rule("X06", "A grade the note itself states", "stated grade", basis="the note", source="the note's author")
def stated(chart: Chart):
    for f in chart.all("stated grade"):
        if f.name in GRADED_SYSTEM:
            grade = int(f.value)
            yield Floor(
                "X06",
                f"the note states Grade {grade}",
                f,
                grade,
                _BY_GRADE[grade],
                GRADED_SYSTEM[f.name],
                "the note's author",
                "as stated",
            )


@rule(
    "X07",
    "A named diagnosis or symptom, with the least it means on a checkpoint inhibitor",
    *DIAGNOSES,
    basis="CTCAE, ASCO, policy",
    source=f"{CTCAE}; {POLICY} (diagnoses.json)",
)
def named(chart: Chart):
    for name, (system, least, urgency, scale) in DIAGNOSES.items():
        found = [f for f in chart.all(name) if f.kind not in ("grade", "lab")]
        if not found:
            continue
        f = max(found, key=_severity)
        grade = least
        if scale and f.severity:
            grade = min(_WORD[f.severity], least) if f.severity == "mild" else max(least, _WORD[f.severity])
        if f.certainty == "suspected" and name == "colitis" and grade == 1:
            urgency = Urgency.ROUTINE
        yield Floor(
            "X07",
            f"{name.replace('_', ' ')} is named{' as ' + f.severity if f.severity else ''}",
            f,
            grade,
            max(urgency, _BY_GRADE.get(grade, urgency)) if grade >= 2 else urgency,
            system,
        )


def _severity(f: Finding) -> int:
    return _WORD.get(f.severity, 0)


@rule(
    "X08",
    "Self-care lost, or hospital care, for a named toxicity: Grade 3",
    "immobile",
    "hospitalized",
    "unable_oral",
    basis="CTCAE",
    source=f"{CTCAE}: limiting self-care, hospitalization indicated",
)
def level_of_care(chart: Chart):
    if f := chart.any("immobile"):
        nerve = chart.any("guillain_barre", "myasthenia", "encephalitis", "demyelination", "neuropathy", "ptosis")
        muscle = chart.any("rhabdomyolysis", "myalgia", "myositis", "weakness", "general_weakness", "arthritis")
        if nerve or muscle:
            limb = not nerve and muscle.name == "weakness" and not chart.any("myalgia", "rhabdomyolysis", "myositis")
            system = System.NEUROLOGIC if nerve or limb else System.MUSCULOSKELETAL
            yield Floor("X08", "self-care is lost: Grade 3", f, 3, URGENT, system)
    if f := chart.any("hospitalized", "unable_oral"):
        cause = chart.any("gastritis", "thyroid_storm", "new_diabetes", "hypophysitis", "adrenal_insufficiency")
        if cause and chart.severe("vomiting", "nausea", "headache", "fatigue", "anorexia"):
            yield Floor(
                "X08",
                f"in hospital with {cause.name.replace('_', ' ')}: Grade 3",
                f,
                3,
                URGENT,
                GRADED_SYSTEM.get(cause.name),
            )


@rule(
    "X09",
    "Another cause is named: infection, obstruction, radiation",
    "infection",
    "biliary_obstruction",
    "radiation_pneumonitis",
    "viral_hepatitis",
    "septic_arthritis",
    basis="policy",
    source=POLICY,
)
def rival(chart: Chart):
    if f := chart.any(
        "infection", "biliary_obstruction", "radiation_pneumonitis", "viral_hepatitis", "septic_arthritis"
    ):
        yield Advice("X09", "A rival cause is named in the note: floors stand, causality needs a clinician.", f)
