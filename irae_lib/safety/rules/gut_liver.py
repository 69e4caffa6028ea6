"""F01-F11 and F44: bowel, liver and pancreas."""

from __future__ import annotations

from decimal import Decimal

from ...schemas import Finding, System
from ..chart import Chart
from .base import ASCO, CTCAE, EMERGENCY, LABEL, POLICY, SOON, URGENT, advise, raise_to, rule
from .graded_values import grade_value, highest_times_uln, worst_value

GI, LIVER = System.GASTROINTESTINAL, System.HEPATIC
STOOLS = "stools_over_baseline"
ENZYMES = ("alt", "ast", "transaminases")
_INFECTION = "Exclude infection (stool culture, C. difficile) before immunosuppression; no loperamide until then."


@rule("F01", STOOLS, source=f"{CTCAE}, Diarrhea; {ASCO}")
def seven_stools(chart: Chart):
    """7 or more stools a day over baseline."""
    stools = chart.highest(STOOLS)
    if stools and stools.high >= 7:
        yield raise_to(3, URGENT, GI, stools, f"{_stools_a_day(stools)}: 7 or more is Grade 3")
        yield advise(stools, _INFECTION)


@rule("F02", STOOLS, source=f"{CTCAE}, Diarrhea; {ASCO}")
def four_stools(chart: Chart):
    """4 to 6 stools a day over baseline."""
    stools = chart.highest(STOOLS)
    if stools and 4 <= stools.high < 7:
        yield raise_to(2, SOON, GI, stools, f"{_stools_a_day(stools)}: 4-6 is Grade 2")
        yield advise(stools, _INFECTION)
        if masked := chart.any("loperamide", "imodium"):
            yield advise(masked, "Stools are counted on loperamide: the true number may be higher.")


def _stools_a_day(stools: Finding) -> str:
    assumed = " (baseline not stated, 1 a day assumed)" if stools.flag else ""
    return f"{stools.high} stools a day over baseline{assumed}"


@rule("F03", "hematochezia", "mucus_stool", source=f"{CTCAE}, Colitis")
def blood(chart: Chart):
    """Blood or mucus in the stool with a colitis picture."""
    bleeding = chart.any("hematochezia", "mucus_stool")
    picture = chart.any("diarrhea", "colitis", "abdominal_pain", "tenesmus", "stools") or chart.all("stools")
    if bleeding and picture:
        yield raise_to(2, SOON, GI, bleeding, "blood or mucus in the stool: colitis Grade 2")


@rule("F04", "abdominal_pain", "peritonitis", "perforation", "megacolon", source=f"{CTCAE}, Colitis; {POLICY}")
def acute_abdomen(chart: Chart):
    """Severe abdominal pain, peritoneal signs, perforation (Grade 4 with peritonitis or shock) or megacolon."""
    if sign := chart.any("perforation", "megacolon", "peritonitis"):
        worse = chart.hypotensive() or chart.any("peritonitis")
        grade = 4 if sign.name == "perforation" and worse else 3
        yield raise_to(grade, EMERGENCY, GI, sign, "peritoneal signs, perforation or megacolon")
        yield advise(sign, "CT abdomen and surgical review now.")
    elif pain := chart.severe("abdominal_pain"):
        yield raise_to(3, URGENT, GI, pain, "severe abdominal pain: colitis Grade 3")
        yield advise(pain, "Severe abdominal pain: exclude perforation and toxic megacolon (CT).")


def _enzymes(chart: Chart, grade: int):
    value = worst_value(chart, *ENZYMES, grades=(grade,))
    if value:
        yield value.floor(LIVER, name=_label(value.finding))
        if value.finding.baseline is None and chart.past("liver_metastases") or chart.any("liver_metastases"):
            advice = "Liver metastases are mentioned and no baseline is given: graded on the ULN."
            yield advise(value.finding, advice)
        if not chart.all("ck"):
            yield advise(value.finding, "Check CK: an isolated AST/ALT rise can be myositis.")


def _label(lab: Finding) -> str:
    return lab.name.upper() if len(lab.name) <= 4 else lab.name


@rule("F05", *ENZYMES, source=f"{CTCAE}, ALT/AST increased; {ASCO}")
def enzymes_2(chart: Chart):
    """ALT or AST above 3 and up to 5 times ULN (or abnormal baseline)."""
    yield from _enzymes(chart, 2)


@rule("F06", *ENZYMES, source=f"{CTCAE}, ALT/AST increased; {ASCO}")
def enzymes_3(chart: Chart):
    """ALT or AST above 5 and up to 20 times ULN (or abnormal baseline)."""
    yield from _enzymes(chart, 3)


@rule("F07", *ENZYMES, "bilirubin", source=f"{CTCAE}, ALT/AST and blood bilirubin increased; {ASCO}")
def enzymes_4(chart: Chart):
    """ALT or AST above 20 times, or bilirubin above 10 times ULN."""
    yield from _enzymes(chart, 4)
    if value := worst_value(chart, "bilirubin", grades=(4,)):
        yield value.floor(LIVER)


@rule("F08", "bilirubin", "alp", "ggt", source=f"{CTCAE}, blood bilirubin increased; {ASCO}")
def bilirubin(chart: Chart):
    """Bilirubin above 1.5 (Grade 2) or above 3 times ULN (Grade 3); ALP and GGT by their rows."""
    if value := worst_value(chart, "bilirubin", "alp", "ggt", grades=(2, 3)):
        urgency = URGENT if value.grade == 3 and value.finding.name == "bilirubin" else SOON
        yield value.floor(LIVER, urgency, name=_label(value.finding))


@rule("F09", *ENZYMES, source=f"{CTCAE}, Hepatic failure (definition of DILI); {POLICY}")
def hys_law(chart: Chart):
    """Hy's pattern: ALT or AST 3x or more, bilirubin above 2x, ALP below 2x ULN, no obstruction."""
    enzyme, bili, alp = (highest_times_uln(chart, *names) for names in (ENZYMES, ("bilirubin",), ("alp",)))
    if not (enzyme and bili) or enzyme.times_uln < 3 or bili.times_uln <= 2 or (alp and alp.times_uln >= 2):
        return
    if not chart.any("biliary_obstruction"):
        reason = "Hy's pattern: hepatocellular injury with bilirubin above 2x ULN"
        yield raise_to(3, URGENT, LIVER, bili, reason)


@rule("F10", *ENZYMES, source=f"{ASCO}, hepatitis Grade 4; {POLICY}", cites=ASCO)
def liver_failure(chart: Chart):
    """AST/ALT above 5x ULN with INR 1.5 or more (no anticoagulant), encephalopathy or ascites."""
    enzyme = highest_times_uln(chart, *ENZYMES)
    if not enzyme or enzyme.times_uln <= 5:
        return
    sign, inr = chart.any("encephalopathy", "ascites", "coagulopathy", "confusion"), chart.highest("inr")
    if not sign and inr and inr.high >= Decimal("1.5"):
        if chart.all("anticoagulants"):
            yield advise(inr, "INR cannot be judged on an anticoagulant.")
            return
        sign = inr
    if sign:
        yield raise_to(4, EMERGENCY, LIVER, sign, "AST/ALT above 5x ULN with failing liver function")


@rule("F11", *ENZYMES, "bilirubin", source=f"{ASCO}; {LABEL}", cites=f"{ASCO}; {LABEL}")
def inpatient_liver(chart: Chart):
    """AST/ALT above 8x or bilirubin above 3x ULN: consider inpatient care."""
    enzyme, bili = highest_times_uln(chart, *ENZYMES), highest_times_uln(chart, "bilirubin")
    value = enzyme if enzyme and enzyme.times_uln > 8 else bili if bili and bili.times_uln > 3 else None
    if value:
        yield raise_to(0, URGENT, LIVER, value, "AST/ALT above 8x or bilirubin above 3x ULN")
        yield advise(value, "Consider admission; no infliximab in immune hepatitis.")


_PANCREATITIS = ("abdominal_pain", "vomiting", "nausea", "pancreatitis")
_WEAKNESS = ("weakness", "general_weakness", "myalgia", "myositis", "rhabdomyolysis", "immobile")
_ASYMPTOMATIC = {  # the symptoms of each value, and its organ system
    "lipase": (_PANCREATITIS, GI),
    "amylase": (_PANCREATITIS, GI),
    "ck": (_WEAKNESS, System.MUSCULOSKELETAL),
    "lymphocytes": ((), System.HEMATOLOGIC),
}


def is_asymptomatic(chart: Chart, name: str) -> bool:
    """Whether it is one of these values, and the note gives none of its symptoms."""
    if name not in _ASYMPTOMATIC or (name == "ck" and chart.troponin()):
        return False
    return not chart.any(*_ASYMPTOMATIC[name][0])


@rule("F44", *_ASYMPTOMATIC, source=f"{CTCAE}; {POLICY}: over-triage exception")
def asymptomatic_value(chart: Chart):
    """Asymptomatic lipase, amylase, CK or lymphocytes at Grade 3: soon, not urgent."""
    for name, (symptoms, system) in _ASYMPTOMATIC.items():
        value = worst_value(chart, name, grades=(3, 4))
        if not value:
            continue
        symptom = chart.any(*symptoms)
        if symptom and system is GI:
            yield (grade_value(value.finding, symptomatic=True) or value).floor(GI)
        elif not symptom and not (name == "ck" and chart.troponin()):
            reason = f"{name} {value.comparison}, no symptoms: Grade 3"
            yield raise_to(3, SOON, system, value.finding, reason, value.source)
            if name == "ck":
                yield advise(value.finding, "CK: ask about exercise and statins; check strength and troponin.")
