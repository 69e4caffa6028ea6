"""Read a note: findings with status, value, unit and exact position.

`read` is the only entry point. It scans the note once, gives every item its status sentence by sentence, then ties
numbers to names. It is deterministic: no model, no randomness.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from .bedside import loose_vitals
from .course import says_onset, staged
from .labs import lab_findings
from .resolved import known, recalled, resolved
from .scanned import scanned
from .stated_grades import grade_findings
from .stools import stool_findings
from .text import View
from .tokens import Token, changed, make

if TYPE_CHECKING:
    from ..schemas import Case, Finding

_CHRONIC = ("diagnosis", "background", "symptom", "sign")
_SEVERITY = {"severity_mild": "mild", "severity_moderate": "moderate", "severity_severe": "severe"}
_STABLE = re.compile(
    r"[^.;\n]{0,40}\b(?:unchanged (?:for|since)|for (?:about |over |~)?(?:\d+|many|several|two|three|four|five|ten|twenty|thirty) ?(?:years|yrs)|since childhood|"
    r"since (?:(?:his|her|my|their) (?:teens|twenties|thirties|forties|fifties|youth|school days)|(?:(?:a|an|the|his|her|my) [a-z' -]{3,30}? (?:of|in) )?(?:19\d\d|200\d|201[0-4])|school|university|college|adolescence|puberty|birth|age \d|the (?:army|war))|"
    r"dating back|for years|for decades|in (?:his|her|my|their) (?:teens|twenties|thirties|forties|fifties|childhood|youth)|"
    r"as a (?:child|teenager|student)|in childhood)\b|[\s,(]{1,3}(?:in )?(?:19|20)\d\d\b(?![./-])"
)


_STEADY = re.compile(  # after a value: unchanged for years, which "stable" alone does not imply
    r"[^.;\n\d]{0,40}?(?:for (?:the (?:last|past) )?(?:\d+|many|several|two|three|four|five|six|seven|eight|ten|twenty) ?(?:years|yrs)|for years|for decades|all (?:his|her) life|lifelong|gilbert|since (?:19|20)\d\d|"
    r"(?:at |at (?:his|her) |(?:his|her) (?:usual |known )?|usual |known )baseline\b(?! (?:was|of|is|\d))|\bckd\b)|"
    r" ?\((?:has (?:been|run|sat) |always |usually )?\d+(?:\.\d+)? ?(?:to|-) ?\d+(?:\.\d+)? for (?:\d+|many|several|two|three|four|five|ten|the last \w+) ?years"
)


def read(case: Case) -> tuple[Finding, ...]:
    """Read every finding that a rule could need, in the order of the note.

    Returns:
        Findings whose `quote` is `case.text[start:end]`; `status` separates current from negated, historical, family,
        hypothetical and planned. Negated and historical findings are returned too, for human readers.
    """
    scan = scanned(case.text)
    view, norm, tokens = scan.view, scan.norm, scan.heard()
    text = view.text
    found = lab_findings(text, norm, tokens)
    found += loose_vitals(text, norm, tokens, _inside(found))
    found += stool_findings(text, norm, tokens)
    found += grade_findings(text, norm, tokens)
    found += _named(text, norm, tokens)
    found = _completed(_promoted([_steady(norm, f) for f in found]))
    found.sort(key=lambda f: (f.start, f.end, f.name))
    found = recalled(norm, staged(norm, known(norm, resolved(norm, found))))
    return tuple(found) if text == case.text else tuple(_in_original(case.text, view, f) for f in found)


def _in_original(text: str, view: View, finding: Finding) -> Finding:
    """The finding at its position in the original note."""
    start, end = view.span(finding.start, finding.end)
    return changed(finding, start=start, end=end, quote=text[start:end])


def _named(text: str, norm: str, tokens: list[Token]) -> list[Finding]:
    """Findings and drugs given by name: symptoms, diagnoses, devices, medicines."""
    found = []
    at_rest = None
    for i, t in enumerate(tokens):
        if t.kind == "finding":
            negated_name = t.detail.removeprefix("negated:") if t.detail.startswith("negated:") else ""
            names = (negated_name,) if negated_name else t.names
            kind = "symptom" if negated_name else t.detail
            fields = {}
            if t.detail in ("symptom", "sign", "diagnosis"):
                if severity := _severity(norm, tokens, i):
                    fields["severity"] = severity
                if t.detail == "diagnosis" and _suspected(tokens, i):
                    fields["certainty"] = "suspected"
            status = t.status
            if status == "current" and t.detail in _CHRONIC and _STABLE.match(norm, t.end):
                status = "historical"
            if t.resolved:
                fields["when"] = "resolved"
            elif kind == "symptom" and t.status == "current" and says_onset(norm, t.first, t.end):
                fields["when"] = "onset"
            for name in names:
                if name == "stool" or (name == "infiltrates" and not _is_imaging(norm, t)):
                    continue
                found.append(make(text, t, kind, name, status=status, **fields))
            if t.names == ("dyspnea",) and status == "current":
                at_rest = t
            if at_rest is not None and at_rest.sentence == t.sentence and t.names == ("dyspnea",):
                window = norm[t.end : t.end + 40]
                match = re.match(r"[^.;\n]{0,30}?\bat rest\b", window)
                if match and status == "current" and not re.search(r"\bno\b|not", match.group()):
                    found.append(make(text, t, "symptom", "dyspnea_at_rest", status=status, end=t.end + match.end()))
        elif t.kind in ("ici", "drug"):
            when = _interval(norm, t) if t.kind == "ici" and t.status == "historical" else ""
            found.append(make(text, t, t.kind, t.names[0], when=when, flag=t.detail if t.kind == "drug" else ""))
    return found


_IMAGING = re.compile(
    r"\b(?:ct|cta|ctpa|cxr|x-?ray|imaging|chest|lungs?|lobes?|lobar|bilateral\w*|scan|radiograph\w*|radiolog\w*|ground|opacit\w*|pulmonary)\b"
)


def _is_imaging(norm: str, token: Token) -> bool:
    """Whether "consolidation" is a finding near a word for imaging, rather than consolidation therapy."""
    if not norm.startswith("consolidation", token.start):
        return True
    if re.search(r"(?:mab|as|q2w|q3w|q4w|imfinzi|therapy) $", norm[max(0, token.start - 9) : token.start]):
        return False
    return bool(_IMAGING.search(norm, max(0, token.start - 110), token.end + 70)) and not norm.startswith(
        (" therapy", " treatment"), token.end
    )


def _suspected(tokens: list[Token], i: int) -> bool:
    """Whether the diagnosis at `i` is only suspected."""
    return any("suspected" in t.cues and tokens[i].start - t.end < 30 for t in tokens[max(0, i - 4) : i])


def _severity(norm: str, tokens: list[Token], i: int) -> str:
    t = tokens[i]
    for before in reversed(tokens[max(0, i - 3) : i]):
        gap = t.start - before.end
        if before.kind in ("end", ",", "finding", "number", ";") or gap > 24:
            break
        for cue in before.cues:
            if cue in _SEVERITY:
                return _SEVERITY[cue]
    for after in tokens[i + 1 : i + 4]:
        gap = after.start - t.end
        if after.kind in ("end", "finding") or gap > 18:
            break
        if after.kind == ",":
            if norm.startswith(", the worst", after.start):
                return "severe"
            break
        for cue in after.cues:
            if cue in _SEVERITY and re.fullmatch(
                r"[\s(,-]*(?:(?:is|was|are|now|called|grade|and|very|described as|pain)\b[\s(]*)*",
                norm[t.end : after.start],
            ):
                return _SEVERITY[cue]
    return ""


_TIME = r"\b(\d{1,3}|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve) (day|week|month|year)s?\b"
_INTERVAL = re.compile(
    rf"(?:last|stopped|until|discontinued|completed|ago|after|earlier|before)[^.;\n]{{0,60}}?{_TIME}|"
    rf"{_TIME} (?:ago|after (?:the )?last|since (?:the )?last|earlier|before)"
)


def _interval(norm: str, drug: Token) -> str:
    """Time since a dose, as written ("four months"), from the words right after the drug; "" if not stated."""
    match = _INTERVAL.search(norm, drug.end, drug.end + 90)
    if match is None or "\n" in norm[drug.end : match.start()]:
        return ""
    number, unit = (match[1], match[2]) if match[1] else (match[3], match[4])
    return f"{number} {unit}s"


def _inside(found: list[Finding]) -> Callable[[int], bool]:
    """A test whether an offset is in one of the findings (sorted by position)."""
    starts = [f.start for f in found]

    def test(offset: int) -> bool:
        at = bisect.bisect_right(starts, offset)
        return any(f.start <= offset < f.end for f in found[max(0, at - 3) : at])

    return test


def _promoted(found: list[Finding]) -> list[Finding]:
    """Treat an earlier value of an analyte as current if the note gives no newer one.

    "Creatinine was 2.6 two weeks ago" with nothing newer: the last known value is the relevant one.
    """
    labs: dict[str, list[int]] = {}
    for index, f in enumerate(found):
        if f.kind == "lab":
            labs.setdefault(f.name, []).append(index)
    for indices in labs.values():
        current = [k for k in indices if found[k].status == "current"]
        if current:
            said_now = [k for k in current if found[k].when == "now"]
            for k in current:  # "at its worst 655 U/L ... Today ALT is 52": values before today's are past
                if said_now and not found[k].when and k < said_now[0]:
                    found[k] = changed(found[k], status="historical", when="previous")
            continue
        past = [k for k in indices if found[k].when in ("recent", "previous") and found[k].status == "historical"]
        if past and (found[past[-1]].when == "recent" or len(past) > 1):
            found[past[-1]] = changed(found[past[-1]], status="current")
    return found


def _steady(norm: str, f: Finding) -> Finding:
    """Mark a value that has been the same for years as the patient's baseline."""
    if f.kind == "lab" and f.status == "current" and f.value and _STEADY.match(norm, f.end):
        return changed(f, status="historical", when="baseline")
    return f


def _completed(found: list[Finding]) -> list[Finding]:
    """Add to current values the baseline and printed limits given elsewhere in the note for the same analyte."""
    baselines: dict[str, Decimal] = {}
    lowest: dict[str, Decimal] = {}  # KDIGO: the lowest value is the baseline if none is named
    limits: dict[str, Decimal] = {}
    for f in found:
        if f.uln is not None:
            limits.setdefault(f.name, f.uln)
        if f.high is None:
            continue
        if f.when == "baseline":
            baselines[f.name] = f.high
        elif f.name == "creatinine" and f.status in ("current", "historical"):
            lowest[f.name] = min(f.high, lowest.get(f.name, f.high))
    baselines = lowest | baselines
    if not baselines and not limits:
        return found
    out = []
    for f in found:
        fields: dict = {}
        if f.status == "current" and f.high is not None and f.kind in ("lab", "vital"):
            if f.baseline is None and f.name in baselines and (f.name not in lowest or baselines[f.name] < f.high):
                fields["baseline"] = baselines[f.name]
            if f.uln is None and f.name in limits:
                uln = limits[f.name]
                fields |= {"uln": uln, "times_uln": f.high / uln if uln else f.times_uln}
        out.append(changed(f, **fields) if fields else f)
    return out
