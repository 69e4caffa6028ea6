"""F01-F11 and F44: bowel, liver and pancreas."""

from __future__ import annotations

from decimal import Decimal

from ...schemas import Finding, System
from ..chart import Chart
from .base import ASCO, CTCAE, EMERGENCY, LABEL, POLICY, SOON, URGENT, Advice, Floor, rule
from .graded_values import graded, worst

GI, LIVER = System.GASTROINTESTINAL, System.HEPATIC
STOOLS = "stools_over_baseline"
ENZYMES = ("alt", "ast", "transaminases")
_INFECTION = "Exclude infection (stool culture, C. difficile) before immunosuppression; no loperamide until then."


def _times(chart: Chart, *analytes: str) -> tuple[Decimal, Finding] | None:
    found = [
        (f.times_uln, f) for name in analytes for f in chart.all(name) if f.kind == "lab" and f.times_uln is not None
    ]
    return max(found, key=lambda pair: pair[0]) if found else None


@rule("F01", "7 or more stools a day over baseline", STOOLS, basis="CTCAE, ASCO", source=f"{CTCAE}, Diarrhea; {ASCO}")
def seven_stools(chart: Chart):
    f = chart.highest(STOOLS)
    if f and f.high >= 7:
        yield Floor("F01", f"{f.high} stools a day over baseline{_assumed(f)}: 7 or more is Grade 3", f, 3, URGENT, GI)
        yield Advice("F01", _INFECTION, f)


@rule("F02", "4 to 6 stools a day over baseline", STOOLS, basis="CTCAE, ASCO", source=f"{CTCAE}, Diarrhea; {ASCO}")
def four_stools(chart: Chart):
    f = chart.highest(STOOLS)
    if f and 4 <= f.high < 7:
        yield Floor("F02", f"{f.high} stools a day over baseline{_assumed(f)}: 4-6 is Grade 2", f, 2, SOON, GI)
        yield Advice("F02", _INFECTION, f)
        if masked := chart.any("loperamide", "imodium"):
            yield Advice("F02", "Stools are counted on loperamide: the true number may be higher.", masked)


def _assumed(f: Finding) -> str:
    return " (baseline not stated, 1 a day assumed)" if f.flag else ""


@rule(
    "F03",
    "Blood or mucus in the stool with a colitis picture",
    "hematochezia",
    basis="CTCAE",
    source=f"{CTCAE}, Colitis",
)
def blood(chart: Chart):
    f = chart.any("hematochezia")
    picture = chart.any("diarrhea", "colitis", "abdominal_pain", "tenesmus", "stools") or chart.all("stools")
    if f and picture:
        yield Floor("F03", "blood or mucus in the stool: colitis Grade 2", f, 2, SOON, GI)


@rule(
    "F04",
    "Severe abdominal pain, peritoneal signs, perforation or megacolon",
    "abdominal_pain",
    "peritonitis",
    "perforation",
    "megacolon",
    basis="CTCAE, policy",
    source=f"{CTCAE}, Colitis; {POLICY}",
)
def acute_abdomen(chart: Chart):
    if f := chart.any("perforation", "megacolon", "peritonitis"):
        grade = 4 if f.name == "perforation" and chart.hypotensive() else 3
        yield Floor("F04", "peritoneal signs, perforation or megacolon", f, grade, EMERGENCY, GI)
        yield Advice("F04", "CT abdomen and surgical review now.", f)
    elif f := chart.severe("abdominal_pain"):
        yield Floor("F04", "severe abdominal pain: colitis Grade 3", f, 3, URGENT, GI)
        yield Advice("F04", "Severe abdominal pain: exclude perforation and toxic megacolon (CT).", f)


def _enzymes(chart: Chart, rule_id: str, level: int, urgency):
    found = worst(chart, *ENZYMES)
    if found and found[0].grade == level:
        result, f = found
        yield Floor(rule_id, f"{_name(f)} {result.reason}: Grade {level}", f, level, urgency, LIVER, result.source)
        if f.baseline is None and chart.past("liver_metastases") or chart.any("liver_metastases"):
            yield Advice(rule_id, "Liver metastases are mentioned and no baseline is given: graded on the ULN.", f)
        if level >= 2 and not chart.all("ck"):
            yield Advice(rule_id, "Check CK: an isolated AST/ALT rise can be myositis.", f)


def _name(f: Finding) -> str:
    return f.name.upper() if len(f.name) <= 4 else f.name


@rule(
    "F05",
    "ALT or AST above 3 and up to 5 times ULN (or abnormal baseline)",
    *ENZYMES,
    basis="CTCAE, ASCO",
    source=f"{CTCAE}, ALT/AST increased; {ASCO}",
)
def enzymes_2(chart: Chart):
    yield from _enzymes(chart, "F05", 2, SOON)


@rule(
    "F06",
    "ALT or AST above 5 and up to 20 times ULN (or abnormal baseline)",
    *ENZYMES,
    basis="CTCAE, ASCO",
    source=f"{CTCAE}, ALT/AST increased; {ASCO}",
)
def enzymes_3(chart: Chart):
    yield from _enzymes(chart, "F06", 3, URGENT)


@rule(
    "F07",
    "ALT or AST above 20 times, or bilirubin above 10 times ULN",
    *ENZYMES,
    "bilirubin",
    basis="CTCAE, ASCO",
    source=f"{CTCAE}, ALT/AST and blood bilirubin increased; {ASCO}",
)
def enzymes_4(chart: Chart):
    yield from _enzymes(chart, "F07", 4, EMERGENCY)
    found = worst(chart, "bilirubin")
    if found and found[0].grade == 4:
        yield Floor("F07", f"bilirubin {found[0].reason}: Grade 4", found[1], 4, EMERGENCY, LIVER, found[0].source)


@rule(
    "F08",
    "Bilirubin above 1.5 (Grade 2) or above 3 times ULN (Grade 3); ALP and GGT by their rows",
    "bilirubin",
    "alp",
    "ggt",
    basis="CTCAE, ASCO",
    source=f"{CTCAE}, blood bilirubin increased; {ASCO}",
)
def bilirubin(chart: Chart):
    found = worst(chart, "bilirubin", "alp", "ggt")
    if found and found[0].grade in (2, 3):
        result, f = found
        urgency = URGENT if result.grade == 3 and f.name == "bilirubin" else SOON
        yield Floor(
            "F08", f"{_name(f)} {result.reason}: Grade {result.grade}", f, result.grade, urgency, LIVER, result.source
        )


@rule(
    "F09",
    "Hy's pattern: ALT or AST 3x or more, bilirubin above 2x, ALP below 2x ULN, no obstruction",
    *ENZYMES,
    basis="CTCAE, policy",
    source=f"{CTCAE}, Hepatic failure (definition of DILI); {POLICY}",
)
def hys_law(chart: Chart):
    enzymes, bili, alp = _times(chart, *ENZYMES), _times(chart, "bilirubin"), _times(chart, "alp")
    if not (enzymes and bili) or enzymes[0] < 3 or bili[0] <= 2 or (alp and alp[0] >= 2):
        return
    if chart.any("biliary_obstruction"):
        return
    yield Floor("F09", "Hy's pattern: hepatocellular injury with bilirubin above 2x ULN", bili[1], 3, URGENT, LIVER)


@rule(
    "F10",
    "AST/ALT above 5x ULN with INR 1.5 or more (no anticoagulant), encephalopathy or ascites",
    *ENZYMES,
    basis="ASCO, policy",
    source=f"{ASCO}, hepatitis Grade 4; {POLICY}",
)
def liver_failure(chart: Chart):
    enzymes = _times(chart, *ENZYMES)
    if not enzymes or enzymes[0] <= 5:
        return
    f = chart.any("encephalopathy", "ascites", "coagulopathy") or chart.any("confusion")
    inr = chart.highest("inr")
    anticoagulated = chart.any("anticoagulants") or chart.all("anticoagulants")
    if f is None and inr is not None and inr.high >= Decimal("1.5"):
        if anticoagulated:
            yield Advice("F10", "INR cannot be judged on an anticoagulant.", inr)
            return
        f = inr
    if f is not None:
        yield Floor(
            "F10", "AST/ALT above 5x ULN with failing liver function", f, 4, EMERGENCY, LIVER, ASCO, "ASCO 2021"
        )


@rule(
    "F11",
    "AST/ALT above 8x or bilirubin above 3x ULN: consider inpatient care",
    *ENZYMES,
    "bilirubin",
    basis="ASCO, label",
    source=f"{ASCO}; {LABEL}",
)
def inpatient_liver(chart: Chart):
    enzymes, bili = _times(chart, *ENZYMES), _times(chart, "bilirubin")
    f = enzymes[1] if enzymes and enzymes[0] > 8 else bili[1] if bili and bili[0] > 3 else None
    if f is not None:
        yield Floor("F11", "AST/ALT above 8x or bilirubin above 3x ULN", f, 0, URGENT, LIVER, f"{ASCO}; {LABEL}")
        yield Advice("F11", "Consider admission; no infliximab in immune hepatitis.", f)


_ASYMPTOMATIC = {
    "lipase": ("abdominal_pain", "vomiting", "nausea", "pancreatitis"),
    "amylase": ("abdominal_pain", "vomiting", "nausea", "pancreatitis"),
    "ck": ("weakness", "general_weakness", "myalgia", "myositis", "rhabdomyolysis", "immobile"),
    "lymphocytes": (),
}
_SYSTEM = {"lipase": GI, "amylase": GI, "ck": System.MUSCULOSKELETAL, "lymphocytes": System.HEMATOLOGIC}


@rule(
    "F44",
    "Asymptomatic lipase, amylase, CK or lymphocytes at Grade 3: soon, not urgent",
    *_ASYMPTOMATIC,
    basis="CTCAE, policy",
    source=f"{CTCAE}; {POLICY}: over-triage exception",
)
def asymptomatic_value(chart: Chart):
    for name, symptoms in _ASYMPTOMATIC.items():
        found = worst(chart, name)
        if not found or found[0].grade < 3:
            continue
        result, f = found
        symptom = chart.any(*symptoms) if symptoms else None
        if symptom is not None and name in ("lipase", "amylase"):
            result = graded(f, symptomatic=True) or result
            urgency = EMERGENCY if result.grade == 4 else URGENT
            yield Floor(
                "F44", f"{name} {result.reason}: Grade {result.grade}", f, result.grade, urgency, GI, result.source
            )
        elif symptom is None and not (name == "ck" and chart.troponin()):
            yield Floor(
                "F44", f"{name} {result.reason}, no symptoms: Grade 3", f, 3, SOON, _SYSTEM[name], result.source
            )
            if name == "ck":
                yield Advice("F44", "CK: ask about exercise and statins; check strength and troponin.", f)
