"""Grades stated in the note: "Grade 3 colitis", "pneumonitis graded 3", "rash, G2"."""

from __future__ import annotations

import re
from decimal import Decimal

from ..schemas import Finding
from .lexicon import GRADABLE
from .tokens import Token, make

_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4}
_LEVEL = r"([1-4]|iv|i{1,3})"
_NUMBER = re.compile(
    r"[\s:(-]*(?:(?:it|this|as|at|ctcae|v5\.?0?|v\.5|of)[\s:(-]*){0,3}"
    rf"{_LEVEL}(?:\s?(?:-|to|/|or)\s?{_LEVEL})?(?!\.?\d|[\w%]|/\d)"
)
_TUMOUR_BEFORE = re.compile(r"(?:high|low|intermediate|tumou?r|gleason|nuclear|histologic\w*|fuhrman|who|isup)[ -]+$")
_POINTS_BACK = re.compile(r"grade[sd]? (?:it|this)|graded")
_ORGAN_TOXICITY = re.compile(
    r"\s*(gi|skin|liver|hepatic|lung|pulmonary|irae|immune|toxicity)?\s*(?:toxicity|irae|adverse|$)"
)
_TOXICITY = {
    "gi": "colitis",
    "skin": "rash",
    "liver": "hepatitis",
    "hepatic": "hepatitis",
    "lung": "pneumonitis",
    "pulmonary": "pneumonitis",
}


def grade_findings(text: str, norm: str, tokens: list[Token]) -> list[Finding]:
    """Every stated grade with its subject; tumour grades are left out."""
    found = []
    for i, t in enumerate(tokens):
        if not (t.cues and "grade" in t.cues) and not (t.kind == "glue" and norm[t.start : t.end] == "g"):
            continue
        match = _NUMBER.match(norm, t.end)
        if match is None or _TUMOUR_BEFORE.search(norm, max(0, t.start - 16), t.start):
            continue
        low, high = (int(_ROMAN.get(level, level)) if level else 0 for level in match.groups())
        high = max(low, high)
        subject = _subject(norm, tokens, i, match.end())
        if subject is not None:
            name, status = subject
            found.append(
                make(
                    text,
                    t,
                    "grade",
                    name,
                    value=str(high),
                    low=Decimal(low),
                    high=Decimal(high),
                    status=status,
                    end=match.end(),
                )
            )
    return found


def _subject(norm: str, tokens: list[Token], i: int, end: int) -> tuple[str, str] | None:
    """Name and status of the graded item: the next one ("Grade 3 colitis"), else the last one before it."""
    t = tokens[i]
    for following in tokens[i + 1 : i + 8]:
        gap = following.start - end
        if following.kind == "end" or gap > 45 or (following.kind == "," and gap > 2):
            break
        if "tumour_grade" in following.cues:
            return None
        if following.kind in ("finding", "lab") and following.names[0] in GRADABLE:
            return following.names[0], following.status
    # "graded it 2" may be several sentences after its rash; a bare "Grade 2" may not.
    back = 5 if _POINTS_BACK.search(norm, t.start, end) else 1
    for earlier in reversed(tokens[max(0, i - 40) : i]):
        if t.sentence - earlier.sentence > back or (back == 1 and "\n" in norm[earlier.end : t.start]):
            break
        if "tumour_grade" in earlier.cues and t.sentence == earlier.sentence:
            return None
        if earlier.kind in ("finding", "lab") and earlier.names[0] in GRADABLE and earlier.status != "negated":
            return earlier.names[0], earlier.status
    organ = _ORGAN_TOXICITY.match(norm, end, end + 30)
    return (_TOXICITY.get(organ[1] or "", "irae"), "current") if organ and organ.end() > end + 1 else None
