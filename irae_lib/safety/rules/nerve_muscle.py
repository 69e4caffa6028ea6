"""F23-F28 and F43: neuromuscular junction, nerve, brain and muscle."""

from __future__ import annotations

from ...schemas import System
from ..chart import Chart
from .base import ASCO, CTCAE, EMERGENCY, URGENT, Advice, Floor, rule
from .graded_values import worst

NERVE, MUSCLE = System.NEUROLOGIC, System.MUSCULOSKELETAL
_MG = ("myasthenia", "ptosis", "diplopia", "achr_antibodies", "ice_pack", "fatigable")


def myasthenic(chart: Chart):
    """Myasthenia named, or two of ptosis, diplopia, antibodies, ice-pack test."""
    if f := chart.any("myasthenia"):
        return f
    signs = [f for name in _MG if (f := chart.any(name))]
    if len(signs) >= 2 or signs and signs[0].name == "ptosis" and chart.any("dysphagia", "weakness", "facial_weakness"):
        return signs[0]
    return None


def weak_myositis(chart: Chart):
    """Myositis named together with weakness, or with a CK above 5x ULN and weakness."""
    if (f := chart.any("myositis")) and chart.any("weakness", "general_weakness", "immobile", "dysphagia"):
        return f
    return None


@rule("F23", "Suspected myasthenia gravis, or myositis with weakness", *_MG, "myositis", basis="ASCO", source=ASCO)
def myasthenia(chart: Chart):
    if f := myasthenic(chart):
        yield Floor(
            "F23", "suspected myasthenia gravis: can progress within hours", f, 2, URGENT, NERVE, ASCO, "ASCO 2021"
        )
        yield Advice(
            "F23",
            "Neurology today, FVC and NIF; troponin and CK (myocarditis, myositis). Avoid drugs that worsen it.",
            f,
        )
    elif f := weak_myositis(chart):
        yield Floor("F23", "myositis with weakness", f, 2, URGENT, MUSCLE, ASCO, "ASCO 2021")
        yield Advice("F23", "Myositis: troponin and ECG today, ask for bulbar and breathing symptoms.", f)


@rule(
    "F24",
    "Myasthenia or myositis with breathing, secretions, walking or FVC affected",
    *_MG,
    "myositis",
    basis="ASCO",
    source=ASCO,
)
def myasthenic_crisis(chart: Chart):
    first = myasthenic(chart) or weak_myositis(chart)
    if first is None:
        return
    fvc = chart.lowest("fvc")
    f = chart.any("respiratory_weakness", "respiratory_failure", "orthopnea", "dyspnea_at_rest", "dyspnea", "immobile")
    if f is None and fvc and fvc.low < 60 and fvc.unit == "%":
        f = fvc
    if f:
        yield Floor(
            "F24",
            "myasthenia or myositis with breathing, secretions or walking affected",
            f,
            3,
            EMERGENCY,
            NERVE if myasthenic(chart) else MUSCLE,
            ASCO,
            "ASCO 2021",
        )


@rule(
    "F25",
    "Myasthenia or myositis with any dysphagia or facial weakness: escalation advisory",
    *_MG,
    "myositis",
    basis="ASCO (Grade 3-4 there); label of NEURO-001 kept",
    source=ASCO,
)
def bulbar(chart: Chart):
    f = chart.any("dysphagia", "facial_weakness")
    if f and (myasthenic(chart) or weak_myositis(chart)):
        yield Advice(
            "F25",
            "ASCO grades any dysphagia or facial weakness here 3-4: admit, ICU-level monitoring, IVIG or PLEX.",
            f,
        )


@rule("F26", "Guillain-Barre picture: ascending weakness, areflexia", "guillain_barre", basis="ASCO", source=ASCO)
def guillain_barre(chart: Chart):
    if f := chart.any("guillain_barre"):
        yield Floor(
            "F26",
            "Guillain-Barre picture: admit with ICU capability from Grade 2",
            f,
            2,
            EMERGENCY,
            NERVE,
            ASCO,
            "ASCO 2021",
        )


@rule(
    "F27",
    "New seizure, or encephalitis picture (confusion with CSF or MRI change)",
    "seizure",
    "encephalitis",
    "confusion",
    basis="CTCAE",
    source=f"{CTCAE}, Seizure and Encephalopathy",
)
def encephalitis(chart: Chart):
    f = chart.any("seizure", "encephalitis")
    csf = chart.above("csf_wbc") or chart.above("csf_protein")
    if f is None and chart.any("confusion") and (chart.any("csf_abnormal", "brain_mri") or csf):
        f = chart.any("confusion")
    if f:
        mild = f.name == "encephalitis" and not chart.any("confusion", "seizure")
        yield Floor(
            "F27", "new seizure or encephalitis picture", f, 2 if mild else 3, URGENT if mild else EMERGENCY, NERVE
        )
        yield Advice("F27", "HSV until PCR is negative: cover with aciclovir, do not delay treatment.", f)


@rule(
    "F28",
    "Status epilepticus or coma",
    "status_epilepticus",
    "coma",
    basis="CTCAE",
    source=f"{CTCAE}, Seizure and Encephalopathy",
)
def coma(chart: Chart):
    if f := chart.any("status_epilepticus", "coma"):
        yield Floor("F28", "status epilepticus or coma: Grade 4", f, 4, EMERGENCY, NERVE)


@rule(
    "F43",
    "CK above 5x (Grade 3) or above 10x ULN (Grade 4) with weakness or a troponin rise",
    "ck",
    basis="CTCAE, ASCO",
    source=f"{CTCAE}, CPK increased and Myositis; {ASCO}",
)
def muscle_enzymes(chart: Chart):
    found = worst(chart, "ck")
    if not found or found[0].grade < 3:
        return
    result, f = found
    weak = chart.any("weakness", "general_weakness", "myalgia", "myositis", "rhabdomyolysis", "immobile")
    if weak or chart.troponin():
        urgency = EMERGENCY if result.grade == 4 else URGENT
        # With troponin alone the enzyme may be the heart's own: no second organ is claimed.
        yield Floor(
            "F43",
            f"CK {result.reason} with weakness or troponin",
            f,
            result.grade,
            urgency,
            MUSCLE if weak else None,
            result.source,
        )
        yield Advice(
            "F43", "CK with weakness: troponin, ECG, bulbar and breathing signs (myocarditis, myasthenia overlap).", f
        )
