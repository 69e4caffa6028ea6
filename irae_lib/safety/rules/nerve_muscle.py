"""F23-F28 and F43: neuromuscular junction, nerve, brain and muscle."""

from __future__ import annotations

from decimal import Decimal

from ...schemas import Finding, System
from ..chart import Chart
from .base import ASCO, CTCAE, EMERGENCY, URGENCY_BY_GRADE, URGENT, advise, raise_to, rule
from .graded_values import worst_value

NERVE, MUSCLE = System.NEUROLOGIC, System.MUSCULOSKELETAL
_BULBAR = ("dysphagia", "dysarthria", "facial_weakness")
_BREATHING = ("respiratory_weakness", "respiratory_failure", "orthopnea", "dyspnea_at_rest")
_MG = ("myasthenia", "ptosis", "diplopia", "achr_antibodies", "ice_pack", "fatigable")


def myasthenic(chart: Chart) -> Finding | None:
    """Myasthenia named, two of its signs (see `_MG`), or ptosis or diplopia with weakness of another muscle."""
    if diagnosis := chart.any("myasthenia"):
        return diagnosis
    signs = [sign for name in _MG if (sign := chart.any(name))]
    beside = signs and signs[0].name in ("ptosis", "diplopia") and chart.any(*_BULBAR, *_BREATHING, "weakness")
    return signs[0] if len(signs) >= 2 or beside else None


def weak_myositis(chart: Chart) -> Finding | None:
    """Myositis named together with weakness, immobility or dysphagia."""
    weak = chart.any("weakness", "general_weakness", "immobile", "dysphagia")
    return chart.any("myositis") if weak else None


@rule("F23", *_MG, "myositis", source=ASCO, cites=ASCO)
def myasthenia(chart: Chart):
    """Suspected myasthenia gravis, or myositis with weakness."""
    if sign := myasthenic(chart):
        yield raise_to(2, URGENT, NERVE, sign, "suspected myasthenia gravis: can progress within hours")
        advice = "Neurology today, FVC and NIF; troponin and CK (myocarditis, myositis). Avoid drugs that worsen it."
        yield advise(sign, advice)
    elif myositis := weak_myositis(chart):
        yield raise_to(2, URGENT, MUSCLE, myositis, "myositis with weakness")
        yield advise(myositis, "Myositis: troponin and ECG today, ask for bulbar and breathing symptoms.")


@rule("F24", *_MG, "myositis", source=ASCO, cites=ASCO)
def myasthenic_crisis(chart: Chart):
    """Myasthenia or myositis with breathing, secretions, walking or FVC affected."""
    nerve = myasthenic(chart)
    if not (nerve or weak_myositis(chart)):
        return
    sign, fvc = chart.any(*_BREATHING, "dyspnea", "immobile"), chart.lowest("fvc")
    if not sign and fvc and fvc.low < 60 and fvc.unit == "%":
        sign = fvc
    if sign:
        reason = "myasthenia or myositis with breathing, secretions or walking affected"
        yield raise_to(3, EMERGENCY, NERVE if nerve else MUSCLE, sign, reason)


@rule("F25", *_MG, "myositis", source=ASCO, basis="ASCO (Grade 3-4 there); label of NEURO-001 kept")
def bulbar(chart: Chart):
    """Myasthenia or myositis with any dysphagia or facial weakness: escalation advisory."""
    sign = chart.any(*_BULBAR)
    if sign and (myasthenic(chart) or weak_myositis(chart)):
        advice = "ASCO grades any dysphagia or facial weakness here 3-4: admit, ICU-level monitoring, IVIG or PLEX."
        yield advise(sign, advice)


@rule("F26", "guillain_barre", source=ASCO, cites=ASCO)
def guillain_barre(chart: Chart):
    """Guillain-Barre picture: ascending weakness, areflexia; Grade 3 with breathing, swallowing, face or walking."""
    if sign := chart.any("guillain_barre"):
        yield raise_to(2, EMERGENCY, NERVE, sign, "Guillain-Barre picture: admit with ICU capability from Grade 2")
        if severe := chart.any(*_BREATHING, *_BULBAR, "immobile", "self_care"):
            yield raise_to(
                3, EMERGENCY, NERVE, severe, "Guillain-Barre picture with breathing, swallowing or walking lost"
            )


_BRAIN = ("confusion", "drowsiness", "aphasia", "hallucinations", "behaviour_change", "memory_loss")


@rule("F27", "seizure", "encephalitis", *_BRAIN, source=f"{CTCAE}, Seizure and Encephalopathy")
def encephalitis(chart: Chart):
    """New seizure, or encephalitis picture: confusion with CSF or MRI change; two signs of the brain Grade 2."""
    sign, confusion = chart.any("seizure", "encephalitis"), chart.any("confusion")
    csf = chart.above("csf_wbc") or chart.above("csf_protein")
    if not sign and (csf or chart.any("csf_abnormal", "brain_mri")):
        sign = confusion
    signs = [found for name in _BRAIN if (found := chart.any(name))]
    if not sign and len({f.start for f in signs}) >= 2 and not _metabolic(chart):
        yield raise_to(2, URGENT, NERVE, signs[0], "two signs of the brain: encephalitis until excluded")
    if sign:
        mild = sign.name == "encephalitis" and not confusion
        grade, urgency = (2, URGENT) if mild else (3, EMERGENCY)
        yield raise_to(grade, urgency, NERVE, sign, "new seizure or encephalitis picture")
        yield advise(sign, "HSV until PCR is negative: cover with aciclovir, do not delay treatment.")


def _metabolic(chart: Chart) -> bool:
    """Whether a gland, electrolyte, glucose or other illness explains the confusion before encephalitis does."""
    tsh, glucose = chart.highest("tsh"), chart.highest("glucose")
    slow = tsh and tsh.high > 10 or glucose and glucose.high > 400 or chart.below("sodium", Decimal(125))
    return bool(
        slow
        or chart.any(
            "adrenal_crisis", "adrenal_insufficiency", "dka", "hepatic_failure", "encephalopathy", "ttp", "hlh"
        )
    )


@rule("F28", "status_epilepticus", "coma", source=f"{CTCAE}, Seizure and Encephalopathy")
def coma(chart: Chart):
    """Status epilepticus or coma."""
    if sign := chart.any("status_epilepticus", "coma"):
        yield raise_to(4, EMERGENCY, NERVE, sign, "status epilepticus or coma: Grade 4")


@rule("F43", "ck", source=f"{CTCAE}, CPK increased and Myositis; {ASCO}")
def muscle_enzymes(chart: Chart):
    """CK above 5x (Grade 3) or above 10x ULN (Grade 4) with weakness or a troponin rise."""
    value = worst_value(chart, "ck", grades=(3, 4))
    weak = chart.any("weakness", "general_weakness", "myalgia", "myositis", "rhabdomyolysis", "immobile")
    if value and (weak or chart.troponin()):
        # With troponin alone, CK may come from the heart: no second organ system is raised.
        system = MUSCLE if weak else None
        reason = f"CK {value.comparison} with weakness or troponin"
        yield raise_to(value.grade, URGENCY_BY_GRADE[value.grade], system, value.finding, reason, value.source)
        advice = "CK with weakness: troponin, ECG, bulbar and breathing signs (myocarditis, myasthenia overlap)."
        yield advise(value.finding, advice)
