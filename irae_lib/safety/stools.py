"""Stools a day: the count, the patient's usual count, and the difference that CTCAE grades.

A number counts stools if its sentence or a neighbouring one has a word for stools, and the words around the number
indicate a rate ("nine times a day"), a tally ("we are already at 8") or stools ("6-7 loose").
"""

from __future__ import annotations

import bisect
import re
from decimal import Decimal
from itertools import pairwise

from ..schemas import Finding
from .phrasing import is_threshold
from .quantities import WORD_NUMBER
from .tokens import Token, make

_STOOL = frozenset(("diarrhea", "stool"))
_HOUR = re.compile(r"\b(?:every|each|once an?|on the) (?P<half>half[- ]?(?:an? )?)?hour(?:ly)?\b|\bhourly\b")
_BASELINE_BEFORE = re.compile(
    r"(?:baseline|usual(?:ly)?|normal(?:ly)?|norm|habit\w*|customary|previously|instead of|as a rule|always been|"
    r"used to (?:be|go)|ordinarily|since (?:his|her|my|the)? ?(?:bowel |colon |gastric |rectal )?(?:resection|operation|surgery|colectomy|bypass|reversal)|before (?:this|all this|treatment))\b[^\d.;]{0,26}$"
)
_BASELINE_AFTER = re.compile(
    r"\s*(?:\(|,)?\s*(?:times? )?(?:a day|per day|daily)?\s*(?:is|was|being)? ?(?:his|her|my|the|their)? ?(?:\w+ )?"
    r"(?:usual|baseline|normal|norm|habit|customary)\b(?![\s:=]{1,3}(?:is |was |of )?(?:\d|x ?\d|one\b|two\b|once\b|twice\b))|[- ](?:a[- ]day|in[- ]the[- ]morning) (?:person|man|woman|guy|girl)"
)
_HEADS = re.compile(r"\s?:")
_NUMBERED = re.compile(r"(?<!per )(?<!a )(?<!each )\b(?:month|week|day|cycle|dose|visit|infusion|course) $")
_FORMED = re.compile(r"normal|formed|regular")
_OVER_AFTER = re.compile(
    r"[^.;\d]{0,70}?\b(?:(?:above|over|more than|beyond|in excess of)(?: \w+){0,3}? "
    r"(?:baseline|usual|normal|what is normal|norm)|more (?:per|a) day|more than (?:usual|normal|before|baseline|what)|"
    r"(?:over|above) (?:baseline|usual|normal))|"
    r"\s*(?:extra|additional|more)\b"
)
_OVER_BEFORE = re.compile(r"(?:\bup by|increas\w+ (?:of|by)|extra|additional|\+|more by)\s*$")
_DAY = r"(?:a day|per day|/ ?day|/d\b|daily|each day|every day|(?:in|per|over) (?:the (?:last|past) )?24|/24|per night|a night)"
_RATE_AFTER = re.compile(
    r"\s*(?:times|x|episodes|loose|watery|bloody|liquid|formed|extra|more|stools?|bms?|bowel|motions?)?[^.;,\d]{0,32}?"
    rf"(?:{_DAY}|times)"
)
_TALLY_AFTER = re.compile(
    r"\s*(?:times\b|x\b|(?:or so )?(?:since (?:midnight|breakfast|lunch|this|last|yesterday|\d|[a-z]+day)|today|yesterday|"
    r"overnight|so far|already|last night|by (?:noon|lunch|now|midday)|during the night|loose|watery|liquid|runny|bloody|"
    r"soft)\b)"
)
_TALLY_BEFORE = re.compile(
    r"\b(?:already (?:at|on|up to)|came to|counted|up to|tally (?:of|was|is)|going|i go|goes|went|have been|has been|"
    r"had|at least|about|around|yesterday(?: was| it was)?|today(?: was| it is)?|now)[:\s]{1,3}(?:about |around |some )?$"
)
_COUNTED = re.compile(
    r"already (?:at|on|up to) $|\b(?:it|that|they|which|all) (?:came|comes|adds up|added up) to $|\bcount(?:ed)?\b[^.;\n\d]{0,40}:\s*$|"
    r"\b(?:lost (?:count|track)|(?:stopped|gave up) counting)(?: of them)? (?:after|at|around|past|by) (?:about )?$"
)
_COUNT_BEFORE = re.compile(
    r"(?:x|times|stools?|bms?|diarrh\w+|frequency|count|motions|(?:per|a) day[^.;\d\n]{0,24}[:=])[ :(=]*"
    r"(?:up to |of |about |~)?$"
)
_DAY_NAMES = (
    r"(?:(?:mon|tues?|wed(?:nes|s)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?|(?:day before )?yesterday|today|tonight|overnight|last night|"
    r"day before|(?:last|past|in) 24 ?h(?:ou)?r?s?|this (?:morning|week|afternoon|evening)|now|currently|these days)"
)
_LINKS = (
    r"(?:it|it's|its|it'd|was|were|is|been|has|have|had|i|i've|i'm|he|he's|she|she's|we|we're|went|go|goes|gone|going|counted|already|up|to|at|on|"
    r"about|around|maybe|more|like|nearly|almost|over|least|roughly|then|only|just|another|the|a|day|since|for|that|of|again)"
)
_DAY_BEFORE = re.compile(rf"\b{_DAY_NAMES}(?:[\s,:=~-]{{1,3}}{_LINKS}\b){{0,9}}[\s,:=~-]{{1,3}}$")
_DAY_AFTER = re.compile(rf"\s*(?:times |x |trips )?(?:on |since )?(?:the )?{_DAY_NAMES}\b")
_ONLY_DAYS = re.compile(rf"(?:[\s,:=~()-]|{_DAY_NAMES}\b|{_LINKS}\b|{WORD_NUMBER}|\d|times\b|and\b|or\b)*")
_TALLY = re.compile(
    r".*\b(?:tally|ticks?|count|chart|calendar|log|diary|record|list|fridge|notebook|score)\b[^\d,]*?(?=[:,\s]*(?:$|\b(?:and )?(?:"
    rf"{_DAY_NAMES})\b))"
)
_OTHER_THING = re.compile(
    r"\b(?:pains?|scores?|sle[pe]\w*|walk\w*|steps|sugars?|glucose|bm|temp\w*|appointment|appt|clinic|fluids?|glass\w*|cups?|drinks?|drank|"
    r"weigh\w*|doses?|tablets?|pills?|hours?|vomit\w*|sick|wee|pee|urin\w*|nocturia|cough\w*|bp|pulse|sats?|back|due|booked|visit)\b"
)
_COUNT_ENDS = re.compile(  # ends of a count without a noun: "Wednesday seven and yesterday eight"
    r"\s*(?:times\b|x\b|trips\b|visits\b|goes\b|$|[.;,)(!\n]|(?:or|and) (?:counting|i|he|she|we|that|it|it's|all|then|today|yesterday|"
    r"not|so|more|two|three|some|most|still)\b|so far|already|by |before |since |at least|of them|loose|watery|runny|liquid)"
)
_OTHER_UNIT = re.compile(
    r"\s*(?:years?|days?|weeks?|wks?|months?|hours?|hrs?|minutes?|mins?|mg|ml|%|/10|am\b|pm\b|lbs?|kg|systems|points|miles?|kms?|kilomet\w+|laps|marathons?|°|o'clock|:\d)"
)
_OTHER_COUNT = re.compile(
    r"\b(?:grade|(?<!per )(?<!a )(?<!each )day|cycle|dose|(?<!this )(?<!last )(?<!past )week|g|c|#|no\.?|number|infusion|bed|age|aged|visit|max(?:imum)?(?: of)?|limit(?: of)?|(?:day|d|dose|cycle|week) ?\d{1,2} (?:of|/))[\s:]*$|[#/]\s?$"
)
_EARLIER = re.compile(r"(?:was|were|had been|previously|initially|last week|at first)\s*$")
_ONE = Decimal(1)


def stool_findings(text: str, norm: str, tokens: list[Token]) -> list[Finding]:
    """Stools a day as `stools` (the count) and `stools_over_baseline`, and the baseline if the note gives it."""
    counts, baseline = _stool_counts(norm, tokens)
    findings = []
    base = _ONE if baseline is None else baseline.high
    for number, word, increment in counts:
        near = word.sentence == number.sentence
        apart = not near and word.status in ("family", "hypothetical") and not is_threshold(norm, number)
        status = number.status if apart else word.status  # "The leaflet says diarrhoea. I go 9 times a day."
        if len(counts) > 1 and _EARLIER.search(norm, max(0, number.start - 14), number.start):
            status = "historical"
        start, end = (min(number.start, word.start), max(number.end, word.end)) if near else (number.start, number.end)
        span = {"start": start, "end": end, "status": status}
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
    """The stool counts (number, its stool word, whether it is an increment) and the patient's usual count."""
    words = [t for t in tokens if t.kind == "finding" and not _STOOL.isdisjoint(t.names)]
    if not words:
        return [], None
    starts = [w.start for w in words]
    items = [t for t in tokens if t.kind in ("finding", "lab", "vital", "drug", "ici")]
    places = [t.start for t in items]
    told = -9  # the last sentence with a count
    chronic = {t.sentence for t in tokens if t.names == ("other_colitis",)}
    others = {after.start for before, after in pairwise(tokens) if _counts_another(before, after)}
    baseline: Token | None = None
    counts: list[tuple[Token, Token, bool]] = []
    for t in (*tokens, *_by_the_hour(norm, tokens)):
        if t.kind != "number" or t.low > 99 or t.unit not in ("", "/day") or t.low % 1 or t.start in others:
            continue
        if _HEADS.match(norm, t.end) and _NUMBERED.search(norm, max(0, t.start - 20), t.start):
            continue  # "month 5: one formed stool"
        at = bisect.bisect_left(starts, t.start)
        word = min(words[max(0, at - 1) : at + 1], key=lambda w: (abs(w.sentence - t.sentence), _distance(w, t)))
        apart = abs(word.sentence - t.sentence)
        kind = _kind_of_number(norm, t, word, bool(counts)) if apart == 0 else ""
        if not kind and apart <= 2:
            kind = _kind_beside(norm, t)
        if not kind and (apart <= 2 or t.sentence - told <= 1) and _is_a_days_count(norm, t, apart == 0):
            before = items[bisect.bisect_left(places, t.start) - 1]
            if (
                before.sentence != t.sentence
                or before.start > t.start
                or not _STOOL.isdisjoint(before.names)
                or before is word
            ):
                kind = "count"
        if kind == "baseline":
            baseline = baseline if apart and baseline is not None else t
        elif kind:
            counts.append((t, word, kind == "increment"))
            told = t.sentence
            if t.sentence in chronic and word.status == "current":
                word.status = "historical"  # the pattern of an old bowel disease is not a new event
    return counts, baseline


def _counts_another(before: Token, number: Token) -> bool:
    """Whether the number counts the finding right before it: "nocturia x2, one formed stool"."""
    return before.kind == "finding" and _STOOL.isdisjoint(before.names) and 0 < number.start - before.end <= 3


def _by_the_hour(norm: str, tokens: list[Token]) -> list[Token]:
    """Read "every hour" and "every half hour" as 10 a day, a lower bound that allows for sleep."""
    made = []
    sentences = [(t.start, t.sentence) for t in tokens]
    for match in _HOUR.finditer(norm):
        token = Token("number", *match.span())
        token.low = token.high = Decimal(10)
        token.unit = "/day"
        at = bisect.bisect_right(sentences, (match.start(), 1 << 30)) - 1
        token.sentence = sentences[at][1] if at >= 0 else 0
        made.append(token)
    return made


def _distance(word: Token, number: Token) -> int:
    return max(word.start - number.end, number.start - word.end)


def _is_a_days_count(norm: str, t: Token, same: bool) -> bool:
    """Whether the number is a daily count: "Monday five", "yesterday it was eleven", "3 on Tuesday".

    Where the sentence has no word for stools (`same` is False), it must contain only days and numbers.
    """
    before, after = norm[max(0, t.start - 60) : t.start], norm[t.end : t.end + 40]
    if t.unit or "." in norm[t.start : t.end] or t.high > 40 or _OTHER_UNIT.match(after) or _OTHER_COUNT.search(before):
        return False
    if _COUNTED.search(before):
        return True
    if not (_DAY_BEFORE.search(before) and _COUNT_ENDS.match(after)) and not _DAY_AFTER.match(after):
        return False
    lowest = max(0, t.start - 160)
    sentence = norm[
        max(lowest, *(norm.rfind(mark, lowest, t.start) + 1 for mark in (". ", "\n", ";", "!", "?"))) : t.start
    ]
    tally = _TALLY.match(sentence)
    listed = sentence[tally.end() :] if tally else sentence
    return not _OTHER_THING.search(sentence) and (same or _ONLY_DAYS.fullmatch(listed) is not None)


def _kind_beside(norm: str, t: Token) -> str:
    """ "count" or "baseline" for an unambiguous number in a sentence without a word for stools, else ""."""
    before, after = norm[max(0, t.start - 34) : t.start], norm[t.end : t.end + 60]
    if _OTHER_UNIT.match(after) or _OTHER_COUNT.search(before):
        return ""
    if _BASELINE_BEFORE.search(before) or _BASELINE_AFTER.match(after):
        return "baseline"
    tally = _TALLY_BEFORE.search(before) and _TALLY_AFTER.match(after or " today")
    rate = _RATE_AFTER.match(after)
    if t.unit == "/day" or (rate and not _OTHER_THING.search(rate[0])) or tally or _COUNTED.search(before):
        return "count"
    return ""


def _kind_of_number(norm: str, t: Token, word: Token, counted: bool) -> str:
    """count, increment, baseline, or "" for a number that counts something else."""
    before, after = norm[max(0, t.start - 34) : t.start], norm[t.end : t.end + 90]
    distance = _distance(word, t)
    rate = t.unit == "/day" or _RATE_AFTER.match(after) or _TALLY_AFTER.match(after)
    if (_BASELINE_BEFORE.search(before) and distance < 60) or (counted and _BASELINE_AFTER.match(after)):
        return "baseline" if not _OTHER_UNIT.match(after) and t.low <= 8 else ""
    if norm[t.start : t.end] in ("once", "one", "twice") and _FORMED.search(after[:30]):
        return "baseline"
    if not rate and not 0 <= word.start - t.end < 14 and not _COUNT_BEFORE.search(before):
        return ""
    if distance > 45 or _OTHER_UNIT.match(after) or _OTHER_COUNT.search(before):
        return ""
    return "increment" if t.detail == "+" or _OVER_AFTER.match(after) or _OVER_BEFORE.search(before) else "count"
