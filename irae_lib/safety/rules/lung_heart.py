"""F12-F22 and F48: lung and heart."""

from __future__ import annotations

from decimal import Decimal

from ...schemas import System
from ..chart import Chart
from .base import ASCO, CTCAE, CTCAE6, EMERGENCY, POLICY, SOON, URGENT, Advice, Floor, rule

LUNG, HEART = System.PULMONARY, System.CARDIAC
IMAGING = ("ground_glass", "infiltrates")
BREATHING = ("cough", "dyspnea", "dyspnea_at_rest", "orthopnea", "hypoxia")
_INFECTION = "Exclude infection (cultures, PCR, consider BAL); treat in parallel if the patient is unwell."
_DEVICES = ("oxygen", "high_flow", "niv", "intubated")
_MUSCLE_NERVE = ("myasthenia", "ptosis", "diplopia", "guillain_barre", "myositis")


def lung_picture(chart: Chart):
    """Any current sign that the lung is ill; what makes an oxygen need a pneumonitis until proven otherwise."""
    return chart.any("pneumonitis", *IMAGING, *BREATHING, "respiratory_failure") or chart.highest("spo2", "pao2")


def on_oxygen(chart: Chart):
    """New supplemental oxygen, by flow or device; home oxygen is history, not current."""
    return chart.any(*_DEVICES) or chart.highest("fio2")


@rule(
    "F12",
    "Any new supplemental oxygen, or saturation that indicates it, with suspected pneumonitis",
    "oxygen",
    "high_flow",
    "fio2",
    "spo2",
    basis="CTCAE, ASCO",
    source=f"{CTCAE}, Pneumonitis (oxygen indicated); {ASCO}",
)
def new_oxygen(chart: Chart):
    f = on_oxygen(chart)
    if f and lung_picture(chart):
        yield Floor(
            "F12", "new supplemental oxygen: pneumonitis Grade 3 until another cause is shown", f, 3, URGENT, LUNG
        )
        yield Advice("F12", _INFECTION, f)
        return
    low = chart.below("spo2", Decimal(90))
    if low and low.low >= 88:
        yield Floor("F12", "saturation below 90 %: oxygen is indicated", low, 3, URGENT, LUNG, POLICY, "project policy")


@rule(
    "F13",
    "SpO2 below 88 % or PaO2 55 mmHg or less",
    "spo2",
    "pao2",
    basis="CTCAE, policy",
    source=f"{CTCAE}, Hypoxia; {POLICY}",
)
def hypoxia(chart: Chart):
    pao2 = chart.lowest("pao2")
    f = chart.below("spo2", Decimal(88)) or (pao2 if pao2 and pao2.low <= 55 else None)
    if f:
        yield Floor("F13", "SpO2 below 88 % or PaO2 55 mmHg or less: hypoxia Grade 3", f, 3, EMERGENCY, LUNG)


@rule(
    "F14",
    "PaO2 below 60 on oxygen, P/F below 200, RR 30 or more, or dyspnea at rest on oxygen",
    "pao2",
    "pf_ratio",
    "rr",
    "dyspnea_at_rest",
    "oxygen",
    basis="policy",
    source=POLICY,
)
def failing_lung(chart: Chart):
    oxygen = on_oxygen(chart)
    pao2, ratio, rate = chart.lowest("pao2"), chart.lowest("pf_ratio"), chart.highest("rr")
    f = None
    if oxygen and pao2 and pao2.low < 60:
        f = pao2
    elif ratio and ratio.low < 200:
        f = ratio
    elif rate and rate.high >= 30 and chart.any("pneumonitis", *IMAGING, *BREATHING, *_DEVICES, "respiratory_failure"):
        f = rate
    elif oxygen:
        f = chart.any("dyspnea_at_rest") or chart.severe("dyspnea")
    if f:
        yield Floor("F14", "respiratory failure is near", f, 3, EMERGENCY, LUNG, POLICY, "project policy")


@rule(
    "F15",
    "High-flow oxygen, non-invasive ventilation or intubation",
    "high_flow",
    "niv",
    "intubated",
    basis="CTCAE",
    source=f"{CTCAE}, Pneumonitis and Respiratory failure",
)
def ventilation(chart: Chart):
    f = chart.any("intubated", "high_flow", "niv")
    nerve = chart.any(*_MUSCLE_NERVE, "seizure", "status_epilepticus", "coma", "encephalitis") and not chart.any(
        *IMAGING, "pneumonitis"
    )
    if f:
        yield Floor("F15", "ventilatory support: Grade 4", f, 4, EMERGENCY, System.NEUROLOGIC if nerve else LUNG)


@rule(
    "F16",
    "SpO2 90-95 % on room air without oxygen: advisory only",
    "spo2",
    basis="CTCAE (has no SpO2 cut-off)",
    source=CTCAE,
)
def borderline_saturation(chart: Chart):
    f = chart.lowest("spo2")
    if f and 90 <= f.low <= 95 and not on_oxygen(chart):
        yield Advice("F16", "SpO2 90-95 % on room air: no grade by itself; repeat, also on exertion.", f)


@rule(
    "F48",
    "New ground glass or infiltrates with new cough or dyspnea, no oxygen",
    *IMAGING,
    "pneumonitis",
    basis="CTCAE, ASCO",
    source=f"{CTCAE}, Pneumonitis; {ASCO}",
)
def pneumonitis(chart: Chart):
    f = chart.any(*IMAGING, "pneumonitis")
    symptom = chart.any(*BREATHING)
    if f and symptom:
        yield Floor("F48", "new lung changes with cough or dyspnea: pneumonitis Grade 2", f, 2, SOON, LUNG)
        yield Advice("F48", _INFECTION, f)
    elif f and f.name in IMAGING:
        yield Floor("F48", "new lung changes on imaging: pneumonitis at least Grade 1", f, 1, SOON, LUNG)


# --- heart ----------------------------------------------------------------------------------------------

TROPONIN = ("troponin", "troponin_i", "troponin_t")
SYMPTOMS = (
    "chest_pain",
    "dyspnea",
    "dyspnea_at_rest",
    "orthopnea",
    "syncope",
    "palpitations",
    "ecg_change",
    "av_block",
    "ventricular_arrhythmia",
    "heart_failure",
)


def suspected_myocarditis(chart: Chart):
    """Named, seen on MRI, or a raised troponin with cardiac symptoms or a changed ECG."""
    if f := chart.any("myocarditis", "cardiac_mri"):
        return f
    raised, ef = chart.troponin(), chart.lowest("ef")
    return raised if raised and (chart.any(*SYMPTOMS) or ef and ef.low < 50) else None


def ef_drop(chart: Chart):
    """The current ejection fraction and its fall from the patient's baseline in percentage points."""
    f = chart.lowest("ef")
    if f is None:
        return None, Decimal(0)
    return f, (f.baseline - f.low if f.baseline is not None else Decimal(0))


@rule(
    "F17",
    "Raised troponin on a checkpoint inhibitor, without symptoms",
    *TROPONIN,
    basis="CTCAE, ASCO",
    source=f"{CTCAE}, Cardiac troponin increased; {ASCO}",
)
def troponin(chart: Chart):
    f = chart.troponin()
    if f:
        # In myasthenia and myositis a troponin may come from skeletal muscle: urgent all the same, no cardiac label.
        system = None if chart.any(*_MUSCLE_NERVE) else HEART
        yield Floor(
            "F17",
            "raised troponin: hold, repeat at 6 h, ECG and echo today",
            f,
            1 if system else 0,
            URGENT,
            system,
            f"{CTCAE}; {ASCO}",
        )
        if system is None:
            yield Advice(
                "F17", "Raised troponin with a myasthenic or myositic picture: screen for myocarditis today.", f
            )
    else:
        for name in TROPONIN:
            for g in chart.all(name):
                if g.kind == "lab" and g.flag == "no unit":
                    yield Advice("F17", "Troponin is given without a unit and was not graded: check the report.", g)


@rule(
    "F18",
    "Raised troponin with chest pain, dyspnea, syncope, palpitations or a new ECG change",
    *TROPONIN,
    basis="ASCO",
    source=ASCO,
)
def symptomatic_troponin(chart: Chart):
    f = chart.troponin()
    symptom = chart.any(*SYMPTOMS)
    if f and symptom:
        yield Floor(
            "F18",
            f"raised troponin with {symptom.name.replace('_', ' ')}: suspected myocarditis",
            f,
            3,
            EMERGENCY,
            HEART,
            ASCO,
            "ASCO 2021",
        )
        yield Advice(
            "F18", "Do not delay steroids for imaging in suspected myocarditis; exclude ACS; screen for myositis.", f
        )


@rule(
    "F19",
    "Ejection fraction below 50 % (new) or 10 points below baseline",
    "ef",
    basis="CTCAE",
    source=f"{CTCAE}, EF decreased",
)
def ef_below_50(chart: Chart):
    f, drop = ef_drop(chart)
    if f is None:
        return
    if drop >= 10 or (f.low < 50 and f.baseline is None):
        yield Floor("F19", "ejection fraction below 50 % or 10 points down: Grade 2", f, 2, URGENT, HEART)


@rule(
    "F20",
    "Ejection fraction below 40 % or 20 points below baseline",
    "ef",
    basis="CTCAE, policy",
    source=f"{CTCAE}, EF decreased; {POLICY}",
)
def ef_below_40(chart: Chart):
    f, drop = ef_drop(chart)
    if f is None:
        return
    if drop >= 20 or (f.low < 40 and (f.baseline is None or drop >= 10)):
        urgency = EMERGENCY if suspected_myocarditis(chart) else URGENT
        yield Floor("F20", "ejection fraction below 40 % or 20 points down: Grade 3", f, 3, urgency, HEART)


@rule(
    "F21",
    "Suspected myocarditis with EF below 40 %, heart failure, high-grade block, ventricular arrhythmia or inotropes",
    "myocarditis",
    "cardiac_mri",
    *TROPONIN,
    basis="policy; CTCAE v6 for block and arrhythmia; ASCO",
    source=f"{POLICY}; {CTCAE6}, Myocarditis; {ASCO}",
)
def severe_myocarditis(chart: Chart):
    if suspected_myocarditis(chart) is None:
        return
    ef = chart.lowest("ef")
    f = ef if ef and ef.low < 40 else chart.any("heart_failure", "av_block", "ventricular_arrhythmia", "inotropes")
    if f:
        scale = "CTCAE v6.0" if f.name in ("av_block", "ventricular_arrhythmia") else "project policy"
        yield Floor(
            "F21",
            "suspected myocarditis with failing heart or conduction: Grade 4",
            f,
            4,
            EMERGENCY,
            HEART,
            f"{POLICY}; {CTCAE6}; {ASCO}",
            scale,
        )


@rule(
    "F22",
    "Ejection fraction below 20 %, inotropes or mechanical support",
    "ef",
    "inotropes",
    basis="CTCAE",
    source=f"{CTCAE}, EF decreased and Heart failure",
)
def failing_heart(chart: Chart):
    ef = chart.lowest("ef")
    f = ef if ef and ef.low < 20 else chart.any("inotropes")
    if f:
        yield Floor("F22", "EF below 20 %, inotropes or mechanical support: Grade 4", f, 4, EMERGENCY, HEART)
