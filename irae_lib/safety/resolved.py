"""Resolved illnesses: mark their earlier mentions, grades, brackets and values as historical."""

from __future__ import annotations

import re

from ..schemas import Finding
from .course import is_dated_and_over, names_a_year, organ, says_onset
from .phrasing import PRESENT, lies_in, sentence_around
from .tokens import changed

_LASTING = frozenset(  # long-standing illnesses
    (
        "hypothyroidism",
        "arthritis",
        "neuropathy",
        "psoriasis",
        "vitiligo",
        "heart_failure",
        "low_ef",
        "gastritis",
        "dry_eyes",
        "dry_mouth",
    )
)
_NAMED = ("diagnosis", "symptom", "sign")
_OF_EPISODE = frozenset(("count", "symptom", "sign", "lab", "vital", "care", "grade", "imaging"))
_BRACKET = re.compile(r"[^.;()\n]{0,40}\((?P<told>[^()\n]{0,300})\)")
_OVER_IN_BRACKET = re.compile(
    r" ?(?:(?:g|gr|grade) ?[1-4] ?)?\((?:[^()\n]{0,40}[ ,;/-])?(?<!not )(?<!never )(?:resolved|recovered|settled fully|cleared)\b[^()\n]{0,40}\)"
)
_REFERS = re.compile(
    r"\b(?:of|from|since|after|about|regarding|following|concerning) (?:the|that|this|his|her|their|my)(?: [a-z]+)? $"
)
_PRESENT = re.compile(rf"\b(?:{PRESENT})\b")


def resolved(norm: str, found: list[Finding]) -> list[Finding]:
    """Mark the earlier mentions of an illness as historical if its last mention says that it is over.

    The same holds for its grades, earlier values of the same organ if the newest is normal, details in a bracket right
    after a mention ("colitis in March (12 motions a day)"), and values replaced by a later one in the same sentence
    ("ALT climbed to 540 with hepatitis ... now ALT 22").
    """
    found = [_closed_by_bracket(norm, f) for f in found]
    if names_a_year(norm):
        found = [_closed_in_its_year(norm, f) for f in found]
    last = {f.name: f for f in found if f.kind in _NAMED and f.status != "hypothetical"}
    over = {name for name, f in last.items() if f.when == "resolved"}
    if not over:
        return found
    mentions = [f for f in found if f.kind == "diagnosis" and f.name in over]
    organs = {organ(f.name) for f in mentions} - {""}
    normal = {f.name: f.start for f in found if f.kind == "lab" and f.status == "current" and _is_normal(f)}
    brackets = [span for f in mentions if (span := _bracket_behind(norm, f.end)) is not None]
    sentences = [sentence_around(norm, f.start, f.end, 200, (". ", ";", "\n")) for f in mentions]
    newest = {f.name: f.start for f in found}

    def is_past(f: Finding) -> bool:
        if f.name in over and f.kind in (*_NAMED, "grade"):
            return f.start < last[f.name].start or f.kind in ("diagnosis", "grade")
        if f.kind in _OF_EPISODE and lies_in(f.start, brackets):
            return True
        if f.kind != "lab" or f.start >= newest[f.name]:
            return False
        replaced = organ(f.name) in organs and normal.get(f.name) == newest[f.name]
        return replaced or lies_in(f.start, sentences)

    return [changed(f, status="historical") if f.status == "current" and is_past(f) else f for f in found]


def _closed_by_bracket(norm: str, f: Finding) -> Finding:
    """Close an illness or grade if the bracket after it says that it is over: "Rash G1 (C2, resolved)"."""
    if f.status != "current" or f.kind not in (*_NAMED, "grade"):
        return f
    bracket = _OVER_IN_BRACKET.match(norm, f.end, f.end + 90)
    return changed(f, status="historical", when="resolved") if bracket and not _PRESENT.search(bracket.group()) else f


def _closed_in_its_year(norm: str, f: Finding) -> Finding:
    """Close findings that a sentence dates by a year and reports as ended."""
    if (
        f.status != "current"
        or f.kind not in (*_NAMED, "grade", "lab", "care")
        or not is_dated_and_over(norm, f.start, f.end)
    ):
        return f
    return changed(f, status="historical", when="resolved" if f.kind in _NAMED else f.when)


def known(norm: str, found: list[Finding]) -> list[Finding]:
    """Mark a new mention of a long-standing illness as historical if the history lists it and nothing is new.

    "Medical history of heart failure and hypothyroidism ... Regarding his hypothyroidism, he goes on with Synthroid."
    """
    past = {f.name for f in found if f.status == "historical" and not f.when and f.name in _LASTING}
    if not past:
        return found
    graded = {f.name for f in found if f.kind == "grade" and f.status == "current"}

    def is_known(f: Finding) -> bool:
        told = f.status == "current" and f.name in past and f.kind in _NAMED and f.name not in graded
        return told and not f.when and f.severity in ("", "mild") and not says_onset(norm, f.start, f.end)

    return [changed(f, status="historical") if is_known(f) else f for f in found]


def recalled(norm: str, found: list[Finding]) -> list[Finding]:
    """Keep a resolved illness resolved where the note only refers back to it ("since the colitis")."""
    over: set[str] = set()
    told = []
    for f in found:
        if f.when == "resolved":
            over.add(f.name)
        looks_back = f.status == "current" and f.name in over and _refers_back(norm, f)
        told.append(changed(f, status="historical", when="resolved") if looks_back else f)
    return told


def _refers_back(norm: str, f: Finding) -> bool:
    """Whether a mention adds nothing new: "From the hepatitis point of view", "since the colitis"."""
    named = f.kind == "diagnosis" and _REFERS.search(norm, max(0, f.start - 35), f.start) is not None
    return named and not says_onset(norm, f.start, f.end) and not _PRESENT.search(norm, f.start, f.end + 40)


def _is_normal(f: Finding) -> bool:
    """Whether a value is within its limits, if they are known."""
    return f.flag == "normal" or (f.times_uln is not None and f.times_uln <= 1 and f.flag not in ("high", "low"))


def _bracket_behind(norm: str, end: int) -> tuple[int, int] | None:
    """The bracket after a mention, unless it refers to the present."""
    match = _BRACKET.match(norm, end)
    return match.span("told") if match and not _PRESENT.search(match["told"]) else None
