"""Numbers of a note: drawn within their range, partitioned between the pools, written in one hospital's unit.

Wide ranges are partitioned: of four neighboring values, one belongs to the test pool, one to the calibration pool and
two to the train pool. Held-out values from these ranges are therefore not seen in training.
"""

from __future__ import annotations

import json
import random
import re
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from ..files import DATA
from .illnesses import COMMON, LAB_NAMES, LAB_UNITS, Fact

_LABS = json.loads((DATA / "clinical" / "labs.json").read_text(encoding="utf-8"))["analytes"]
_SHARE = {"test": (1,), "calibration": (3,), "train": (0, 2)}
_MANY = 12  # ranges of at most so many values are not partitioned


def draw(rng: random.Random, pool: str, low: float, high: float, step: float = 1) -> Decimal:
    """A multiple of `step` in [low, high] that this pool may use."""
    first, by = Decimal(str(low)), Decimal(str(step))
    places = range(int((Decimal(str(high)) - first) / by) + 1)
    if len(places) > _MANY:
        places = [i for i in places if int((first + by * i) / by) % 4 in _SHARE[pool]]
    return first + by * rng.choice(places)


def lab_text(rng: random.Random, pool: str, fact: Fact, *, plain: bool, row: str = "") -> str:
    """A laboratory value as a note writes it: name, value, unit, perhaps flag, reference range or baseline.

    `plain` prefers the commonest unit and omits reference ranges; `row` is the layout of a table row.
    """
    entry = _LABS[fact.lab]
    units = LAB_UNITS.get(fact.lab) or (entry["unit"],)
    unit = units[0] if plain and rng.random() < 0.8 else rng.choice(units)
    factor = _factor(entry, unit)
    name = rng.choice(LAB_NAMES[fact.lab])
    limit = Decimal(entry.get("lln" if fact.per == "lln" else "uln", "1"))
    base, scale = None, Decimal(1)
    if fact.per == "baseline":
        low, high = (fact.base_low, fact.base_high) if fact.base_high else (float(limit) * 0.55, float(limit) * 0.9)
        base = _rounded(factor(Decimal(str(low)) + (Decimal(str(high)) - Decimal(str(low))) * rng.randint(0, 20) / 20))
        scale = _back(base, factor)
    elif fact.per != "value":
        scale = limit
    low, high = Decimal(str(fact.low)) * scale, Decimal(str(fact.high)) * scale
    value = _value(rng, pool, factor(low), factor(high), fact, factor)
    if base is not None:
        line = rng.choice(COMMON["baseline_lines"][pool])
        return line.format(name=name, value=value, unit=unit, base=base).replace("  ", " ").strip()
    if fact.per == "uln" and not plain and not row and rng.random() < 0.12:
        times = (_back(Decimal(value), factor) / limit).quantize(Decimal("0.1"))
        if Decimal(str(fact.low)) <= times <= Decimal(str(fact.high)):
            return rng.choice(COMMON["multiple_lines"][pool]).format(name=name, times=times)
    flag, reference = _flag(_back(Decimal(value), factor), entry), _reference(entry, factor)
    if row:
        text = row.format(name=name, value=value, unit=unit, flag=flag, ref=reference)
        return re.sub(r" *(?:\((?:ref |normal )?\)|\[\])| +(?=[ ;,]|$)|^ +", "", text)
    has_reference = not plain and ("uln" in entry or "lln" in entry)
    lines = [line for line in COMMON["lab_lines"][pool] if has_reference or "{ref}" not in line]
    if not flag:
        lines = [line for line in lines if "{flag}" not in line] or lines
    text = rng.choice(lines).format(name=name, value=value, unit=unit, flag=flag, ref=reference)
    return " ".join(text.replace("()", "").split())


def _value(rng: random.Random, pool: str, low: Decimal, high: Decimal, fact: Fact, factor) -> str:
    low, high = min(low, high), max(low, high)
    for step in _steps(high, Decimal(str(fact.step)) if fact.per == "value" and factor(Decimal(1)) == 1 else None):
        first = (low / step).to_integral_value(ROUND_CEILING) * step
        if first <= high:
            last = (high / step).to_integral_value(ROUND_FLOOR) * step
            return str(draw(rng, pool, float(first), float(last), float(step)).quantize(min(step, Decimal(1))))
    return str(((low + high) / 2).quantize(Decimal("0.001")))


def _steps(high: Decimal, own: Decimal | None):
    """Rounding steps of a laboratory, coarsest first; finer steps are for ranges too narrow for coarse ones."""
    if own is not None:
        yield own
    for step, most in (("1000", 25_000), ("100", 2500), ("1", 10), ("0.1", 1), ("0.01", Decimal("0.1")), ("0.001", 0)):
        if high >= most:
            yield Decimal(step)


def _rounded(value: Decimal) -> Decimal:
    step = next(_steps(value, None))
    return (value / step).quantize(Decimal(1), rounding=ROUND_HALF_EVEN) * step


def _factor(entry: dict, unit: str):
    """Convert the standard unit to `unit`; labs.json gives the inverse ("/17.1" divides, "*60" multiplies)."""
    rule = entry["units"].get(unit.lower(), "1")
    by = Decimal(rule.lstrip("*/"))
    return lambda value: value * by if rule.startswith("/") else value / by


def _back(value: Decimal, factor) -> Decimal:
    return value / factor(Decimal(1))


def _flag(value: Decimal, entry: dict) -> str:
    if "uln" in entry and value > Decimal(entry["uln"]):
        return "H"
    return "L" if "lln" in entry and value < Decimal(entry["lln"]) else ""


def _reference(entry: dict, factor) -> str:
    low, high = (str(_rounded(factor(Decimal(entry[key])))) if key in entry else "" for key in ("lln", "uln"))
    return f"{low}-{high}" if low and high else f"<{high}" if high else f">{low}" if low else ""
