"""Bedside measurements without a name of their own: oxygen, saturation, skin area and home meter readings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from ..schemas import Finding
from .lexicon import ANALYTES
from .tokens import Token, changed, make

_OXYGEN_NEAR = re.compile(r"\b(?:o2|oxygen|nc|nasal|mask|cannula|prongs|hfnc|high[- ]flow|home|concentrator)\b")
_OXYGEN_BEFORE = re.compile(
    r"(?:\d ?%|mm ?hg|sat\w*|spo2|pao2|room air|requir\w*|need\w*|now) (?:on |with )?(?:the )?$|\bon $"
)
_FLUID = re.compile(r"fluid|saline|urine|ascit|drain|para")
_CHRONIC_OXYGEN = re.compile(r"(?<!no )(?<!not on )(?<!without )\bhome|usual|chronic|baseline|long[- ]term|unchanged")
_NEW_OXYGEN = re.compile(
    r"\bnever\b|(?<!no )(?<!not )\bnew(?:ly)?\b|first time|\b(?:sent|discharged|went|came) (?:\w+ )?home\b"
)
_POWER = re.compile(r"\b(?:power|strength|legs?|arms?|hips?|shoulders?|proximal|motor|mrc)\b")
_VISION = re.compile(r"\bvision|acuity|\bva\b|\bbcva\b|\beye")
_OXIMETER = re.compile(
    r"oximeter|finger (?:gadget|thing|clip|peg|probe|machine|monitor)|gadget|peg|clip|\bo2\b|oxygen|sats?\b"
)
_METER = re.compile(r"\bmeter|glucometer|sugar|diabet|finger-?stick|finger ?prick|\bbm\b|\bbg\b|glucose")
_BM = re.compile(r"\bbms?(?:\s?[:=]|\s(?:of|is|was|now|today))?\s?$")
_OFF_SCALE = re.compile(  # a meter that shows "HI" instead of a number: beyond 600 mg/dL (33.3 mmol/L)
    r"(?:meter|glucometer|sugar|glucose|\bbm|\bbg)\b[^.;\n]{0,60}?\b(?:reads?|reading|says?|said|shows?|showed|showing|just|of|is|was|:)"
    r"[\s\"':]{1,4}(?P<hi>hi|high)[\s\"']{0,2}(?=[.,;\s)]|$)"
)
_CELLS = re.compile(r"\bflare\b|\bchamber\b|\bac\b|uveitis|iritis")
_MORE_THAN = re.compile(r"(?:over|above|more than|>) ?$")


def loose_vitals(text: str, norm: str, tokens: list[Token], taken) -> list[Finding]:
    """Temperatures, saturations, skin areas and acuities without a name ("38.5 C", "20/40"), and oxygen flows.

    `taken(offset)` tells whether a number already belongs to a laboratory value or a named vital sign.
    """
    found = []
    for i, t in enumerate(tokens):
        found += _by_words(text, norm, t, taken)
        if t.kind != "number" or t.unit not in ("c", "f", "%", "l/min"):
            continue
        value = {"value": text[t.start : t.end], "unit": t.unit}
        if t.unit == "l/min":
            if (status := _oxygen_status(norm, tokens, i)) is not None:
                found.append(make(text, t, "care", "oxygen", low=t.low, high=t.high, status=status, **value))
        elif taken(t.start):
            continue
        elif t.unit == "%":
            following = [n for n in tokens[i + 1 : i + 4] if n.start - t.end < 14]
            area = next((n for n in following[:2] if n.names == ("bsa",)), None)
            if area is not None:
                sign = ">" if _MORE_THAN.search(norm, max(0, t.start - 10), t.start) else t.sign
                found.append(make(text, t, "vital", "bsa", sign=sign, low=t.low, high=t.high, end=area.end, **value))
            elif Decimal(50) <= t.low <= 100 and _is_saturation(norm, t, following):
                found.append(make(text, t, "vital", "spo2", low=t.low, high=t.high, **value))
        else:
            celsius = t.low if t.unit == "c" else (t.low - 32) * 5 / 9
            if 35 <= celsius <= Decimal("42.5") and ("." in norm[t.start : t.end] or t.unit == "c"):
                found.append(make(text, t, "vital", "temp", low=celsius, high=celsius, **value))
    for match in _OFF_SCALE.finditer(norm):
        reading = Token("number", match.start("hi"), match.end("hi"))
        found.append(changed(_glucose(text, reading, Decimal("33.3")), sign=">"))
    return found


def _by_words(text: str, norm: str, t: Token, taken) -> Iterator[Finding]:
    """Values identified by nearby words: acuity, muscle power, anterior chamber cells, glucose from a meter."""
    if (
        t.kind == "pair"
        and t.low in (6, 20)
        and t.high >= t.low
        and _VISION.search(norm, max(0, t.start - 60), t.end + 20)
    ):
        share = t.low / t.high  # 20/200 is 0.1
        yield make(text, t, "vital", "visual_acuity", value=text[t.start : t.end], low=share, high=share)
    if t.kind == "pair" and t.high == 5 and t.low < 5 and _POWER.search(norm, max(0, t.start - 40), t.start):
        yield make(text, t, "sign", "weakness", value=text[t.start : t.end])
    if t.kind == "number" and t.detail == "+" and t.low <= 4 and _CELLS.search(norm, max(0, t.start - 30), t.end + 22):
        yield make(text, t, "count", "anterior_chamber_cells", value=text[t.start : t.end], low=t.low, high=t.low)
    if t.kind == "number" and t.unit == "mmol/l" and t.low >= 11 and not taken(t.start):
        if _METER.search(norm, max(0, t.start - 110), t.start):
            yield _glucose(text, t, t.low)
    elif (
        t.kind == "number"
        and not t.unit
        and 11 <= t.low < 40
        and t.low % 1
        and _BM.search(norm, max(0, t.start - 14), t.start)
    ):
        yield _glucose(text, t, t.low)  # "BM 18.2" is not a bowel movement


def _glucose(text: str, t: Token, mmol: Decimal) -> Finding:
    """A home glucose reading, in mmol/L."""
    mg = ANALYTES["glucose"].convert(mmol, "mmol/l")
    return make(text, t, "lab", "glucose", value=text[t.start : t.end], unit="mmol/l", low=mg, high=mg)


def _is_saturation(norm: str, t: Token, following: list[Token]) -> bool:
    """Whether a bare percentage is an oxygen saturation: near room air, an oxygen flow or a word for an oximeter."""
    if norm.startswith("fio2", max(0, t.start - 5)):
        return False
    if any(n.names in (("room_air",), ("oxygen_word",)) or n.unit == "l/min" for n in following):
        return True
    return t.low < 100 and _OXIMETER.search(norm, max(0, t.start - 60), t.start) is not None


def _oxygen_status(norm: str, tokens: list[Token], i: int) -> str | None:
    """The status of an oxygen flow at `i`; None when the litres measure something else."""
    t = tokens[i]
    if not Decimal("0.5") <= t.low <= 80:
        return None
    written, around = norm[t.start : t.end], norm[max(0, t.start - 22) : t.end + 26]
    named = "/min" in written or "lpm" in written or _OXYGEN_NEAR.search(around)
    if not named and (not _OXYGEN_BEFORE.search(norm[max(0, t.start - 14) : t.start]) or _FLUID.search(around)):
        return None
    is_new = _NEW_OXYGEN.search(norm, max(0, t.start - 60), t.end + 60)
    if not is_new and _CHRONIC_OXYGEN.search(norm, max(0, t.start - 30), t.end + 45):
        return "historical"
    for near in tokens[max(0, i - 2) : i + 3]:
        if near.kind == "finding" and near.names[0] in ("oxygen", "oxygen_word", "home_oxygen"):
            return near.status
    return t.status
