"""Grades and diagnoses stated in the note, with the minimum each diagnosis means, and loss of self-care."""

from __future__ import annotations

import re

from ...schemas import Finding, System, Urgency
from ..chart import Chart
from ..lexicon import DIAGNOSES as _FILE
from .base import CTCAE, POLICY, ROUTINE, SOON, URGENCY_BY_GRADE, URGENT, advise, raise_to, rule
from .gut_liver import is_asymptomatic

DIAGNOSES = {
    name: (System(row["system"]), row["grade"], Urgency(row["urgency"]), row["scale"])
    for name, row in _FILE["rows"].items()
}
_PASSING = {  # symptoms that raise nothing if only named, with other symptoms of the same organ
    name: tuple(o for o, other in _FILE["rows"].items() if other["system"] == row["system"] and o != name)
    for name, row in _FILE["rows"].items()
    if row.get("passing")
}
_PASSING["dry_eyes"] += ("dry_mouth",)  # dry eyes and mouth together are a sicca syndrome
_PASSING["dry_mouth"] += ("dry_eyes",)
_JOINTS = ("arthralgia", "arthritis")
_NERVE_SPREADS = (
    "guillain_barre",
    "immobile",
    "facial_weakness",
    "dysphagia",
    "myasthenia",
    "myelitis",
    "sphincter_disturbance",
)
_NERVE_NAMED = re.compile(r"immun|poly|neuropath")
_WIDE = re.compile(
    r"both|bilateral|all over|everywhere|generali|small|poly|symmetr|joints|hands|wrists|knees|ankles|shoulders|hips|thighs|"
    r"legs|arms|limbs|fingers|feet|girdle|body|immun|inflammat"
)
_JOINT_DISEASE = re.compile(r"arthri|arthralg|synovit|arthrop|both|bilateral|joints|small")
_JOINT = re.compile(
    r"\b(?:knee|ankle|wrist|elbow|shoulder|hip|toe|finger|thumb|hand|foot)(?!s)\b|\b(?:knees|ankles|wrists|elbows|shoulders|hips|fingers|hands)\b"
)
GRADED_SYSTEM = {name: row[0] for name, row in DIAGNOSES.items()} | {
    name: System(system) if system else None for name, system in _FILE["graded"].items()
}


@rule("X06", "stated grade", source="the note's author", cites="the note's author", basis="the note")
def stated(chart: Chart):
    """A grade the note itself states."""
    for mention in chart.all("stated grade"):
        if mention.name in GRADED_SYSTEM:
            grade, system = int(mention.value), GRADED_SYSTEM[mention.name]
            reason = f"the note states Grade {grade}"
            urgency = SOON if grade == 3 and is_asymptomatic(chart, mention.name) else URGENCY_BY_GRADE[grade]
            yield raise_to(grade, urgency, system, mention, reason, scale="as stated")


@rule("X07", *DIAGNOSES, source=f"{CTCAE}; {POLICY} (diagnoses.json)", basis="CTCAE, ASCO, policy")
def named(chart: Chart):
    """A named diagnosis, or a symptom that is more than named in passing, with the least it means on an inhibitor."""
    for name, (system, grade, urgency, scale) in DIAGNOSES.items():
        mentions = [mention for mention in chart.all(name) if mention.kind not in ("grade", "lab")]
        if not mentions:
            continue
        mention = max(mentions, key=_grade_in_words)
        if name in _PASSING and all(_in_passing(f) for f in mentions):
            if not any(chart.any(other) for other in _PASSING[name]):
                continue
        if name in _JOINTS and _is_one_joint(chart):
            continue
        if _is_mechanical(chart, name, mentions):
            continue
        if scale and mention.severity:
            grade = min(1, grade) if mention.severity == "mild" else max(grade, _grade_in_words(mention))
        if name == "colitis" and mention.certainty == "suspected" and grade == 1:
            urgency = ROUTINE
        words = f" as {mention.severity}" if mention.severity else ""
        reason = f"{name.replace('_', ' ')} is named{words}"
        yield raise_to(grade, max(urgency, URGENCY_BY_GRADE[grade]), system, mention, reason)


def _is_mechanical(chart: Chart, name: str, mentions: list[Finding]) -> bool:
    """Whether an injury, worn joints or a compressed nerve explains a local complaint.

    A compressed nerve explains numbness, unless strength or the face is affected; an injury explains a sore limb or
    joint, unless both sides or many joints are affected.
    """
    if name == "neuropathy":
        plain = all(
            f.kind == "symptom" and f.severity in ("", "mild") and not _NERVE_NAMED.search(f.quote.lower())
            for f in mentions
        )
        return plain and _has(chart, "nerve_compression") and not chart.any(*_NERVE_SPREADS)
    if name not in (*_JOINTS, "myalgia") or not _has(chart, "injury", "osteoarthritis", "nerve_compression"):
        return False
    return not any(_WIDE.search(f.quote.lower()) for f in mentions)


def _has(chart: Chart, *names: str) -> bool:
    """Whether one of these is current or in the history."""
    return chart.any(*names) is not None or chart.past(*names) is not None


def _is_one_joint(chart: Chart) -> bool:
    """Whether the note mentions a single painful or swollen joint, which has many causes, and names no arthritis."""
    quotes = [f.quote.lower() for name in _JOINTS for f in chart.all(name) if f.kind != "grade"]
    if any(_JOINT_DISEASE.search(quote) for quote in quotes):
        return False
    return len({match for quote in quotes for match in _JOINT.findall(quote)}) == 1


def _in_passing(mention: Finding) -> bool:
    """Whether a symptom is only named, without severity or onset."""
    return mention.kind == "symptom" and not mention.severity and mention.when != "onset"


def _grade_in_words(mention: Finding) -> int:
    return {"mild": 1, "moderate": 2, "severe": 3}.get(mention.severity, 0)


_NERVE = ("guillain_barre", "myasthenia", "encephalitis", "demyelination", "myelitis", "neuropathy", "ptosis")
_MUSCLE = ("rhabdomyolysis", "myalgia", "myositis", "weakness", "general_weakness", "arthritis", "morning_stiffness")
_INPATIENT = ("gastritis", "thyroid_storm", "new_diabetes", "hypophysitis", "adrenal_insufficiency")


@rule(
    "X08",
    "immobile",
    "self_care",
    "hospitalized",
    "unable_oral",
    source=f"{CTCAE}: limiting self-care, hospitalization indicated",
)
def level_of_care(chart: Chart):
    """Self-care lost, or hospital care, for a named toxicity: Grade 3."""
    nerve, muscle = chart.any(*_NERVE), chart.any(*_MUSCLE)
    if nerve and _is_mechanical(chart, nerve.name, [nerve]):
        nerve = None
    if muscle and not nerve and _is_mechanical(chart, muscle.name, [muscle]):
        muscle = None
    if (immobile := chart.any("immobile", "self_care")) and (nerve or muscle):
        limb = (
            not nerve
            and muscle.name == "weakness"
            and not chart.any("myalgia", "rhabdomyolysis", "myositis", "arthritis")
        )
        system = System.NEUROLOGIC if nerve or limb else System.MUSCULOSKELETAL
        yield raise_to(3, URGENT, system, immobile, "self-care is lost: Grade 3")
    care, toxicity = chart.any("hospitalized", "unable_oral"), chart.any(*_INPATIENT)
    bowel = chart.any("colitis") or chart.any("diarrhea") if chart.any("hospitalized") else None
    if bowel and chart.any("hematochezia", "nocturnal_stool", "dehydration", "methylprednisolone", "infliximab"):
        yield raise_to(
            3, URGENT, System.GASTROINTESTINAL, chart.any("hospitalized"), "in hospital with colitis: Grade 3"
        )
    if care and toxicity and chart.severe("vomiting", "nausea", "headache", "fatigue", "anorexia"):
        reason = f"in hospital with {toxicity.name.replace('_', ' ')}: Grade 3"
        yield raise_to(3, URGENT, GRADED_SYSTEM.get(toxicity.name), care, reason)


_LIMB = ("neuropathy", "weakness", "myalgia", "myositis", "arthralgia", "arthritis")


@rule("X10", "instrumental_adl", source=f"{CTCAE}: limiting instrumental activities of daily living")
def instrumental(chart: Chart):
    """Driving, shopping or housework lost to a toxicity of nerve, muscle or joint: Grade 2."""
    limit, toxicity = chart.any("instrumental_adl"), chart.any(*_LIMB)
    if limit and toxicity:
        system = System.NEUROLOGIC if toxicity.name == "neuropathy" else System.MUSCULOSKELETAL
        yield raise_to(2, SOON, system, limit, "instrumental activities are limited: Grade 2")


_RIVALS = ("infection", "biliary_obstruction", "radiation_pneumonitis", "viral_hepatitis", "septic_arthritis")


@rule("X09", *_RIVALS, source=POLICY)
def rival(chart: Chart):
    """Another cause is named: infection, obstruction, radiation."""
    if cause := chart.any(*_RIVALS):
        yield advise(cause, "A rival cause is named in the note: floors stand, causality needs a clinician.")
