"""F39-F42 and F45-F47: skin, blood, eye and the whole patient."""

from __future__ import annotations

from decimal import Decimal

from ...schemas import System
from ..chart import Chart
from .base import ASCO, CTCAE, EMERGENCY, POLICY, ROUTINE, SOON, URGENCY_BY_GRADE, URGENT, advise, raise_to, rule
from .graded_values import worst_value

SKIN, BLOOD, EYE = System.DERMATOLOGIC, System.HEMATOLOGIC, System.OCULAR
_RASH = ("rash", "blistering", "psoriasis", "pruritus")


@rule("F39", "bsa", source=f"{CTCAE}, Rash maculo-papular and Bullous dermatitis; {ASCO}")
def surface(chart: Chart):
    """Rash on more than 30 % of the body surface with symptoms (Grade 3); 10-30 % Grade 2."""
    area, rash = chart.highest("bsa"), chart.any(*_RASH)
    if not (area and rash):
        return
    if area.high > 30 or area.high == 30 and area.sign == ">":
        mild = rash.severity == "mild" or (itch := chart.any("pruritus")) and itch.severity == "mild"
        grade = 2 if mild and not chart.any("blistering") else 3
        reason = f"rash on more than 30 % of the body: Grade {grade}"
        yield raise_to(grade, URGENCY_BY_GRADE[grade], SKIN, area, reason)
    elif area.high >= 10:
        yield raise_to(2, SOON, SKIN, area, "rash on 10-30 % of the body: Grade 2")


_SEVERE_SKIN = ("sloughing", "mucosal", "sjs", "ten", "dress", "target_lesions")


@rule("F40", *_SEVERE_SKIN, source=f"{CTCAE}, Stevens-Johnson syndrome; {ASCO}", cites=f"{CTCAE}; {ASCO}")
def severe_skin(chart: Chart):
    """Skin sloughing, mucosal erosions with fever or blisters, target lesions with mucosa, SJS, TEN or DRESS."""
    if ten := chart.any("ten"):
        yield raise_to(4, EMERGENCY, SKIN, ten, "toxic epidermal necrolysis: Grade 4", CTCAE)
        return
    sign, mucosa = chart.any("sjs", "dress", "sloughing"), chart.any("mucosal")
    if not sign and (chart.any("blistering", "target_lesions") or chart.any("rash") and chart.fever()):
        sign = mucosa
    if sign:
        area = chart.highest("bsa")
        grade = 4 if sign.name == "sloughing" and area and area.high >= 10 else 3
        yield raise_to(grade, EMERGENCY, SKIN, sign, "suspected severe cutaneous reaction (SJS, TEN, DRESS)")
        yield advise(sign, "Dermatology or burn unit now; ophthalmology if the eyes are involved.")


_COUNTS = ("platelets", "anc", "hemoglobin")
_COUNT_ROWS = "Platelet count decreased, Neutrophil count decreased, Anemia"


@rule("F41", *_COUNTS, source=f"{CTCAE}, {_COUNT_ROWS}; {POLICY}")
def counts(chart: Chart):
    """Platelets below 50 or 25, ANC below 1.0 or 0.5 x10^9/L, hemoglobin below 8 g/dL."""
    for name in _COUNTS:
        value = worst_value(chart, name, grades=(3, 4))
        if value and chart.cytotoxic():
            drug = "on cytotoxic chemotherapy: the drug explains it until disproved."
            yield advise(value.finding, f"{name} at Grade {value.grade} {drug}")
        elif value:
            yield value.floor(BLOOD)


@rule("F42", "anc", "neutropenia", "febrile_neutropenia", source=f"{CTCAE}, Febrile neutropenia")
def febrile_neutropenia(chart: Chart):
    """ANC below 1.0 x10^9/L with a temperature above 38.3 C."""
    sign, fever = chart.any("febrile_neutropenia"), chart.fever()
    if not sign and fever and (fever.high is None or fever.high > Decimal("38.3")):
        sign = chart.below("anc", Decimal("1.0")) or chart.any("neutropenia")
    if sign:
        yield raise_to(3, EMERGENCY, None if chart.cytotoxic() else BLOOD, sign, "febrile neutropenia")


@rule("F45", "uveitis", "posterior_uveitis", "visual_loss", source=f"{CTCAE}, Uveitis")
def uveitis(chart: Chart):
    """Posterior or pan-uveitis, or anterior with 3+ cells or more (Grade 3); vision 20/200 or worse (Grade 4)."""
    posterior, front, loss = chart.any("posterior_uveitis"), chart.any("uveitis"), chart.any("visual_loss")
    acuity, sign = chart.lowest("visual_acuity"), posterior or front
    # A swollen disc alone has other causes; with any other eye sign it counts.
    disc = posterior and "dis" in posterior.quote.lower()
    disc_alone = disc and not (front or loss or chart.any("visual_symptom"))
    if sign and acuity and acuity.low <= Decimal("0.1"):
        yield raise_to(4, URGENT, EYE, acuity, "uveitis with vision of 20/200 or worse: Grade 4")
    elif loss and acuity and acuity.low <= Decimal("0.1"):
        yield raise_to(3, URGENT, EYE, acuity, "loss of vision to 20/200 or worse: at least Grade 3")
    elif posterior and not disc_alone:
        yield raise_to(3, URGENT, EYE, posterior, "intermediate, posterior or pan-uveitis: Grade 3")
    elif front:
        cells = chart.highest("anterior_chamber_cells")
        grade = 3 if loss or cells and cells.high >= 3 else 2
        yield raise_to(grade, URGENT, EYE, front, f"uveitis: Grade {grade}")
    elif sign := loss:
        yield raise_to(0, URGENT, EYE, loss, "loss of vision: ophthalmology today")
    if sign:
        yield advise(sign, "Ophthalmology before a systemic steroid is started for the eye.")


@rule("F46", "ttp", "hlh", "hemolysis", source=f"{CTCAE}; {ASCO}", cites=f"{CTCAE}; {ASCO}")
def ttp_hlh(chart: Chart):
    """TTP or HLH named; hemolysis with transfusion."""
    hemolysis = chart.any("hemolysis") if chart.any("transfusion") else None
    if sign := chart.any("ttp", "hlh") or hemolysis:
        yield raise_to(3, EMERGENCY, BLOOD, sign, "TTP, HLH or hemolysis that needs transfusion")


_ABDOMEN = ("colitis", "diarrhea", "perforation", "hepatitis", "nephritis")
_CHEST = ("pneumonitis", "ground_glass", "infiltrates", "myocarditis")
_GLANDS = ("hypophysitis", "adrenal_insufficiency", "hypoparathyroidism")
_NERVE_MUSCLE = ("encephalitis", "ptosis", "myositis")
_ILL = ("chest_pain", "dyspnea", "dyspnea_at_rest", "syncope", "confusion", "drowsiness", "vomiting", "unable_oral")


@rule("F47", "bp", "hypotension", "shock", "fever", "temp", source=POLICY, cites=POLICY)
def whole_patient(chart: Chart):
    """Fever with rash and a second organ, or systolic pressure below 90 with any irAE finding."""
    low, fever = chart.hypotensive(), chart.fever()
    if low and chart.any(*_RASH, *_ABDOMEN, *_CHEST, *_GLANDS, *_NERVE_MUSCLE):
        yield raise_to(3, EMERGENCY, None, low, "hypotension with an organ finding")
    elif low and chart.any(*_ILL):
        yield raise_to(0, EMERGENCY, None, low, "hypotension in an ill patient")
    elif fever and chart.any("rash"):
        enzymes = worst_value(chart, "alt", "ast", "creatinine", grades=(2, 3, 4))
        if enzymes or chart.any("multi_organ", "jaundice", "confusion"):
            yield raise_to(3, EMERGENCY, SKIN, fever, "fever with rash and a second organ")


# --- beyond the numbered list ---------------------------------------------------------------------------


@rule("X04", "haptoglobin", "ferritin", source=POLICY, cites=POLICY)
def hemolysis_hlh(chart: Chart):
    """Hemolysis pattern (haptoglobin low with LDH high) or ferritin above 10,000 ng/mL."""
    haptoglobin, ferritin = chart.below("haptoglobin"), chart.highest("ferritin")
    if haptoglobin and chart.above("ldh"):
        reason = "low haptoglobin with high LDH: hemolysis, laboratory only"
        yield raise_to(1, SOON, BLOOD, haptoglobin, reason, f"{CTCAE}, Hemolysis")
    if ferritin and ferritin.high > 10_000:
        yield raise_to(0, URGENT, BLOOD, ferritin, "ferritin above 10,000 ng/mL: suspect HLH")
        advice = "HLH work-up today: triglycerides, fibrinogen, soluble IL-2 receptor, blood film, spleen."
        yield advise(ferritin, advice)


@rule("X05", *_COUNTS, source=CTCAE)
def moderate_counts(chart: Chart):
    """Cytopenia at Grade 2: platelets, ANC, hemoglobin."""
    if chart.cytotoxic():
        return
    for name in ("platelets", "anc"):
        if value := worst_value(chart, name, grades=(2,)):
            yield value.floor(BLOOD)
    low = chart.below("platelets", Decimal(100))
    if low and low.low >= 75:
        yield raise_to(1, ROUTINE, BLOOD, low, "platelets below 100 x10^9/L: Grade 1")
