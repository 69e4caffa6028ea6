"""Form answers: spans of a note whose status comes from the form, whatever the surrounding words.

"Seizures: No", "Rash | none", "Any fever? No.", "[ ] colitis", "(-) jaundice", "Grade 0 rash", "risks include seizure".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, zip_longest
from typing import NamedTuple

_RISKS = re.compile(
    r"\b(?:risks?\b[^.;:\n]{0,60}?\b(?:includ(?:e|ing)|such as|like|can|may|could|might)"
    r"|(?:side effects?|adverse (?:effects|reactions|events)|complications|toxicities)\b[^.;:\n]{0,60}?"
    r"\b(?:(?:can|may|could|might) (?:include|be|cause)|(?P<listed>includ(?:e|ing)|such as|like)))\b[^.;\n]*",
    re.I,
)
_SOURCES = "booklet leaflet sheet handout pamphlet internet google website online forum facebook card".split()
_READ = re.compile(  # content of a leaflet or web page, repeated by the patient
    rf"\b(?:{'|'.join(_SOURCES)})(?:(?<=google)\w*)?\b[^\n]{{0,120}}?"
    r"\b(?:it|they|which|that|and) (?P<says>says?|said|lists?|listed|mentions?|mentioned|talks? about|warns?|saw|read)\b[^.;\n]*",
    re.I,
)
_ORDERS = ("transfuse", "replete", "replace", "notify", "page")
_LIMITS = re.compile(rf"\b(?:{'|'.join(_ORDERS)})\b[^.;\n]{{0,20}}?\bfor\b[^.;\n]{{0,160}}", re.I)
_HARMS = ("risk", "effect", "adverse", "complications", "toxicities")  # one of them is in every match of `_RISKS`
_COMPARISONS = ("<", ">", "≥", "≤")
_ACTION_BEHIND = re.compile(  # "ALT >5x ULN: stop", "glucose >28 -> A&E", "stools <4 over baseline?"
    r"[<>≥≤]=? ?\d[\d.,]*[^.;:?\n\d<>]{0,24}?(?:\?|(?: ?(?:->|=>|→|:|=) ?|, )"
    r"(?:stop|hold|withhold|call|ring|phone|admit|delay|discontinue|a&e|ed\b|er\b|999|911|come|tell|contact|skip|give steroids|same[- ]day|urgent review|seek))",
    re.I,
)
_TELLER = re.compile(r"\b(?:so|but|and|now) I\b|\bI(?: have|'ve|'m| am) (?:had|been|having|calling|now)\b", re.I)
_TOLD = re.compile(
    r"\b(?:discuss\w*|counsel\w*|explain\w*|review\w*|educat\w*|warn\w*|aware|inform\w*|advis\w*)\b", re.I
)


class Mark(NamedTuple):
    """A span whose status comes from the form: negated, current, hypothetical or historical.

    "limit" makes values with a comparator hypothetical; "" marks an answer word.
    """

    start: int
    end: int
    status: str


_NO = r"(?:no|none|nil|not present|absent|denie[sd]|denying|negative|neg|nope|never|not reported|not seen|n/a)"
_YES = r"(?:yes|present|positive|pos|ongoing|true)"
_BEHIND = (
    r"(?=\s*(?:[.,;|)\n]|$|\t)|\s{2,}|\s*[\[(][-+ xX_]?[\])]|\s+(?:at (?:this|the) (?:time|moment)|currently|today|"
    r"reported|noted|seen|since|known|for now|[A-Z][A-Za-z /()-]{1,40}?[:?=]))"
)
_ANSWER = re.compile(
    rf"(?:(?P<mark>[:=|\t(])|(?<=\s)[-–—](?=\s))[ \t|]*"
    rf"(?:(?i:(?P<no>{_NO})|(?P<yes>{_YES}))|(?<!\()(?:(?P<n>[N0])|(?P<y>Y))){_BEHIND}"
)
_SPEAKER = (
    r"(?:\[(?:patient|doctor|guest\w*|nurse|clinician)\]|(?:patient|pt|doctor|dr|guest\w*|nurse|clinician|provider|"
    r"caregiver)\s*[:-])\s*"
)
_REPLY = re.compile(
    rf"(?:\?\s*(?i:{_SPEAKER})?|\n(?=(?i:{_SPEAKER}))(?i:{_SPEAKER}))(?i:(?:(?:um|uh|oh|well|hmm|ah)\b[\s,.]*)*"
    r"(?:(?P<no>(?:no|nope|nah|none|never|not (?:really|at all|that i|in|for|since|recently|lately)|denie[sd]|negative|"
    r"neg|absent|i (?:have not|haven't|don't|do not|did not|didn't))\b)"
    r"|(?P<yes>(?:yes|yeah|yep|yup|correct|i do|i have)\b)))"
)
_OPENER = re.compile(
    r"(?i:\b(?:any|have you|do you|did you|are you|were you|has (?:he|she|there)|is there|does (?:he|she)|how about)\b)"
)
_BARE = re.compile(r"\s*(?:[.,;\n]|$)")
_NO_DENIAL = re.compile(
    r"\s*,?\s*(?:longer|improvement|change|better|resolution|but|just|except|doubt|response|more than|less than|worse)",
    re.I,
)
_BOX = re.compile(r"\[(?P<empty>[ _]{0,3})\]|\[(?P<tick>[xX*✓])\]|(?<![A-Za-z])\((?P<round>[xX ])\)(?=\s?[A-Za-z])")
_OPTION = re.compile(r"\s*(?P<no>no|none|n|absent|never)\b|\s*(?P<yes>yes|y|present)\b", re.I)
_SIGN = re.compile(r"(?<![\w)])\(\s?(?:(?P<minus>[-−–])|(?P<plus>\+))\s?\)")
_TIGHT = re.compile(r"[-−+](?<![^ ,;:\n].)(?=[A-Za-z]{3})")
_GRADE_0 = re.compile(r"\b(?:grade|gr\.?|g)[ :=]{0,2}0\b(?!\.?\d|/|-\d)", re.I)
_ZERO = re.compile(
    r"(?<=[A-Za-z)])(?: ?[:=-] ?| |\t)(?:g(?:r|rade)? ?)?0(?:/(?:4|5|10))?(?=\s*(?:[|,;(\n\t]|\.(?!\d)|$))", re.I
)
_LONGEST_ITEM = 160  # characters
_LETTER_FOLLOWS = re.compile(r" ?[A-Za-z]")
_BEHIND_ITEM = re.compile(r"(?<=[A-Za-z):]) ?$")
_STOP = re.compile(r"[.;\n|\t](?:\s|$)|\n|\t|\|")
_ITEM_STOP = re.compile(r"[;\n|\t]|\.(?:\s|$)")
_LIST_STOP = re.compile(r"[.;,\n|]")
_VERB = re.compile(
    r"\b(?:has|have|had|is|was|with|reports?|presents?|developed|noted|continues|on|since|and then)\b", re.I
)
_HINT = re.compile(r"[:=|\t?]|\s[-–—]\s|[\[(]|[ ,;:\n][-+−][A-Za-z]|(?i:\bgr?(?:ade)?\W{0,2}0)")


_FORWARD = re.compile(r"\[(?:brought|carried|copied|pulled|imported|pasted)\b[^\]\n]{0,600}\]", re.I)
_LETTER = re.compile(
    r"(?<=[A-Za-z)]) (?:(?P<no>N|no|nil|none)|(?P<yes>Y|yes))(?=\s*(?:[,;.|\n]|$)|(?<=[NY])(?:\s{2,}|\s[A-Za-z /-]{3,40}?\s[NY]\b))"
)


def form_marks(text: str) -> list[Mark]:
    """Every span whose status comes from a form, sorted by start."""
    marks = list(_risks(text))
    marks += _letters(text)
    marks += _zeros(text)
    if _HINT.search(text):
        for reader in (_brought_forward, _answers, _replies, _boxes, _signs, _tight_signs, _zero_grades):
            marks += reader(text)
    return sorted(marks)


def _risks(text: str) -> Iterator[Mark]:
    """Risks that a patient was told about: "risks include seizure". Listed side effects may be real."""
    lower = text.lower()  # most notes contain none of these words

    def found(pattern: re.Pattern[str], words: Sequence[str]) -> Iterable[re.Match[str]]:
        return pattern.finditer(text) if any(word in lower for word in words) else ()

    for match in found(_RISKS, _HARMS):
        before = text[_back(text, match.start(), ".;\n") : match.start()]
        if not match["listed"] or _TOLD.search(before):
            yield Mark(match.start(), match.end(), "hypothetical")
    for match in found(_ACTION_BEHIND, _COMPARISONS):
        yield Mark(max(_back(text, match.start(), ".;:?\n"), match.start() - 40), match.end(), "limit")
    for match in found(_LIMITS, _ORDERS):
        yield Mark(match.start(), match.end(), "limit")
    for match in found(_READ, _SOURCES):
        teller = _TELLER.search(text, match.end("says"), match.end())
        yield Mark(match.start(), teller.start() if teller else match.end(), "hypothetical")


def _back(text: str, at: int, stops: str) -> int:
    """The start of the segment that ends at `at`: after the last of `stops`, at most one item's length back."""
    lowest = max(0, at - _LONGEST_ITEM)
    return max((text.rfind(stop, lowest, at) + 1 for stop in stops), default=0) or lowest


def _answers(text: str) -> Iterator[Mark]:
    """Answers after a colon, equals sign, dash or cell border: "Seizures: No", "Rash | none", "Fever - denied"."""
    asked: list[Mark] = []
    last = 0
    for match in _ANSWER.finditer(text):
        end = match.start()
        start = max(_back(text, end, ".;:?=|\t\n"), last)
        label = text[start:end]
        if "," in label and (match["mark"] not in (":", "=") or _VERB.search(label)):
            start += label.rfind(",") + 1
        status = "negated" if match["no"] or match["n"] else "current"
        if label.strip():
            asked.append(Mark(start, end, status))
        elif (
            asked and not text[last:end].strip() and status == "current"
        ):  # "Rash | No | Yes": one of the visits answers yes
            asked[-1] = asked[-1]._replace(status=status)
        last = match.end()
        yield Mark(match.start(), last, "")
    yield from asked


def _replies(text: str) -> Iterator[Mark]:
    """A question and its answer: "Any recent seizures? No, I have not.", or the next turn of a conversation."""
    for match in _REPLY.finditer(text):
        if match["no"] and _NO_DENIAL.match(text, match.end()):
            continue
        start = _back(text, match.start(), ".;?!\n")
        opener = _OPENER.search(text, start, match.start())
        asked = text[match.start()] == "?"
        if opener is not None or (asked and _BARE.match(text, match.end())):
            yield Mark(start if asked else opener.start(), match.start(), "negated" if match["no"] else "current")
            yield Mark(match.start(), match.end(), "")


def _until(text: str, at: int, limit: int, stop: re.Pattern[str] = _STOP) -> int:
    match = stop.search(text, at, limit)
    return match.start() if match else limit


def _boxes(text: str) -> Iterator[Mark]:
    """Ticked and unticked boxes, before or after their items, and "[ ] yes [x] no" after a question."""
    for _, group in groupby(_BOX.finditer(text), key=_LineCounter(text)):
        boxes = list(group)
        line_end = text.find("\n", boxes[-1].end())
        line_end = line_end if line_end >= 0 else len(text)
        behind = not text[boxes[-1].end() : line_end].strip(" .|\t") and _BEHIND_ITEM.search(
            text, max(0, boxes[0].start() - 2), boxes[0].start()
        )
        label = None  # the first box of the options being read
        for box, following in zip_longest(boxes, boxes[1:]):
            end = _until(text, box.end(), following.start() if following else line_end, _ITEM_STOP)
            ticked = (box["tick"] or box["round"] or " ").strip() != ""
            option = _OPTION.match(text, box.end(), end)
            if option is not None:
                label = label or box
                yield Mark(box.start(), end, "")
                if ticked:
                    start = _back(text, label.start(), ".;\n|\t]")
                    yield Mark(start, label.start(), "negated" if option["no"] else "current")
                continue
            label = None
            if not ticked and behind:
                yield Mark(_back(text, box.start(), ".;\n|\t],"), box.start(), "negated")
            elif not ticked:
                yield Mark(box.end(), end, "negated")


class _LineCounter:
    """The line number of each match, for matches in order."""

    def __init__(self, text: str):
        self.text, self.at, self.line = text, 0, 0

    def __call__(self, match: re.Match[str]) -> int:
        self.line += self.text.count("\n", self.at, match.start())
        self.at = match.start()
        return self.line


def _signs(text: str) -> Iterator[Mark]:
    """(+) and (-), before a list ("(-) jaundice, diplopia") or after one item ("jaundice (-), rash (+)")."""
    signs = list(_SIGN.finditer(text))
    for i, sign in enumerate(signs):
        following = signs[i + 1].start() if i + 1 < len(signs) else len(text)
        end = _until(text, sign.end(), following)
        status = "negated" if sign["minus"] else "current"
        if _LETTER_FOLLOWS.match(text, sign.end()):
            yield Mark(sign.end(), end, status)
        else:
            yield Mark(_back(text, sign.start(), ".;,\n|\t:)"), sign.start(), status)


def _brought_forward(text: str) -> Iterator[Mark]:
    """ "[Brought forward from 14 Mar 2025: ALT 412]": text copied into a bracket is historical."""
    for match in _FORWARD.finditer(text):
        yield Mark(match.start(), match.end(), "historical")


def _letters(text: str) -> Iterator[Mark]:
    """ "Fever N, chest pain N, rash Y": only where a line has several answers and at least one is no."""
    for _, group in groupby(_LETTER.finditer(text), key=_LineCounter(text)):
        answers = list(group)
        if len(answers) > 1 and any(answer["no"] for answer in answers):
            last = 0
            for answer in answers:
                start = max(last, _back(text, answer.start(), ",;.\n|:?"))
                last = answer.end()
                yield Mark(start, answer.start(), "negated" if answer["no"] else "current")
                yield Mark(answer.start(), answer.end(), "")


def _zeros(text: str) -> Iterator[Mark]:
    """ "Rash 0 | itch 0 | diarrhea 0 (1 BM/d)": only where a line has several items scored 0."""
    for _, group in groupby(_ZERO.finditer(text), key=_LineCounter(text)):
        zeros = list(group)
        for zero in zeros if len(zeros) > 1 else ():
            start = max(_back(text, zero.start(), ",;.\n|:\t()"), 0)
            yield Mark(start, zero.start(), "negated")


def _tight_signs(text: str) -> Iterator[Mark]:
    """ "+fatigue, -fever, -chills": only where a line has several, because a single sign may be a bullet."""
    for _, group in groupby(_TIGHT.finditer(text), key=_LineCounter(text)):
        signs = list(group)
        for sign in signs if len(signs) > 1 else ():
            end = _until(text, sign.end(), sign.end() + _LONGEST_ITEM, _LIST_STOP)
            yield Mark(sign.end(), end, "current" if sign.group() == "+" else "negated")


def _zero_grades(text: str) -> Iterator[Mark]:
    """ "Diarrhea Grade 0" and "Grade 0 diarrhea" deny the finding."""
    for match in _GRADE_0.finditer(text):
        start = _back(text, match.start(), ".;,\n|")
        if text[start : match.start()].strip(" \t:(-"):
            yield Mark(start, match.end(), "negated")
        else:
            yield Mark(match.start(), _until(text, match.end(), match.end() + _LONGEST_ITEM, _LIST_STOP), "negated")
