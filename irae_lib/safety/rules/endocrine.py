"""F29-F31, F35-F37 and X01: adrenal gland, pituitary and thyroid."""

from __future__ import annotations

from decimal import Decimal

from ...schemas import Finding, System
from ..chart import Chart
from .base import ASCO, CTCAE, EMERGENCY, SOON, URGENT, advise, raise_to, rule

GLAND = System.ENDOCRINE
ADRENAL = ("adrenal_insufficiency", "adrenal_crisis", "hypophysitis")
_CORTISOL_FIRST = "Give cortisol before thyroxine until adrenal failure is excluded."


def low_cortisol(chart: Chart) -> Finding | None:
    """Cortisol below 3 ug/dL (83 nmol/L). Below 3 without a unit is low in either unit; "undetectable" counts."""
    if cortisol := chart.below("cortisol", Decimal(3)):
        return cortisol
    return next((f for f in chart.all("cortisol") if f.kind == "lab" and f.low is None and f.flag == "low"), None)


def adrenal_failure(chart: Chart) -> Finding | None:
    """Low cortisol not explained by a steroid, or adrenal or pituitary failure named in the note."""
    diagnosis, low = chart.any(*ADRENAL), low_cortisol(chart)
    return low if low and (diagnosis or not chart.steroid()) else diagnosis


@rule("F29", "cortisol", *ADRENAL, "pituitary_mri", source=f"{ASCO}, endocrine toxicity", cites=ASCO)
def adrenal(chart: Chart):
    """Cortisol below 3 ug/dL (83 nmol/L) without an exogenous steroid, or adrenal failure or hypophysitis named."""
    failure, low = adrenal_failure(chart), low_cortisol(chart)
    if low and not failure:
        yield advise(
            low, "Low cortisol while on a steroid: suppressed or failing, stimulate before calling it hypophysitis."
        )
    elif sign := failure or chart.any("pituitary_mri"):
        reason = "cortisol below 3 ug/dL (83 nmol/L), or adrenal failure or hypophysitis named"
        yield raise_to(2, URGENT, GLAND, sign, reason)
        yield advise(sign, _CORTISOL_FIRST)
    elif (grey := chart.lowest("cortisol")) and grey.low <= 15 and not chart.steroid():
        yield advise(grey, "Morning cortisol between 3 and 15 ug/dL: stimulation test.")


@rule("F30", "cortisol", *ADRENAL, source=f"{ASCO}; {CTCAE}, Adrenal insufficiency", cites=f"{ASCO}; {CTCAE}")
def symptomatic_adrenal(chart: Chart):
    """Adrenal failure with severe headache, orthostasis, vomiting, profound fatigue or hyponatremia."""
    if not adrenal_failure(chart):
        return
    sign = chart.severe("headache", "fatigue", "general_weakness", "nausea") or chart.any("orthostasis", "vomiting")
    if sign := sign or chart.below("sodium", Decimal(130)) or chart.below("bp", Decimal(100)):
        yield raise_to(3, URGENT, GLAND, sign, "adrenal failure with severe symptoms: Grade 3")


@rule("F31", "cortisol", *ADRENAL, source=f"{ASCO}; {CTCAE}, Adrenal insufficiency", cites=f"{ASCO}; {CTCAE}")
def adrenal_crisis(chart: Chart):
    """Adrenal failure with hypotension, sodium below 125, or vomiting with altered state; adrenal crisis."""
    if crisis := chart.any("adrenal_crisis"):
        yield raise_to(4, EMERGENCY, GLAND, crisis, "adrenal crisis")
    elif adrenal_failure(chart):
        sign = chart.hypotensive() or chart.below("sodium", Decimal(125))
        if sign := sign or (chart.any("vomiting") if chart.any("confusion", "coma") else None):
            yield raise_to(4, EMERGENCY, GLAND, sign, "adrenal failure with circulatory or sodium collapse: crisis")


@rule("F35", "tsh", source=f"{CTCAE}, Hypothyroidism; {ASCO}")
def hypothyroid(chart: Chart):
    """TSH above 10 with low free T4: replacement indicated, ICI may go on."""
    tsh = chart.highest("tsh")
    if tsh and tsh.high > 10 and chart.below("ft4"):
        yield raise_to(2, SOON, GLAND, tsh, "TSH above 10 with low free T4: hypothyroidism Grade 2")
        yield advise(tsh, f"The ICI may be continued. {_CORTISOL_FIRST}")


@rule("F36", "hypothyroidism", "myxedema", "tsh", source=ASCO, cites=ASCO)
def myxedema(chart: Chart):
    """Hypothyroidism with altered mental state, hypothermia or bradycardia; myxedema."""
    sign, tsh = chart.any("myxedema"), chart.highest("tsh")
    if not sign and (chart.any("hypothyroidism") or tsh and tsh.high > 10 and chart.below("ft4")):
        sign = chart.any("hypothermia", "bradycardia", "confusion", "coma")
    if sign:
        yield raise_to(4, EMERGENCY, GLAND, sign, "hypothyroidism with signs of myxedema")


@rule("F37", "tsh", source=f"{ASCO}, hypophysitis", cites=ASCO)
def central(chart: Chart):
    """Low TSH and low free T4: central hypothyroidism."""
    low, highest = chart.below("tsh"), chart.highest("tsh")
    if low and chart.below("ft4") and not (highest and highest.high > 10):
        yield raise_to(2, URGENT, GLAND, low, "TSH and free T4 both low: pituitary failure until excluded")
        if shock := chart.hypotensive():
            yield raise_to(
                3, EMERGENCY, GLAND, shock, "pituitary failure with hypotension: adrenal crisis until excluded"
            )
        yield advise(low, _CORTISOL_FIRST)


# --- beyond the numbered list: CTCAE items missing from it ----------------------------------------------


def thyrotoxic(chart: Chart) -> Finding | None:
    """Thyrotoxicosis named, or a TSH below its limit with a raised free T4 or T3."""
    if diagnosis := chart.any("hyperthyroidism", "thyroid_storm"):
        return diagnosis
    return chart.below("tsh") if chart.above("ft4") or chart.above("ft3") else None


_THYROTOXICOSIS = ("tsh", "hyperthyroidism", "thyroid_storm")


@rule("X01", *_THYROTOXICOSIS, source=f"{CTCAE}, Hyperthyroidism; {ASCO}", cites=f"{CTCAE}; {ASCO}")
def thyrotoxicosis(chart: Chart):
    """Thyrotoxicosis: symptomatic Grade 2; with fever, confusion, heart failure or failing intake Grade 3."""
    thyroid = thyrotoxic(chart)
    if not thyroid:
        return
    if storm := chart.any("thyroid_storm"):
        yield raise_to(4, EMERGENCY, GLAND, storm, "thyroid storm")
    elif shock := chart.hypotensive():
        yield raise_to(4, EMERGENCY, GLAND, shock, "thyrotoxicosis with shock: Grade 4")
    elif illness := chart.fever() or chart.any("confusion", "heart_failure", "unable_oral"):
        yield raise_to(3, URGENT, GLAND, illness, "thyrotoxicosis with systemic illness: Grade 3")
    elif chart.any("hospitalized") and chart.any("vomiting", "tachycardia"):
        yield raise_to(3, URGENT, GLAND, thyroid, "thyrotoxicosis in hospital: Grade 3")
    elif chart.any("palpitations", "tachycardia", "tremor", "heat_intolerance", "vomiting", "fatigue"):
        yield raise_to(2, SOON, GLAND, thyroid, "symptomatic thyrotoxicosis: Grade 2")
    else:
        yield raise_to(1, SOON, GLAND, thyroid, "thyrotoxicosis: Grade 1")
