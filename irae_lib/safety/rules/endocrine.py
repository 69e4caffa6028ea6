"""F29-F31, F35-F37 and X01: adrenal gland, pituitary and thyroid."""

from __future__ import annotations

from decimal import Decimal

from ...schemas import Finding, System
from ..chart import Chart
from .base import ASCO, CTCAE, EMERGENCY, SOON, URGENT, Advice, Floor, rule

GLAND, KIDNEY = System.ENDOCRINE, System.RENAL
ADRENAL = ("adrenal_insufficiency", "adrenal_crisis", "hypophysitis")
_CORTISOL_FIRST = "Give cortisol before thyroxine until adrenal failure is excluded."


def low_cortisol(chart: Chart) -> Finding | None:
    """Cortisol below 3 ug/dL (83 nmol/L). Below 3 without a unit is low in either unit; "undetectable" counts."""
    f = chart.below("cortisol", Decimal(3))
    if f is not None:
        return f
    return next((g for g in chart.all("cortisol") if g.kind == "lab" and g.low is None and g.flag == "low"), None)


def adrenal_failure(chart: Chart) -> Finding | None:
    """Low cortisol that no steroid explains, or adrenal or pituitary failure named in the note."""
    named = chart.any(*ADRENAL)
    low = low_cortisol(chart)
    return low if low is not None and (named or not chart.steroid()) else named


@rule(
    "F29",
    "Cortisol below 3 ug/dL (83 nmol/L) without an exogenous steroid, or adrenal failure or hypophysitis named",
    "cortisol",
    *ADRENAL,
    "pituitary_mri",
    basis="ASCO",
    source=f"{ASCO}, endocrine toxicity",
)
def adrenal(chart: Chart):
    f = adrenal_failure(chart)
    if f is None and low_cortisol(chart):
        yield Advice(
            "F29",
            "Low cortisol while on a steroid: suppressed or failing, stimulate before calling it hypophysitis.",
            low_cortisol(chart),
        )
        return
    f = f or chart.any("pituitary_mri")
    if f:
        yield Floor(
            "F29",
            "cortisol below 3 ug/dL (83 nmol/L), or adrenal failure or hypophysitis named",
            f,
            2,
            URGENT,
            GLAND,
            ASCO,
            "ASCO 2021",
        )
        yield Advice("F29", _CORTISOL_FIRST, f)
    else:
        grey = chart.lowest("cortisol")
        if grey and grey.low <= 15 and not chart.steroid():
            yield Advice("F29", "Morning cortisol between 3 and 15 ug/dL: stimulation test.", grey)


@rule(
    "F30",
    "Adrenal failure with severe headache, orthostasis, vomiting, profound fatigue or hyponatremia",
    "cortisol",
    *ADRENAL,
    basis="ASCO, CTCAE",
    source=f"{ASCO}; {CTCAE}, Adrenal insufficiency",
)
def symptomatic_adrenal(chart: Chart):
    if adrenal_failure(chart) is None:
        return
    f = chart.severe("headache", "fatigue", "general_weakness", "nausea") or chart.any("orthostasis", "vomiting")
    f = f or chart.below("sodium", Decimal(130)) or chart.below("bp", Decimal(100))
    if f:
        yield Floor("F30", "adrenal failure with severe symptoms: Grade 3", f, 3, URGENT, GLAND, f"{ASCO}; {CTCAE}")


@rule(
    "F31",
    "Adrenal failure with hypotension, sodium below 125, or vomiting with altered state; adrenal crisis",
    "cortisol",
    *ADRENAL,
    basis="ASCO, CTCAE",
    source=f"{ASCO}; {CTCAE}, Adrenal insufficiency",
)
def adrenal_crisis(chart: Chart):
    if f := chart.any("adrenal_crisis"):
        yield Floor("F31", "adrenal crisis", f, 4, EMERGENCY, GLAND, f"{ASCO}; {CTCAE}")
    elif adrenal_failure(chart):
        f = chart.hypotensive() or chart.below("sodium", Decimal(125))
        f = f or (chart.any("vomiting") if chart.any("confusion", "coma") else None)
        if f:
            yield Floor(
                "F31",
                "adrenal failure with circulatory or sodium collapse: crisis",
                f,
                4,
                EMERGENCY,
                GLAND,
                f"{ASCO}; {CTCAE}",
            )


HYPOTHYROID = ("hypothyroidism", "myxedema")


@rule(
    "F35",
    "TSH above 10 with low free T4: replacement indicated, ICI may go on",
    "tsh",
    basis="CTCAE, ASCO",
    source=f"{CTCAE}, Hypothyroidism; {ASCO}",
)
def hypothyroid(chart: Chart):
    tsh = chart.highest("tsh")
    if tsh and tsh.high > 10 and chart.below("ft4"):
        yield Floor("F35", "TSH above 10 with low free T4: hypothyroidism Grade 2", tsh, 2, SOON, GLAND)
        yield Advice("F35", f"The ICI may be continued. {_CORTISOL_FIRST}", tsh)


@rule(
    "F36",
    "Hypothyroidism with altered mental state, hypothermia or bradycardia; myxedema",
    *HYPOTHYROID,
    "tsh",
    basis="ASCO",
    source=ASCO,
)
def myxedema(chart: Chart):
    f = chart.any("myxedema")
    tsh = chart.highest("tsh")
    if f is None and (chart.any("hypothyroidism") or tsh and tsh.high > 10 and chart.below("ft4")):
        f = chart.any("hypothermia", "bradycardia", "confusion", "coma")
    if f:
        yield Floor("F36", "hypothyroidism with signs of myxedema", f, 4, EMERGENCY, GLAND, ASCO, "ASCO 2021")


@rule("F37", "Low TSH and low free T4: central hypothyroidism", "tsh", basis="ASCO", source=f"{ASCO}, hypophysitis")
def central(chart: Chart):
    tsh, highest = chart.below("tsh"), chart.highest("tsh")
    if tsh and chart.below("ft4") and (highest is None or highest.high <= 10):
        yield Floor(
            "F37",
            "TSH and free T4 both low: pituitary failure until excluded",
            tsh,
            2,
            URGENT,
            GLAND,
            ASCO,
            "ASCO 2021",
        )
        yield Advice("F37", _CORTISOL_FIRST, tsh)


# --- beyond the numbered list: what CTCAE grades and the list leaves out --------------------------------


def thyrotoxic(chart: Chart) -> Finding | None:
    """Thyrotoxicosis named, or a TSH below its limit with a raised free T4 or T3."""
    if f := chart.any("hyperthyroidism", "thyroid_storm"):
        return f
    return chart.below("tsh") if chart.above("ft4") or chart.above("ft3") else None


@rule(
    "X01",
    "Thyrotoxicosis: symptomatic Grade 2; with fever, confusion, heart failure or failing intake Grade 3",
    "tsh",
    "hyperthyroidism",
    "thyroid_storm",
    basis="CTCAE, ASCO",
    source=f"{CTCAE}, Hyperthyroidism; {ASCO}",
)
def thyrotoxicosis(chart: Chart):
    f = thyrotoxic(chart)
    if f is None:
        return
    if storm := chart.any("thyroid_storm"):
        yield Floor("X01", "thyroid storm", storm, 4, EMERGENCY, GLAND, f"{CTCAE}; {ASCO}")
    elif sick := chart.fever() or chart.any("confusion", "heart_failure", "unable_oral"):
        yield Floor("X01", "thyrotoxicosis with systemic illness: Grade 3", sick, 3, URGENT, GLAND, f"{CTCAE}; {ASCO}")
    elif chart.any("hospitalized") and chart.any("vomiting", "tachycardia"):
        yield Floor("X01", "thyrotoxicosis in hospital: Grade 3", f, 3, URGENT, GLAND, f"{CTCAE}; {ASCO}")
    elif chart.any("palpitations", "tachycardia", "tremor", "heat_intolerance", "vomiting", "fatigue"):
        yield Floor("X01", "symptomatic thyrotoxicosis: Grade 2", f, 2, SOON, GLAND, f"{CTCAE}; {ASCO}")
    else:
        yield Floor("X01", "thyrotoxicosis: Grade 1", f, 1, SOON, GLAND, f"{CTCAE}; {ASCO}")
