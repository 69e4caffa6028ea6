"""What is counted or measured at the bedside without a name of its own: oxygen, saturations, skin area, stools."""

from __future__ import annotations

import bisect
import re
from decimal import Decimal
from itertools import groupby

from ..schemas import Finding
from .tokens import Token, make

_OXYGEN_NEAR = re.compile(r"\b(?:o2|oxygen|nc|nasal|mask|cannula|prongs|hfnc|high[- ]flow|home)\b")
_OXYGEN_BEFORE = re.compile(r"(?:\d ?%|mm ?hg|sat\w*|spo2|pao2|room air|requir\w*|need\w*|now) (?:on |with )?$|\bon $")
_FLUID = re.compile(r"fluid|saline|urine|ascit|drain|para")
_CHRONIC_OXYGEN = re.compile(r"(?<!no )(?<!not on )(?<!without )\bhome|usual|chronic|baseline|long[- ]term|unchanged")
_POWER = re.compile(r"\b(?:power|strength|legs?|arms?|hips?|shoulders?|proximal|motor|mrc)\b")
_VISION = re.compile(r"\bvision|acuity|\bva\b|\bbcva\b|\beye")
_MORE_THAN = re.compile(r"(?:over|above|more than|>) ?$")


def loose_vitals(text: str, norm: str, tokens: list[Token], taken) -> list[Finding]:
    """Temperatures, saturations, skin areas and acuities that carry no name ("38.5 C", "20/40"), and oxygen flows.

    `taken(offset)` says whether a number already belongs to a laboratory value or a named vital sign.
    """
    found = []
    for i, t in enumerate(tokens):
        if (
            t.kind == "pair"
            and t.low in (6, 20)
            and t.high >= t.low
            and _VISION.search(norm, max(0, t.start - 60), t.end + 20)
        ):
            share = t.low / t.high  # 20/200 is 0.1
            found.append(make(text, t, "vital", "visual_acuity", value=text[t.start : t.end], low=share, high=share))
        if t.kind == "pair" and t.high == 5 and t.low < 5 and _POWER.search(norm, max(0, t.start - 40), t.start):
            found.append(make(text, t, "sign", "weakness", value=text[t.start : t.end]))
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
            elif (
                Decimal(50) <= t.low <= 100
                and not norm.startswith("fio2", max(0, t.start - 5))
                and any(n.names in (("room_air",), ("oxygen_word",)) or n.unit == "l/min" for n in following)
            ):
                found.append(make(text, t, "vital", "spo2", low=t.low, high=t.high, **value))
        else:
            celsius = t.low if t.unit == "c" else (t.low - 32) * 5 / 9
            if 35 <= celsius <= Decimal("42.5") and ("." in norm[t.start : t.end] or t.unit == "c"):
                found.append(make(text, t, "vital", "temp", low=celsius, high=celsius, **value))
    return found


def _oxygen_status(norm: str, tokens: list[Token], i: int) -> str | None:
    """The status of a flow of oxygen at `i`; None when the litres are of something else."""
    t = tokens[i]
    if not Decimal("0.5") <= t.low <= 80:
        return None
    written, around = norm[t.start : t.end], norm[max(0, t.start - 22) : t.end + 26]
    named = "/min" in written or "lpm" in written or _OXYGEN_NEAR.search(around)
    if not named and (not _OXYGEN_BEFORE.search(norm[max(0, t.start - 14) : t.start]) or _FLUID.search(around)):
        return None
    if _CHRONIC_OXYGEN.search(norm, max(0, t.start - 30), t.end + 45):
        return "historical"
    for near in tokens[max(0, i - 2) : i + 3]:
        if near.kind == "finding" and near.names[0] in ("oxygen", "oxygen_word", "home_oxygen"):
            return near.status
    return t.status


# --- stools ---------------------------------------------------------------------------------------------

_STOOL = frozenset(("diarrhea", "stool"))
_BASELINE_BEFORE = re.compile(
    r"(?:baseline|usual(?:ly)?|normal(?:ly)?|habit\w*|customary|previously|instead of)[^\d.;]{0,26}$"
)
_BASELINE_AFTER = re.compile(
    r"\s*(?:\(|,)?\s*(?:a day|per day|daily)?\s*(?:is|was|being)? ?(?:his|her|the|their)? ?(?:\w+ )?"
    r"(?:usual|baseline|normal|norm|habit|customary)\b"
)
_FORMED = re.compile(r"normal|formed|regular")
_OVER_AFTER = re.compile(
    r"[^.;\d]{0,70}?\b(?:(?:above|over|more than|beyond|in excess of)(?: \w+){0,3}? "
    r"(?:baseline|usual|normal|what is normal|norm)|more (?:per|a) day|more than (?:usual|normal|before|baseline|what)|"
    r"(?:over|above) (?:baseline|usual|normal))|"
    r"\s*(?:extra|additional|more)\b"
)
_OVER_BEFORE = re.compile(r"(?:\bup by|increas\w+ (?:of|by)|extra|additional|\+|more by)\s*$")
_RATE_AFTER = re.compile(
    r"\s*(?:times|x|episodes|loose|watery|bloody|liquid|formed|extra|more|stools?|bms?|bowel|motions?)?[^.;,\d]{0,32}?"
    r"(?:a day|per day|/ ?day|/d\b|daily|each day|every day|in 24|per 24|/24|times)"
)
_COUNT_BEFORE = re.compile(r"(?:x|times|stools?|bms?|diarrh\w+|frequency|count)[ :(=]*(?:up to |of |about |~)?$")
_OTHER_UNIT = re.compile(r"\s*(?:years?|days?|weeks?|mg|ml|%|/10)")
_OTHER_COUNT = re.compile(
    r"\b(?:grade|day|cycle|dose|week|g|max(?:imum)?(?: of)?|limit(?: of)?|(?:day|d|dose|cycle|week) ?\d{1,2} (?:of|/))\s*$"
)
_EARLIER = re.compile(r"(?:was|were|had been|previously|initially|last week|at first)\s*$")
_ONE = Decimal(1)


def stool_findings(text: str, norm: str, tokens: list[Token]) -> list[Finding]:
    """Stools a day as `stools` (the count) and `stools_over_baseline`, and the baseline where the note gives one."""
    counts, baseline = _stool_counts(norm, tokens)
    findings = []
    base = _ONE if baseline is None else baseline.high
    for number, word, increment in counts:
        status = word.status
        if len(counts) > 1 and _EARLIER.search(norm, max(0, number.start - 14), number.start):
            status = "historical"
        span = {"start": min(number.start, word.start), "end": max(number.end, word.end), "status": status}
        value = {"value": text[number.start : number.end], "unit": "/day"}
        findings.append(make(text, number, "count", "stools", low=number.low, high=number.high, **value, **span))
        low, high = (number.low, number.high) if increment else (number.low - base, number.high - base)
        if high > 0:
            value["flag"] = "" if increment or baseline is not None else "assumed baseline 1"
            value["baseline"] = None if baseline is None else base
            findings.append(make(text, number, "count", "stools_over_baseline", low=low, high=high, **value, **span))
    if baseline is not None:
        value = {
            "value": text[baseline.start : baseline.end],
            "unit": "/day",
            "status": "historical",
            "when": "baseline",
        }
        findings.append(make(text, baseline, "count", "stools_baseline", low=baseline.low, high=baseline.high, **value))
    return findings


def _stool_counts(norm: str, tokens: list[Token]) -> tuple[list[tuple[Token, Token, bool]], Token | None]:
    """The counts of stools (number, the stool word it counts, is it an increment) and the patient's usual count."""
    baseline: Token | None = None
    counts: list[tuple[Token, Token, bool]] = []
    for _, sentence in groupby(tokens, key=lambda t: t.sentence):
        group = list(sentence)
        words = [t for t in group if t.kind == "finding" and not _STOOL.isdisjoint(t.names)]
        if not words:
            if counts and baseline is None and group[0].sentence - counts[-1][0].sentence == 1:
                baseline = next((t for t in group if t.kind == "number" and _names_baseline(norm, t)), None)
            continue
        chronic = any(t.names == ("other_colitis",) for t in group)
        starts = [w.start for w in words]
        for i, t in enumerate(group):
            if t.kind != "number" or t.low > 40 or t.unit not in ("", "/day") or _counts_another(group, i):
                continue
            at = bisect.bisect_left(starts, t.start)
            word = min(words[max(0, at - 1) : at + 1], key=lambda w: _distance(w, t))
            kind = _stool_number(norm, t, word, bool(counts))
            if kind == "baseline":
                baseline = t
            elif kind:
                counts.append((t, word, kind == "increment"))
                if chronic and word.status == "current":
                    word.status = "historical"  # the pattern of an old bowel disease is no new event
    return counts, baseline


def _counts_another(group: list[Token], i: int) -> bool:
    """Does the number count the finding right before it: "nocturia x2, one formed stool"?"""
    before = group[i - 1] if i else group[i]
    if before.kind == "glue" and i > 1:
        before = group[i - 2]
    return before.kind == "finding" and _STOOL.isdisjoint(before.names) and 0 < group[i].start - before.end <= 3


def _distance(word: Token, number: Token) -> int:
    return max(word.start - number.end, number.start - word.end)


def _names_baseline(norm: str, t: Token) -> bool:
    """A number of the sentence after a count that is the patient's usual one: "usual pattern is two a day"."""
    return t.unit in ("", "/day") and _BASELINE_BEFORE.search(norm, max(0, t.start - 34), t.start) is not None


def _stool_number(norm: str, t: Token, word: Token, counted: bool) -> str:
    """count, increment, baseline, or "" for a number that counts something else."""
    before, after = norm[max(0, t.start - 34) : t.start], norm[t.end : t.end + 90]
    distance = _distance(word, t)
    rate = t.unit == "/day" or _RATE_AFTER.match(after)
    if (_BASELINE_BEFORE.search(before) and distance < 60) or (counted and _BASELINE_AFTER.match(after)):
        return "baseline"
    if norm[t.start : t.end] in ("once", "one", "twice") and _FORMED.search(after[:30]):
        return "baseline"
    if not rate and not 0 <= word.start - t.end < 14 and not _COUNT_BEFORE.search(before):
        return ""
    if distance > 45 or _OTHER_UNIT.match(after) or _OTHER_COUNT.search(before):
        return ""
    return "increment" if t.detail == "+" or _OVER_AFTER.match(after) or _OVER_BEFORE.search(before) else "count"
