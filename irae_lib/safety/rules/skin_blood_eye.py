"""F39-F42 and F45-F47: skin, blood, eye and the whole patient."""

from __future__ import annotations

from decimal import Decimal

from ...schemas import System
from ..chart import Chart
from .base import ASCO, CTCAE, EMERGENCY, POLICY, SOON, URGENT, Advice, Floor, rule
from .graded_values import worst

SKIN, BLOOD, EYE = System.DERMATOLOGIC, System.HEMATOLOGIC, System.OCULAR
_RASH = ("rash", "blistering", "psoriasis", "pruritus")


@rule(
    "F39",
    "Rash on more than 30 % of the body surface with symptoms (Grade 3); 10-30 % Grade 2",
    "bsa",
    basis="CTCAE, ASCO",
    source=f"{CTCAE}, Rash maculo-papular and Bullous dermatitis; {ASCO}",
)
def surface(chart: Chart):
    area = chart.highest("bsa")
    first = chart.any(*_RASH)
    if area is None or first is None:
        return
    if area.high > 30 or area.high == 30 and area.sign == ">":
        mild = first.severity == "mild" or (itch := chart.any("pruritus")) and itch.severity == "mild"
        grade = 2 if mild and not chart.any("blistering") else 3
        yield Floor(
            "F39",
            f"rash on more than 30 % of the body: Grade {grade}",
            area,
            grade,
            URGENT if grade == 3 else SOON,
            SKIN,
        )
    elif area.high >= 10:
        yield Floor("F39", "rash on 10-30 % of the body: Grade 2", area, 2, SOON, SKIN)


@rule(
    "F40",
    "Skin sloughing, mucosal erosions with fever or blisters, target lesions with mucosa, SJS, TEN or DRESS",
    "sloughing",
    "mucosal",
    "sjs",
    "ten",
    "dress",
    "target_lesions",
    basis="CTCAE, ASCO",
    source=f"{CTCAE}, Stevens-Johnson syndrome; {ASCO}",
)
def severe_skin(chart: Chart):
    f = chart.any("ten")
    if f:
        yield Floor("F40", "toxic epidermal necrolysis: Grade 4", f, 4, EMERGENCY, SKIN)
        return
    mucosa, eruption = chart.any("mucosal"), chart.any("rash", "blistering", "target_lesions")
    f = chart.any("sjs", "dress", "sloughing")
    if f is None and mucosa and (chart.any("blistering", "target_lesions") or eruption and chart.fever()):
        f = mucosa
    if f:
        area = chart.highest("bsa")
        grade = 4 if f.name == "sloughing" and area is not None and area.high >= 10 else 3
        yield Floor(
            "F40",
            "suspected severe cutaneous reaction (SJS, TEN, DRESS)",
            f,
            grade,
            EMERGENCY,
            SKIN,
            f"{CTCAE}; {ASCO}",
        )
        yield Advice("F40", "Dermatology or burn unit now; ophthalmology if the eyes are involved.", f)


_COUNTS = ("platelets", "anc", "hemoglobin")


@rule(
    "F41",
    "Platelets below 50 or 25, ANC below 1.0 or 0.5 x10^9/L, hemoglobin below 8 g/dL",
    *_COUNTS,
    basis="CTCAE, policy",
    source=f"{CTCAE}, Platelet count decreased, Neutrophil count decreased, Anemia; {POLICY}",
)
def counts(chart: Chart):
    for name in _COUNTS:
        found = worst(chart, name)
        if not found or found[0].grade < 3:
            continue
        result, f = found
        chemo = chart.cytotoxic()
        if chemo:
            yield Advice(
                "F41",
                f"{name} at Grade {result.grade} on cytotoxic chemotherapy: the drug explains it until disproved.",
                f,
            )
        else:
            urgency = EMERGENCY if result.grade == 4 else URGENT
            yield Floor(
                "F41", f"{name} {result.reason}: Grade {result.grade}", f, result.grade, urgency, BLOOD, result.source
            )


@rule(
    "F42",
    "ANC below 1.0 x10^9/L with a temperature above 38.3 C",
    "anc",
    "neutropenia",
    "febrile_neutropenia",
    basis="CTCAE",
    source=f"{CTCAE}, Febrile neutropenia",
)
def febrile_neutropenia(chart: Chart):
    f = chart.any("febrile_neutropenia")
    fever, low = chart.fever(), chart.below("anc", Decimal("1.0")) or chart.any("neutropenia")
    if f is None and fever and low and (fever.high is None or fever.high > Decimal("38.3")):
        f = low
    if f:
        system = None if chart.cytotoxic() else BLOOD
        yield Floor("F42", "febrile neutropenia", f, 3, EMERGENCY, system)


@rule(
    "F45",
    "Posterior or pan-uveitis (Grade 3); vision 20/200 or worse (Grade 4)",
    "uveitis",
    "posterior_uveitis",
    "visual_loss",
    basis="CTCAE",
    source=f"{CTCAE}, Uveitis",
)
def uveitis(chart: Chart):
    f = chart.any("posterior_uveitis")
    front = chart.any("uveitis")
    acuity = chart.lowest("visual_acuity")
    # A swollen disc alone has other causes; beside any other sign of the eye it counts.
    alone = f is not None and "dis" in f.quote.lower() and not (front or chart.any("visual_loss", "visual_symptom"))
    if (f or front) and acuity and acuity.low <= Decimal("0.1"):
        yield Floor("F45", "uveitis with vision of 20/200 or worse: Grade 4", acuity, 4, URGENT, EYE)
    elif f and not alone:
        yield Floor("F45", "intermediate, posterior or pan-uveitis: Grade 3", f, 3, URGENT, EYE)
    elif front:
        grade = 3 if chart.any("visual_loss") else 2
        yield Floor("F45", f"uveitis: Grade {grade}", front, grade, URGENT, EYE)
    elif f := chart.any("visual_loss"):
        yield Floor("F45", "loss of vision: ophthalmology today", f, 0, URGENT, EYE)
    if f or front:
        yield Advice("F45", "Ophthalmology before a systemic steroid is started for the eye.", f or front)


@rule(
    "F46",
    "TTP or HLH named; hemolysis with transfusion",
    "ttp",
    "hlh",
    "hemolysis",
    basis="CTCAE, ASCO",
    source=f"{CTCAE}; {ASCO}",
)
def ttp_hlh(chart: Chart):
    f = chart.any("ttp", "hlh")
    if f is None and (hemolysis := chart.any("hemolysis")) and chart.any("transfusion"):
        f = hemolysis
    if f:
        yield Floor("F46", "TTP, HLH or hemolysis that needs transfusion", f, 3, EMERGENCY, BLOOD, f"{CTCAE}; {ASCO}")


@rule(
    "F47",
    "Fever with rash and a second organ, or systolic pressure below 90 with any irAE finding",
    "bp",
    "hypotension",
    "shock",
    "fever",
    "temp",
    basis="policy",
    source=POLICY,
)
def whole_patient(chart: Chart):
    low = chart.hypotensive()
    organ = chart.any(
        "rash",
        "colitis",
        "diarrhea",
        "hepatitis",
        "pneumonitis",
        "myocarditis",
        "perforation",
        *_RASH,
        "hypophysitis",
        "adrenal_insufficiency",
        "ground_glass",
        "infiltrates",
        "encephalitis",
        "hypoparathyroidism",
        "nephritis",
        "ptosis",
        "myositis",
    )
    if low and organ:
        yield Floor("F47", "hypotension with an organ finding", low, 3, EMERGENCY, None, POLICY, "project policy")
    elif (fever := chart.fever()) and chart.any("rash"):
        second = chart.any("multi_organ", "jaundice", "confusion") or (
            (w := worst(chart, "alt", "ast", "creatinine")) and w[0].grade >= 2 and w[1]
        )
        if second:
            yield Floor(
                "F47", "fever with rash and a second organ", fever, 3, EMERGENCY, SKIN, POLICY, "project policy"
            )


# --- beyond the numbered list ---------------------------------------------------------------------------


@rule(
    "X04",
    "Hemolysis pattern (haptoglobin low with LDH high) or ferritin above 10,000 ng/mL",
    "haptoglobin",
    "ferritin",
    basis="policy",
    source=POLICY,
)
def hemolysis_hlh(chart: Chart):
    haptoglobin, ldh = chart.below("haptoglobin"), chart.above("ldh")
    if haptoglobin and ldh:
        yield Floor(
            "X04",
            "low haptoglobin with high LDH: hemolysis, laboratory only",
            haptoglobin,
            1,
            SOON,
            BLOOD,
            f"{CTCAE}, Hemolysis",
        )
    ferritin = chart.highest("ferritin")
    if ferritin and ferritin.high > 10_000:
        yield Floor(
            "X04", "ferritin above 10,000 ng/mL: suspect HLH", ferritin, 0, URGENT, BLOOD, POLICY, "project policy"
        )
        yield Advice(
            "X04", "HLH work-up today: triglycerides, fibrinogen, soluble IL-2 receptor, blood film, spleen.", ferritin
        )


@rule("X05", "Cytopenia at Grade 2: platelets, ANC, hemoglobin", *_COUNTS, basis="CTCAE", source=CTCAE)
def moderate_counts(chart: Chart):
    for name in ("platelets", "anc"):
        found = worst(chart, name)
        if found and found[0].grade == 2 and not chart.cytotoxic():
            yield Floor("X05", f"{name} {found[0].reason}: Grade 2", found[1], 2, SOON, BLOOD, found[0].source)
    low = chart.below("platelets", Decimal(100))
    if low and low.low >= 75 and not chart.cytotoxic():
        yield Floor("X05", "platelets below 100 x10^9/L: Grade 1", low, 1, system=BLOOD)
