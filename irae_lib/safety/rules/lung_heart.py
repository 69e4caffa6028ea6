"""F12-F22 and F48: lung and heart."""

from __future__ import annotations

from decimal import Decimal

from ...schemas import Finding, System
from ..chart import Chart
from .base import ASCO, CTCAE, CTCAE6, EMERGENCY, POLICY, SOON, URGENT, advise, raise_to, rule

LUNG, HEART = System.PULMONARY, System.CARDIAC
IMAGING = ("ground_glass", "infiltrates")
BREATHING = ("cough", "dyspnea", "dyspnea_at_rest", "orthopnea", "hypoxia")
_INFECTION = "Exclude infection (cultures, PCR, consider BAL); treat in parallel if the patient is unwell."
_DEVICES = ("oxygen", "high_flow", "niv", "intubated")
_MUSCLE_NERVE = ("myasthenia", "ptosis", "diplopia", "guillain_barre", "myositis")


def lung_picture(chart: Chart) -> Finding | None:
    """Any current lung finding, with which an oxygen need is pneumonitis until proven otherwise."""
    return chart.any("pneumonitis", *IMAGING, *BREATHING, "respiratory_failure") or chart.highest("spo2", "pao2")


def on_oxygen(chart: Chart) -> Finding | None:
    """New supplemental oxygen, by flow or device; home oxygen is historical, not current."""
    return chart.any(*_DEVICES) or chart.highest("fio2")


@rule("F12", "oxygen", "high_flow", "fio2", "spo2", source=f"{CTCAE}, Pneumonitis (oxygen indicated); {ASCO}")
def new_oxygen(chart: Chart):
    """Any new supplemental oxygen, or saturation that indicates it, with suspected pneumonitis."""
    oxygen, low = on_oxygen(chart), chart.below("spo2", Decimal(90))
    if oxygen and lung_picture(chart):
        reason = "new supplemental oxygen: pneumonitis Grade 3 until another cause is shown"
        yield raise_to(3, URGENT, LUNG, oxygen, reason)
        yield advise(oxygen, _INFECTION)
    elif low and low.low >= 88:
        yield raise_to(3, URGENT, LUNG, low, "saturation below 90 %: oxygen is indicated", POLICY)


@rule("F13", "spo2", "pao2", source=f"{CTCAE}, Hypoxia; {POLICY}")
def hypoxia(chart: Chart):
    """SpO2 below 88 % or PaO2 55 mmHg or less."""
    pao2 = chart.lowest("pao2")
    if low := chart.below("spo2", Decimal(88)) or (pao2 if pao2 and pao2.low <= 55 else None):
        yield raise_to(3, EMERGENCY, LUNG, low, "SpO2 below 88 % or PaO2 55 mmHg or less: hypoxia Grade 3")


@rule("F14", "pao2", "pf_ratio", "rr", "dyspnea_at_rest", "oxygen", source=POLICY, cites=POLICY)
def failing_lung(chart: Chart):
    """PaO2 below 60 on oxygen, P/F below 200, RR 30 or more, or dyspnea at rest on oxygen."""
    oxygen = on_oxygen(chart)
    pao2, ratio, rate = chart.lowest("pao2"), chart.lowest("pf_ratio"), chart.highest("rr")
    sign = None
    if oxygen and pao2 and pao2.low < 60:
        sign = pao2
    elif ratio and ratio.low < 200:
        sign = ratio
    elif rate and rate.high >= 30 and chart.any("pneumonitis", *IMAGING, *BREATHING, *_DEVICES, "respiratory_failure"):
        sign = rate
    elif oxygen:
        sign = chart.any("dyspnea_at_rest") or chart.severe("dyspnea")
    if sign:
        yield raise_to(3, EMERGENCY, LUNG, sign, "respiratory failure is near")


@rule("F15", "high_flow", "niv", "intubated", source=f"{CTCAE}, Pneumonitis and Respiratory failure")
def ventilation(chart: Chart):
    """High-flow oxygen, non-invasive ventilation or intubation."""
    if support := chart.any("intubated", "high_flow", "niv"):
        nerve = chart.any(
            *_MUSCLE_NERVE, "myelitis", "demyelination", "seizure", "status_epilepticus", "coma", "encephalitis"
        )
        system = System.NEUROLOGIC if nerve and not chart.any(*IMAGING, "pneumonitis") else LUNG
        yield raise_to(4, EMERGENCY, system, support, "ventilatory support: Grade 4")


@rule("F16", "spo2", source=POLICY, basis="policy; CTCAE has no SpO2 cut-off")
def borderline_saturation(chart: Chart):
    """SpO2 90-92 % on room air with cough or dyspnea; 93-95 %, or without symptoms: advisory only."""
    spo2 = chart.lowest("spo2")
    if not spo2 or not 90 <= spo2.low <= 95 or on_oxygen(chart):
        return
    other = chart.any("myocarditis") or chart.highest(*TROPONIN) or chart.past("oxygen")  # the heart; home oxygen
    if spo2.low < 93 and chart.any("cough", "dyspnea", "dyspnea_at_rest", "orthopnea") and not other:
        reason = "saturation of 90-92 % with cough or dyspnea: pneumonitis Grade 2 until imaging shows otherwise"
        yield raise_to(2, SOON, LUNG, spo2, reason, POLICY)
        yield advise(spo2, _INFECTION)
    else:
        yield advise(spo2, "SpO2 90-95 % on room air: no grade by itself; repeat, also on exertion.")


@rule("F48", *IMAGING, "pneumonitis", source=f"{CTCAE}, Pneumonitis; {ASCO}")
def pneumonitis(chart: Chart):
    """New ground glass or infiltrates with new cough or dyspnea, no oxygen."""
    change = chart.any(*IMAGING, "pneumonitis")
    if change and chart.any(*BREATHING):
        yield raise_to(2, SOON, LUNG, change, "new lung changes with cough or dyspnea: pneumonitis Grade 2")
        yield advise(change, _INFECTION)
    elif change and change.name in IMAGING:
        yield raise_to(1, SOON, LUNG, change, "new lung changes on imaging: pneumonitis at least Grade 1")


# --- heart ----------------------------------------------------------------------------------------------

TROPONIN = ("troponin", "troponin_i", "troponin_t")
_DYSPNEA = ("dyspnea", "dyspnea_at_rest", "orthopnea")
_RHYTHM = ("av_block", "ventricular_arrhythmia")
SYMPTOMS = ("chest_pain", *_DYSPNEA, "syncope", "palpitations", "ecg_change", *_RHYTHM, "heart_failure")


def suspected_myocarditis(chart: Chart) -> Finding | None:
    """Myocarditis named, seen on MRI, or a raised troponin with cardiac symptoms, ECG change or low EF."""
    if diagnosis := chart.any("myocarditis", "cardiac_mri"):
        return diagnosis
    raised, ef = chart.troponin(), chart.lowest("ef")
    return raised if raised and (chart.any(*SYMPTOMS) or ef and ef.low < 50) else None


def ef_drop(chart: Chart) -> tuple[Finding | None, Decimal]:
    """The current ejection fraction and its fall from the patient's baseline in percentage points."""
    ef = chart.lowest("ef")
    return ef, ef.baseline - ef.low if ef and ef.baseline is not None else Decimal(0)


@rule("F17", *TROPONIN, source=f"{CTCAE}, Cardiac troponin increased; {ASCO}", cites=f"{CTCAE}; {ASCO}")
def troponin(chart: Chart):
    """Raised troponin on a checkpoint inhibitor, without symptoms."""
    if raised := chart.troponin():
        reason = "raised troponin: hold, repeat at 6 h, ECG and echo today"
        # In myasthenia and myositis a troponin may come from skeletal muscle: still urgent, but no cardiac label.
        if chart.any(*_MUSCLE_NERVE):
            yield raise_to(0, URGENT, None, raised, reason)
            advice = "Raised troponin with a myasthenic or myositic picture: screen for myocarditis today."
            yield advise(raised, advice)
        else:
            yield raise_to(1, URGENT, HEART, raised, reason)
    else:
        for value in (value for name in TROPONIN for value in chart.all(name)):
            if value.kind == "lab" and value.flag == "no unit":
                yield advise(value, "Troponin is given without a unit and was not graded: check the report.")


@rule("F18", *TROPONIN, source=ASCO, cites=ASCO)
def symptomatic_troponin(chart: Chart):
    """Raised troponin with chest pain, dyspnea, syncope, palpitations or a new ECG change."""
    raised, symptom = chart.troponin(), chart.any(*SYMPTOMS)
    if raised and symptom:
        reason = f"raised troponin with {symptom.name.replace('_', ' ')}: suspected myocarditis"
        yield raise_to(3, EMERGENCY, HEART, raised, reason)
        advice = "Do not delay steroids for imaging in suspected myocarditis; exclude ACS; screen for myositis."
        yield advise(raised, advice)


def _is_known(chart: Chart) -> bool:
    """Whether heart failure is already known, with no new sign."""
    known = chart.past("heart_failure", "low_ef")
    return known is not None and not chart.troponin() and not chart.any(*SYMPTOMS, "myocarditis", "cardiac_mri")


@rule("F19", "ef", source=f"{CTCAE}, EF decreased")
def ef_below_50(chart: Chart):
    """Ejection fraction below 50 % (new) or 10 points below baseline."""
    ef, drop = ef_drop(chart)
    if ef and drop < 10 and _is_known(chart):
        yield advise(ef, "Low ejection fraction with a known heart failure: compare with the last echocardiogram.")
    elif ef and (drop >= 10 or (ef.low < 50 and ef.baseline is None)):
        yield raise_to(2, URGENT, HEART, ef, "ejection fraction below 50 % or 10 points down: Grade 2")


@rule("F20", "ef", source=f"{CTCAE}, EF decreased; {POLICY}")
def ef_below_40(chart: Chart):
    """Ejection fraction below 40 % or 20 points below baseline."""
    ef, drop = ef_drop(chart)
    if (
        ef
        and (drop >= 20 or (ef.low < 40 and (ef.baseline is None or drop >= 10)))
        and not (drop < 10 and _is_known(chart))
    ):
        urgency = EMERGENCY if suspected_myocarditis(chart) else URGENT
        yield raise_to(3, urgency, HEART, ef, "ejection fraction below 40 % or 20 points down: Grade 3")


@rule(
    "F21",
    "myocarditis",
    "cardiac_mri",
    *TROPONIN,
    source=f"{POLICY}; {CTCAE6}, Myocarditis; {ASCO}",
    cites=f"{POLICY}; {CTCAE6}; {ASCO}",
    basis="policy; CTCAE v6 for block and arrhythmia; ASCO",
)
def severe_myocarditis(chart: Chart):
    """Suspected myocarditis with EF below 40 %, heart failure, high-grade block, ventricular arrhythmia or
    inotropes."""
    if not suspected_myocarditis(chart):
        return
    ef = chart.lowest("ef")
    if sign := ef if ef and ef.low < 40 else chart.any("heart_failure", *_RHYTHM, "inotropes"):
        scale = "CTCAE v6.0" if sign.name in _RHYTHM else "project policy"
        reason = "suspected myocarditis with failing heart or conduction: Grade 4"
        yield raise_to(4, EMERGENCY, HEART, sign, reason, scale=scale)


@rule("F22", "ef", "inotropes", source=f"{CTCAE}, EF decreased and Heart failure")
def failing_heart(chart: Chart):
    """Ejection fraction below 20 %, inotropes or mechanical support."""
    ef = chart.lowest("ef")
    if sign := ef if ef and ef.low < 20 else chart.any("inotropes"):
        yield raise_to(4, EMERGENCY, HEART, sign, "EF below 20 %, inotropes or mechanical support: Grade 4")
