"""F32-F34b, F38, X02 and X03: glucose, electrolytes, kidney, calcium, and values of Grade 1."""

from __future__ import annotations

from decimal import Decimal

from ...schemas import Finding, System
from .. import ctcae
from ..chart import Chart
from .base import ADA, ASCO, CTCAE, CTCAE6, EMERGENCY, ROUTINE, SOON, URGENCY_BY_GRADE, URGENT, advise, raise_to, rule
from .graded_values import worst_value

GLAND, KIDNEY, GI, LIVER = System.ENDOCRINE, System.RENAL, System.GASTROINTESTINAL, System.HEPATIC


@rule(
    "F32",
    "dka",
    "ph",
    "bicarbonate",
    source=f"{ADA}; {ASCO}; {CTCAE6}, Diabetes mellitus",
    cites=f"{ADA}; {CTCAE6}",
    basis="ASCO, ADA; Grade 4 by CTCAE v6",
)
def ketoacidosis(chart: Chart):
    """Ketoacidosis: pH below 7.3 or bicarbonate below 18 with ketones or glucose 200 mg/dL or more."""
    ketones, glucose = chart.highest("ketones"), chart.highest("glucose")
    ketotic = ketones and ketones.high >= 3 or chart.any("urine_ketones") or chart.above("ketones")
    sign = chart.any("dka")
    if not sign and (ketotic or glucose and glucose.high >= 200):
        sign = chart.below("ph", Decimal("7.3")) or chart.below("bicarbonate", Decimal(18))
    if sign:
        yield raise_to(4, EMERGENCY, GLAND, sign, "ketoacidosis")


@rule("F33", "glucose", source=f"{ASCO}; {CTCAE6}, Hyperglycemia (v5 has no numbers)", cites=f"{ASCO}; {CTCAE6}")
def glucose(chart: Chart):
    """Glucose above 500, above 250, or above 160 mg/dL (fasting) without known diabetes."""
    value = chart.highest("glucose")
    if not value:
        return
    grade = ctcae.grade("glucose", value.high, uln=Decimal(99), version="6.0").grade
    known = chart.past("diabetes", "new_diabetes") or chart.any("diabetes")
    explained = (known or chart.steroid()) and not chart.any("new_diabetes")
    fasting = "fasting" in value.quote.lower() or chart.any("new_diabetes", "polyuria", "polydipsia")
    if grade == 4 or not explained and (grade == 3 or grade == 2 and fasting):
        yield raise_to(grade, URGENCY_BY_GRADE[grade], GLAND, value, f"glucose {value.high:.0f} mg/dL")
        advice = "Ketones, venous pH and C-peptide today; insulin-deficient diabetes does not answer to steroids."
        yield advise(value, advice)
    elif grade == 3:
        yield advise(value, "High glucose with known diabetes or on a steroid: check ketones.")


_SALTS = ("sodium", "potassium")


def _salt(chart: Chart, grade: int):
    for name in _SALTS:
        if value := worst_value(chart, name, grades=(grade,)):
            high = name == "potassium" and value.finding.high and value.finding.high > 6
            yield value.floor(KIDNEY if high and worst_value(chart, "creatinine", grades=(2, 3, 4)) else GLAND)
            advice = "Check morning cortisol: electrolytes may be the first sign of adrenal failure."
            yield advise(value.finding, advice)


@rule("F34", *_SALTS, source=f"{CTCAE}, Hyponatremia, Hyperkalemia, Hypokalemia")
def salt_4(chart: Chart):
    """Sodium below 120, potassium above 7.0 or below 2.5 mmol/L."""
    yield from _salt(chart, 4)


@rule("F34b", *_SALTS, source=f"{CTCAE}, Hyponatremia, Hyperkalemia, Hypokalemia")
def salt_3(chart: Chart):
    """Sodium 120-124 (125-129 with symptoms), potassium above 6.0 to 7.0 or 2.5 to below 3.0 mmol/L."""
    yield from _salt(chart, 3)
    sodium = chart.lowest("sodium")
    if sodium and 125 <= sodium.low < 130 and chart.any("confusion", "seizure", "vomiting", "headache"):
        yield raise_to(3, URGENT, GLAND, sodium, "sodium 125-129 with symptoms: Grade 3", f"{CTCAE}, Hyponatremia")


@rule("F38", "creatinine", source=f"{CTCAE}, Creatinine increased; {ASCO} (KDIGO-like)")
def creatinine(chart: Chart):
    """Creatinine above 1.5x (Grade 2), 3x (Grade 3) or 6x ULN (Grade 4); multiples of baseline count."""
    value = worst_value(chart, "creatinine", grades=(2, 3, 4))
    if not value:
        return
    if chart.any("chronic_dialysis") or chart.past("chronic_dialysis"):
        yield advise(value.finding, "On dialysis for long: the creatinine grades nothing.")
        return
    level, baseline, asco = value.finding.high, value.finding.baseline, 0
    if level and baseline:
        ratio = level / baseline
        asco = 4 if ratio > 6 else 3 if ratio > 3 or level > 4 else 2 if ratio >= 2 else 1
    urgency = max(URGENCY_BY_GRADE[value.grade], URGENT if asco >= 2 else SOON)
    yield value.floor(KIDNEY, urgency, note=f"; ASCO AKI grade {asco}" if asco else "")
    advice = (
        "Urinalysis, protein/creatinine ratio, ultrasound; stop PPI, NSAID and contrast before calling it nephritis."
    )
    yield advise(value.finding, advice)


@rule("X11", "proteinuria", source=f"{CTCAE}, Proteinuria")
def proteinuria(chart: Chart):
    """Urine protein of 1.0 (Grade 2) or 3.5 g a day or more (Grade 3)."""
    if value := worst_value(chart, "proteinuria", grades=(2, 3)):
        yield value.floor(KIDNEY)


_CALCIUM_HIGH = ((Decimal("13.5"), 4), (Decimal("12.5"), 3), (Decimal("11.5"), 2))  # mg/dL corrected, CTCAE v5.0


@rule("X02", "calcium", source=f"{CTCAE}, Hypocalcemia and Hypercalcemia")
def calcium(chart: Chart):
    """Calcium, corrected for albumin, below 8.0, 7.0 or 6.0, or above 11.5, 12.5 or 13.5 mg/dL (Grades 2, 3, 4)."""
    value, albumin = chart.lowest("calcium"), chart.lowest("albumin")
    if not value:
        return
    corrected = value.low
    if albumin and albumin.low < 4 and "corrected" not in value.quote.lower():
        corrected += Decimal("0.8") * (4 - albumin.low)
    high = next((grade for bound, grade in _CALCIUM_HIGH if corrected > bound), 0)
    if high:  # more often due to the cancer than to the drug: no organ system
        reason = f"calcium {corrected:.1f} mg/dL corrected: Grade {high}"
        yield raise_to(high, URGENCY_BY_GRADE[high], None, value, reason, f"{CTCAE}, Hypercalcemia")
    result = ctcae.grade("calcium", corrected, lln=value.lln or Decimal("8.5"))
    if result.grade >= 2:
        reason = f"calcium {corrected:.1f} mg/dL corrected: Grade {result.grade}"
        yield raise_to(result.grade, URGENCY_BY_GRADE[result.grade], GLAND, value, reason, result.source)


_ENZYMES = ("alt", "ast", "transaminases", "bilirubin")
_MODERATE = {"ck": System.MUSCULOSKELETAL, "lipase": GI, "amylase": GI}
_COUNTS = ("platelets", "hemoglobin", "anc", "wbc", "lymphocytes")
_MILD = (*_ENZYMES, "alp", "ggt", "creatinine", "stools_over_baseline", "tsh", *_MODERATE, *_COUNTS)


@rule("X03", *_MILD, source=CTCAE)
def mild(chart: Chart):
    """Grade 1 or 2 values that no other rule names: enzymes, stools, TSH."""
    for name in _ENZYMES:
        value = worst_value(chart, name, grades=(1,))
        # Slightly above a default limit is noise; above a printed limit, or 1.5x the default, it is Grade 1.
        if value and _firm(value.finding):
            yield value.floor(LIVER)
    for name, system in _MODERATE.items():
        if value := worst_value(chart, name, grades=(2,)):
            yield value.floor(system)
    stools = chart.highest("stools_over_baseline")
    if stools and 0 < stools.high < 4 and (chart.any("diarrhea", "colitis") or not stools.flag):
        yield raise_to(1, ROUTINE, GI, stools, f"{stools.high} stools a day over baseline: Grade 1")
    tsh = chart.highest("tsh")
    if tsh and tsh.high > Decimal("4.5") and chart.above("tsh") and not chart.below("ft4"):
        grade = 2 if tsh.high > 10 else 1
        yield raise_to(grade, URGENCY_BY_GRADE[grade], GLAND, tsh, "raised TSH", f"{CTCAE}, Hypothyroidism; {ASCO}")


def _firm(lab: Finding) -> bool:
    return lab.uln is not None or lab.flag == "high" or (lab.times_uln is not None and lab.times_uln >= Decimal("1.5"))
