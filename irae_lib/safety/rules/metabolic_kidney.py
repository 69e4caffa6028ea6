"""F32-F34b, F38, X02 and X03: glucose, electrolytes, kidney, calcium, and values of Grade 1."""

from __future__ import annotations

from decimal import Decimal

from ...schemas import Finding, System, Urgency
from .. import ctcae
from ..chart import Chart
from .base import ADA, ASCO, CTCAE, CTCAE6, EMERGENCY, SOON, URGENT, Advice, Floor, rule
from .graded_values import worst

GLAND, KIDNEY = System.ENDOCRINE, System.RENAL


@rule(
    "F32",
    "Ketoacidosis: pH below 7.3 or bicarbonate below 18 with ketones or glucose 200 mg/dL or more",
    "dka",
    "ph",
    "bicarbonate",
    basis="ASCO, ADA; Grade 4 by CTCAE v6",
    source=f"{ADA}; {ASCO}; {CTCAE6}, Diabetes mellitus",
)
def ketoacidosis(chart: Chart):
    f = chart.any("dka")
    if f is None:
        f = chart.below("ph", Decimal("7.3")) or chart.below("bicarbonate", Decimal(18))
        ketones, glucose = chart.highest("ketones"), chart.highest("glucose")
        sweet = glucose is not None and glucose.high >= 200
        ketotic = (ketones is not None and ketones.high >= 3) or chart.any("urine_ketones") or chart.above("ketones")
        if f is None or not (sweet or ketotic):
            return
    yield Floor("F32", "ketoacidosis", f, 4, EMERGENCY, GLAND, f"{ADA}; {CTCAE6}", "CTCAE v6.0")


@rule(
    "F33",
    "Glucose above 500, above 250, or above 160 mg/dL (fasting) without known diabetes",
    "glucose",
    basis="ASCO, CTCAE v6",
    source=f"{ASCO}; {CTCAE6}, Hyperglycemia (v5 has no numbers)",
)
def glucose(chart: Chart):
    f = chart.highest("glucose")
    if f is None:
        return
    result = ctcae.grade("glucose", f.high, uln=Decimal(99), version="6.0")
    known = chart.past("diabetes", "new_diabetes") or chart.any("diabetes")
    explained = (known or chart.steroid()) and not chart.any("new_diabetes")
    fasting = "fasting" in f.quote.lower() or chart.any("new_diabetes", "polyuria", "polydipsia")
    if result.grade >= 3 and not explained or result.grade == 4 or result.grade == 2 and fasting and not explained:
        urgency = {2: SOON, 3: URGENT, 4: EMERGENCY}[result.grade]
        yield Floor(
            "F33", f"glucose {f.high:.0f} mg/dL", f, result.grade, urgency, GLAND, f"{ASCO}; {CTCAE6}", "CTCAE v6.0"
        )
        yield Advice(
            "F33", "Ketones, venous pH and C-peptide today; insulin-deficient diabetes does not answer to steroids.", f
        )
    elif result.grade >= 3:
        yield Advice("F33", "High glucose with known diabetes or on a steroid: check ketones.", f)


_SALTS = ("sodium", "potassium")


def _salt(chart: Chart, grade: int, rule_id: str, urgency):
    for name in _SALTS:
        found = worst(chart, name)
        if found and found[0].grade == grade:
            result, f = found
            system = (
                KIDNEY
                if name == "potassium"
                and f.high
                and f.high > 6
                and (w := worst(chart, "creatinine"))
                and w[0].grade >= 2
                else GLAND
            )
            yield Floor(rule_id, f"{name} {result.reason}: Grade {grade}", f, grade, urgency, system, result.source)
            yield Advice(rule_id, "Check morning cortisol: electrolytes may be the first sign of adrenal failure.", f)


@rule(
    "F34",
    "Sodium below 120, potassium above 7.0 or below 2.5 mmol/L",
    *_SALTS,
    basis="CTCAE",
    source=f"{CTCAE}, Hyponatremia, Hyperkalemia, Hypokalemia",
)
def salt_4(chart: Chart):
    yield from _salt(chart, 4, "F34", EMERGENCY)


@rule(
    "F34b",
    "Sodium 120-124 (125-129 with symptoms), potassium above 6.0 to 7.0 or 2.5 to below 3.0 mmol/L",
    *_SALTS,
    basis="CTCAE",
    source=f"{CTCAE}, Hyponatremia, Hyperkalemia, Hypokalemia",
)
def salt_3(chart: Chart):
    yield from _salt(chart, 3, "F34b", URGENT)
    f = chart.lowest("sodium")
    if f and 125 <= f.low < 130 and chart.any("confusion", "seizure", "vomiting", "headache"):
        yield Floor("F34b", "sodium 125-129 with symptoms: Grade 3", f, 3, URGENT, GLAND, f"{CTCAE}, Hyponatremia")


@rule(
    "F38",
    "Creatinine above 1.5x (Grade 2), 3x (Grade 3) or 6x ULN (Grade 4); multiples of baseline count",
    "creatinine",
    basis="CTCAE, ASCO",
    source=f"{CTCAE}, Creatinine increased; {ASCO} (KDIGO-like)",
)
def creatinine(chart: Chart):
    found = worst(chart, "creatinine")
    if not found or found[0].grade < 2:
        return
    result, f = found
    ratio = f.high / f.baseline if f.baseline and f.high else None
    asco = 0
    if ratio is not None and f.high:
        asco = 4 if ratio > 6 else 3 if ratio > 3 or f.high > 4 else 2 if ratio >= 2 else 1
    urgency = {2: URGENT if asco >= 2 else SOON, 3: URGENT, 4: EMERGENCY}[result.grade]
    also = f"; ASCO AKI grade {asco}" if asco else ""
    yield Floor(
        "F38",
        f"creatinine {result.reason}: Grade {result.grade}{also}",
        f,
        result.grade,
        urgency,
        KIDNEY,
        result.source,
    )
    yield Advice(
        "F38",
        "Urinalysis, protein/creatinine ratio, ultrasound; stop PPI, NSAID and contrast before calling it nephritis.",
        f,
    )


@rule(
    "X02",
    "Calcium, corrected for albumin, below 8.0 (Grade 2), 7.0 (Grade 3) or 6.0 mg/dL (Grade 4)",
    "calcium",
    basis="CTCAE",
    source=f"{CTCAE}, Hypocalcemia",
)
def calcium(chart: Chart):
    f = chart.lowest("calcium")
    if f is None or "corrected" in f.quote.lower() and f.low is None:
        return
    albumin = chart.lowest("albumin")
    corrected = f.low
    if albumin and albumin.low < 4 and "corrected" not in f.quote.lower():
        corrected = f.low + Decimal("0.8") * (4 - albumin.low)
    result = ctcae.grade("calcium", corrected, lln=f.lln or Decimal("8.5"))
    if result and result.grade >= 2:
        urgency = {2: SOON, 3: URGENT, 4: EMERGENCY}[result.grade]
        yield Floor(
            "X02",
            f"calcium {corrected:.1f} mg/dL corrected: Grade {result.grade}",
            f,
            result.grade,
            urgency,
            GLAND,
            result.source,
        )


_MILD = (
    "alt",
    "ast",
    "transaminases",
    "bilirubin",
    "alp",
    "ggt",
    "creatinine",
    "stools_over_baseline",
    "tsh",
    "platelets",
    "hemoglobin",
    "anc",
    "ck",
    "lipase",
    "amylase",
    "wbc",
    "lymphocytes",
)
_MILD_SYSTEM = {
    "ck": System.MUSCULOSKELETAL,
    "lipase": System.GASTROINTESTINAL,
    "amylase": System.GASTROINTESTINAL,
}


@rule(
    "X03",
    "Grade 1 or 2 values that no other rule names: enzymes, stools, TSH",
    *_MILD,
    basis="CTCAE",
    source=f"{CTCAE}",
)
def mild(chart: Chart):
    for name in ("alt", "ast", "transaminases", "bilirubin"):
        found = worst(chart, name)
        # A hair above a limit that nobody printed is noise; above a printed one, or 1.5x the default, it is Grade 1.
        if found and found[0].grade == 1 and _firm(found[1]):
            yield Floor(
                "X03", f"{name} {found[0].reason}: Grade 1", found[1], 1, system=System.HEPATIC, source=found[0].source
            )
    for name, system in _MILD_SYSTEM.items():
        found = worst(chart, name)
        if found and found[0].grade == 2:
            yield Floor("X03", f"{name} {found[0].reason}: Grade 2", found[1], 2, SOON, system, found[0].source)
    stools = chart.highest("stools_over_baseline")
    if stools and 0 < stools.high < 4 and (chart.any("diarrhea", "colitis") or not stools.flag):
        yield Floor(
            "X03", f"{stools.high} stools a day over baseline: Grade 1", stools, 1, system=System.GASTROINTESTINAL
        )
    tsh = chart.highest("tsh")
    if tsh and tsh.high > Decimal("4.5") and chart.above("tsh") and not chart.below("ft4"):
        grade, urgency = (2, SOON) if tsh.high > 10 else (1, Urgency.ROUTINE)
        yield Floor("X03", "raised TSH", tsh, grade, urgency, GLAND, f"{CTCAE}, Hypothyroidism; {ASCO}")


def _firm(f: Finding) -> bool:
    return f.uln is not None or f.flag == "high" or (f.times_uln is not None and f.times_uln >= Decimal("1.5"))
